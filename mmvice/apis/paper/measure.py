"""What the runs of a row gave, seed by seed."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmvice.evaluation import part_of_classes

from .configs import load
from .folders import curve_run, curve_steps, pretraining_run, probe_run, seeds_of, source_folder
from .logs import Run, class_ious, read_pretraining, read_probe
from .numbers import summary, writer
from .tables import DELTA, TRAIN_TIME, Paper, Result, Row, Table

NOT_RUN = 'not run'


@dataclass(frozen=True)
class Measured:
    """Values of one column of a row by seed, how many seeds have none, and what to say where no seed has."""

    values: Mapping[int, float] = field(default_factory=dict)
    state: str = NOT_RUN
    is_duration: bool = False
    unfinished: int = 0
    part: str = ''
    """Over which part of the classes a mean is, where it is not over all."""

    def text(self, column: str) -> str:
        """The cell of a table."""
        if not self.values:
            return self.state
        return summary(list(self.values.values()), writer(column, self.is_duration), self.unfinished) + self.part


def measure(paper: Paper, table: Table, row: Row, column: str, work_dirs: Path) -> Measured:
    """The values of a column of a row; of a difference, seed by seed, those of the seeds that both rows have."""
    own = _own(paper, row, row.result_of(column), column, work_dirs)
    if not column.startswith(DELTA) or not own.values:
        return own
    baseline = table.baseline_of(row)
    plain = column.removeprefix(DELTA)
    base = _own(paper, baseline, baseline.result_of(plain), plain, work_dirs)
    common = {seed: value - base.values[seed] for seed, value in own.values.items() if seed in base.values}
    state = 'baseline has other seeds' if base.values else f'baseline {base.state}'
    unfinished = len(own.values) + own.unfinished - len(common)
    return Measured(common, state, own.is_duration, unfinished, own.part or base.part)


def _own(paper: Paper, row: Row, result: Result, column: str, work_dirs: Path) -> Measured:
    values: dict[int, float] = {}
    states: list[str] = []
    part = ''
    for seed in seeds_of(work_dirs, result):
        value = _of_seed(paper, row, result, result.metrics[column], seed, work_dirs)
        if isinstance(value, str):
            states.append(value)
        else:
            values[seed] = value
            part = part or _part(result, result.metrics[column], seed, work_dirs)
    started = [state for state in states if state != NOT_RUN]
    return Measured(values, started[0] if started else NOT_RUN, result.source == TRAIN_TIME, len(states), part)


def _of_seed(paper: Paper, row: Row, result: Result, metric: str, seed: int, work_dirs: Path) -> float | str:
    """A value, or in words why there is none."""
    if result.source not in (None, TRAIN_TIME):
        return _in_file(source_folder(work_dirs, result, seed) / result.source, metric)
    trained = None
    if result.pretrain is not None:
        trained = read_pretraining(pretraining_run(work_dirs, result.pretrain, seed), load(paper, result.pretrain))
    if trained is not None and not trained.finished:  # a probe there is of an earlier checkpoint
        return trained.progress if result.source == TRAIN_TIME else f'pretraining {trained.progress}'
    if result.source == TRAIN_TIME:
        return NOT_RUN if trained is None else trained.train_time
    if row.curve and trained is None:
        return NOT_RUN
    folder = curve_run(work_dirs, result, seed, trained.total) if row.curve else probe_run(work_dirs, result, seed)
    probe = read_probe(folder, load(paper, result.probe, result.options))
    return NOT_RUN if probe is None else _metric(probe, metric)


def _part(result: Result, metric: str, seed: int, work_dirs: Path) -> str:
    """Over which part of the classes a measured mIoU is; nothing where it is over all, or is another number."""
    if result.probe is None or metric.rpartition('/')[2] != 'mIoU':
        return ''
    return part_of_classes(class_ious(probe_run(work_dirs, result, seed)))


def _metric(probe: Run, name: str) -> float | str:
    if not probe.finished:
        return probe.progress
    return probe.metrics.get(name, f'no {name} logged')


def _in_file(file: Path, name: str) -> float | str:
    """A number of milliseconds in a JSON file.

    Raises:
        ValueError: If the file is not what a benchmark writes.
    """
    if not file.is_file():
        return NOT_RUN
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{file} is no JSON file: {error}') from error
    times = content.get('milliseconds') if isinstance(content, dict) else None
    if not isinstance(times, dict):
        raise ValueError(f"{file} has no 'milliseconds' that map names to numbers")
    if name not in times:
        return f'no {name} in {file.name}'
    if isinstance(times[name], bool) or not isinstance(times[name], (int, float)):
        raise ValueError(f'{file}: {name} must be a number, got {times[name]!r}')
    return times[name]


@dataclass(frozen=True)
class Point:
    """A point of a chart: mean, and sample standard deviation if there are several seeds."""

    x: float
    y: float
    deviation: float

    @classmethod
    def of(cls, x: float, values: list[float]) -> 'Point':
        """The point of one or several values."""
        return cls(x, statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


def curve(paper: Paper, table: Table, row: Row, work_dirs: Path) -> list[Point]:
    """The measured points of a row whose checkpoints have all been probed, or some of them.

    Raises:
        ValueError: If steps have to be shown as epochs, and the pretraining's log does not tell how many there are.
    """
    result = row.result_of(table.plot.y)
    values: dict[float, list[float]] = {}
    if result is None:
        return []
    cfg, probe_cfg = load(paper, result.pretrain), load(paper, result.probe, result.options)
    for seed in seeds_of(work_dirs, result):
        run = pretraining_run(work_dirs, result.pretrain, seed)
        for step in curve_steps(work_dirs, result, seed):
            probe = read_probe(curve_run(work_dirs, result, seed, step), probe_cfg)
            value = NOT_RUN if probe is None else _metric(probe, result.metrics[table.plot.y])
            if not isinstance(value, str):
                values.setdefault(_place(table.plot.x, step, run, cfg), []).append(value)
    return [Point.of(x, values[x]) for x in sorted(values)]


def _place(axis: str, step: int, run: Path, cfg: Mapping) -> float:
    """A step as the axis counts."""
    if axis == 'step':
        return step
    total = read_pretraining(run, cfg).total
    if total is None:
        raise ValueError(f'{run}: there is no training log that tells how many steps an epoch has')
    return step * cfg.train_cfg.max_epochs / total
