"""What the trainings of a row gave, seed by seed."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmvice.evaluation import part_of_classes

from .fields import checked, read_json
from .numbers import duration, signed, spread
from .plan import Planner
from .results import OTHER_SETTINGS, Results
from .tables import DELTA, RATIO, Row, Source, Table

SECONDS, TRAIN_TIME, STEP_TIME = 'seconds', 'train_time', 'step_time'
"""Metrics of a pretraining beside those that it logs: time of all of it, of its steps, and of one step by itself."""


@dataclass(frozen=True)
class Measured:
    """The values of a column's metrics by seed.

    Attributes:
        state: What to say where no seed has a value.
        unfinished: Number of seeds that were started and have none.
        part: Over which part of the classes the first metric is, where it is not over all.
    """

    metrics: Sequence[str] = ()
    values: Mapping[int, Sequence[float]] = field(default_factory=dict)
    state: str = ''
    unfinished: int = 0
    part: str = ''

    @property
    def first(self) -> dict[int, float]:
        """The first metric by seed."""
        return {seed: values[0] for seed, values in self.values.items()}

    def text(self, write: Callable[[float], str] = '{:.2f}'.format) -> str:
        """The cell of a table: means ± sample standard deviations, and in parentheses the number of seeds."""
        if not self.values:
            return self.state
        if self.metrics[0] == SECONDS:
            return duration(statistics.fmean(self.first.values()))
        write = duration if self.metrics[0] == TRAIN_TIME else write
        first, *others = (spread(values, write) for values in zip(*self.values.values()))
        count = len(self.values)
        number = f' ({count} of {count + self.unfinished})' if self.unfinished else f' ({count})' if count > 1 else ''
        return ' / '.join([first + self.part, *others]) + number

    def minus(self, base: 'Measured') -> 'Measured':
        """The first metric's differences, of the seeds that both have."""
        common = {seed: (self.first[seed] - base.first[seed],) for seed in self.values if seed in base.values}
        state = 'baseline has other seeds' if base.values else f'baseline {base.state or "not run"}'
        unfinished = len(self.values) + self.unfinished - len(common)
        return Measured(self.metrics[:1], common, state, unfinished, self.part or base.part)


def cell(planner: Planner, results: Results, table: Table, row: Row, column: str) -> str:
    """The text of a cell."""
    measured = measure(planner, results, table, row, column)
    return measured.text(signed) if column.startswith(DELTA) else measured.text()


def measure(planner: Planner, results: Results, table: Table, row: Row, column: str) -> Measured:
    """The values of a column of a row.

    Of a difference they are those of the seeds that both rows have, seed by seed; a ratio is that of the means over
    these seeds. What is compared is a column's first metric, of a variant with the baseline as it is.
    """
    if not column.startswith((DELTA, RATIO)):
        source = row.source_of(column)
        return Measured() if source is None else _own(planner, results, source, source.columns[column])
    baseline, plain = table.baseline_of(row), column[len(DELTA) :]
    own = measure(planner, results, table, row, plain)
    if not own.values or baseline is None:
        return Measured(state=own.state if baseline is not None and column.startswith(DELTA) else '')
    base = measure(planner.of_variant(None), results, table, baseline, plain)
    if column.startswith(DELTA):
        return own.minus(base)
    common = own.minus(base).values
    means = [statistics.fmean(of.first[seed] for seed in common) for of in (own, base)] if common else [0, 0]
    ratio = {0: (means[0] / means[1],)} if means[1] else {}
    return Measured(own.metrics, ratio)


def _own(planner: Planner, results: Results, source: Source, metrics: Sequence[str]) -> Measured:
    of_pretraining = source.probe is None and source.file is None
    if of_pretraining and source.pretraining.step == 0:  # initial weights have taken no steps
        return Measured(metrics)
    if metrics[0] == STEP_TIME:
        run = (results.step_times or {}).get('runs', {}).get(source.pretraining.run)
        return Measured(metrics, state=f'{run["step_ms"]:.0f} + {run["data_ms"]:.0f} ms' if run else '')
    values, states, part = {}, [], ''
    for seed in results.seeds(planner, source):
        found = result_of(planner, results, source, seed)
        value = values_of(found, metrics)
        if not isinstance(value, str):
            values[seed] = value
            if metrics[0].rpartition('/')[2] == 'mIoU':
                part = part or part_of_classes(of.get('IoU') for of in found.get('classes', {}).values())
        else:  # only some pretrainings have metrics of their own
            states.append('' if of_pretraining and not isinstance(found, str) else value)
    return Measured(metrics, values, next((state for state in states if state), ''), len(states), part)


def result_of(
    planner: Planner, results: Results, source: Source, seed: int, step: int | None = None
) -> Mapping[str, Any] | str:
    """The result of a source, or in words why there is none."""
    if source.file is not None:
        return _in_file(planner.source_folder(source, seed) / source.file)
    trained = '' if source.pretraining is None else results.of(planner.pretraining(source.pretraining, seed))
    if source.probe is None:
        return trained
    if isinstance(trained, str) and trained not in ('', OTHER_SETTINGS):  # a probe there is of an earlier checkpoint
        return f'pretraining {trained}'
    return results.of(planner.probe(source, seed, step))


def values_of(result: Mapping[str, Any] | str, metrics: Sequence[str]) -> tuple[float, ...] | str:
    """The metrics of a result, or in words why one is not there."""
    if isinstance(result, str):
        return result
    values = []
    for name in metrics:
        kind, _, of = name.partition('.')
        if name == SECONDS:
            name = 'processor_seconds' if result.get('device', 'cpu') == 'cpu' else 'wall_seconds'
        value = result[name] if name in result else result.get('classes', {}).get(of, {}).get(kind)
        if value is None:
            return f'no {name} logged'
        values.append(value)
    return tuple(values)


def _in_file(file: Path) -> Mapping[str, float] | str:
    """Milliseconds by name in a JSON file, as tools/analysis_tools/benchmark.py writes them."""
    if not file.is_file():
        return ''
    content = checked(str(file), read_json(file, 'measure again'), dict(milliseconds=(dict,)), ['milliseconds'], True)
    times = content['milliseconds']
    return checked(str(file), times, dict.fromkeys(times, (int, float)))


def curve(planner: Planner, results: Results, table: Table, row: Row) -> dict[float, list[float]]:
    """The first metric over the steps or epochs of a pretraining, of the seeds whose checkpoints have been probed.

    It begins with the row's baseline, if there is one, and ends with the last checkpoint.
    """
    source = row.source_of(table.plot.y)
    points: dict[float, list[float]] = {}
    if not row.curve or source is None:
        return points
    baseline = table.baseline_of(row)
    starts = {} if baseline is None else measure(planner, results, table, baseline, table.plot.y).first
    for seed in results.seeds(planner, source):
        job = planner.pretraining(source.pretraining, seed)
        trained = results.of(job)
        steps = [*(planner.curve_steps(table, row, source, seed) or ()), None]
        own = {
            step: values_of(result_of(planner, results, source, seed, step), source.columns[table.plot.y])
            for step in steps
        }
        own = {step: value[0] for step, value in own.items() if not isinstance(value, str)}
        if isinstance(trained, str) or not set(own) - {None}:
            continue
        own = ({0: starts[seed]} if seed in starts else {}) | own
        scale = job.cfg.train_cfg.max_epochs / trained['steps'] if table.plot.x == 'epoch' else 1
        for step, value in own.items():
            points.setdefault(scale * (trained['steps'] if step is None else step), []).append(value)
    return dict(sorted(points.items()))
