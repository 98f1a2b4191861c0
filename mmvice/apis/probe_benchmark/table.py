"""The results of a benchmark as Markdown: nothing is filled in that has not been run."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvice.apis.paper.numbers import duration
from mmvice.evaluation import part_of_classes

from .reader import Benchmark, Row
from .results import of_these_settings, read_results
from .step_times import read_step_times

Result = Mapping[str, Any]
LEGEND = (
    'mIoU / aAcc in percent; mean ± sample standard deviation over seeds, their number in parentheses. Empty: not run. '
    'Step: training step + loading its batch, of all rows in turn on one machine; pretraining: time of the '
    'processor with set-up, on a GPU elapsed time.'
)


class Results:
    """Results of one size, looked up by what they are of.

    Args:
        results: Results of any sizes and splits.
        size: The size that counts.
        split: The split that counts; a pretraining without labels is of both.
        step_times: How long steps take, if that has been measured.
    """

    def __init__(
        self, results: Iterable[Result], size: str, split: str, step_times: Mapping[str, Any] | None = None
    ) -> None:
        self.size, self.step_times = size, step_times
        self.all = [result for result in results if result['size'] == size and result['split'] in (split, None)]

    def of(
        self, run: str, probe: str | None, embedder: str | None, variant: str | None = None, step: int | None = None
    ) -> dict[int, Result]:
        """Results by seed.

        Raises:
            ValueError: If two results are of the same training.
        """
        found: dict[int, Result] = {}
        for result in self.all:
            key = (result['run'], result['probe'], result['embedder'], result['variant'], result['step'])
            if key != (run, probe, embedder, variant, step):
                continue
            if result['seed'] in found:
                raise ValueError(f'two results are of {run}, {embedder}, {probe}, seed {result["seed"]}: take one away')
            found[result['seed']] = result
        return found

    def of_row(self, row: Row, probe: str, variant: str | None = None) -> dict[int, Result]:
        """Results of a probe of a row, by seed."""
        return self.of(row.run, probe, row.embedder, variant)

    def variants(self) -> list[str | None]:
        """Names of all variants, that of the benchmark itself first."""
        return sorted({result['variant'] for result in self.all}, key=lambda name: (name is not None, name or ''))


def load_results(benchmark: Benchmark, folder: Path, size: str, split: str) -> tuple[Results, list[str]]:
    """All results under a folder, with step times; for the table those alone that are of the benchmark as it is now.

    Returns:
        tuple: The results, and the names of trainings that are left out, as they are of other settings.

    Raises:
        ValueError: If a file is damaged.
    """
    found, others = read_results(folder), []
    if split == 'table':
        found, others = of_these_settings(benchmark, found, size)
    return Results(found, size, split, read_step_times(folder, size)), others


def table(benchmark: Benchmark, results: Results) -> str:
    """The table of all rows, what the differences are, and the classes of the best rows."""
    sections = [main_table(benchmark, results), comparisons(benchmark, results), curve(benchmark, results)]
    sections += [classes(benchmark, results), origins(results)]
    return '\n\n'.join([LEGEND, *(part for part in sections if part)]) + '\n'


def main_table(benchmark: Benchmark, results: Results, variant: str | None = None) -> str:
    """A row for each, a column for each probe."""
    lines = [['', *benchmark.probes, *_ratio_titles(benchmark), 'end to end', 'pretraining', 'step']]
    for row in benchmark.rows.values():
        cells = [_cell(results.of_row(row, probe, variant).values()) for probe in benchmark.probes]
        ratios = _ratios(benchmark, results, row, variant)
        lines.append([row.title, *cells, *ratios, *_training(results, row, variant), _step(results, row)])
    return markdown(lines)


def tried_table(benchmark: Benchmark, results: Results) -> str:
    """What was tried: a line for each row and variant that has a result."""
    lines = [['row', 'variant', 'settings', *benchmark.probes, *_ratio_titles(benchmark), 'end to end', 'pretraining']]
    for row in benchmark.rows.values():
        for variant in results.variants():
            cells = [_cell(results.of_row(row, probe, variant).values()) for probe in benchmark.probes]
            pretraining = results.of(row.run, None, None, variant)
            if not any(cells) and (not pretraining or row.run != row.name):  # a row may be of another one's pretraining
                continue
            settings = _tried(pretraining.values()) | _tried(
                result for probe in benchmark.probes for result in results.of_row(row, probe, variant).values()
            )
            text = ', '.join(f'`{key}={value}`' for key, value in settings.items())
            ratios = _ratios(benchmark, results, row, variant)
            lines.append([row.name, variant or '', text, *cells, *ratios, *_training(results, row, variant)])
    return '\n\n'.join([LEGEND, markdown(lines)]) + '\n'


def comparisons(benchmark: Benchmark, results: Results) -> str:
    """Differences of pairs of rows, over the seeds that both have."""
    lines = [['difference in mIoU', *benchmark.probes]]
    for first, second in benchmark.comparisons:
        cells = []
        for probe in benchmark.probes:
            ours, theirs = (results.of_row(benchmark.rows[name], probe) for name in (first, second))
            differences = [ours[seed]['mIoU'] - theirs[seed]['mIoU'] for seed in sorted(ours.keys() & theirs.keys())]
            cells.append(_summary(differences, '{:+.2f}') if differences else '')
        if any(cells):
            lines.append([f'{benchmark.rows[first].title} − {benchmark.rows[second].title}', *cells])
    return markdown(lines) if len(lines) > 1 else ''


def curve(benchmark: Benchmark, results: Results) -> str:
    """mIoU over the steps of pretraining, of the rows with a curve."""
    lines = []
    for row in benchmark.rows.values():
        points = curve_points(benchmark, results, row) if row.curve else {}
        if len(points) > 1:
            lines += [
                [f'{row.title}, {benchmark.curve_probe}', *map(str, points)],
                ['mIoU', *map('{:.2f}'.format, points.values())],
            ]
    return markdown(lines) if lines else ''


def curve_points(benchmark: Benchmark, results: Results, row: Row) -> dict[int, float]:
    """mIoU by step of the pretraining, from seed 0; the first one is that of the random initialisation."""
    steps = {r['step'] for r in results.all if r['run'] == row.run and r['step'] is not None and r['variant'] is None}
    start = results.of_row(benchmark.rows[benchmark.baselines[row.embedder]], benchmark.curve_probe)
    points = {0: start[0]['mIoU']} if 0 in start else {}
    for step in sorted(steps):
        found = results.of(row.run, benchmark.curve_probe, row.embedder, step=step)
        points.update({step: found[0]['mIoU']} if 0 in found else {})
    last, trained = results.of_row(row, benchmark.curve_probe), results.of(row.run, None, None)
    if 0 in last and 0 in trained:
        points[trained[0]['steps']] = last[0]['mIoU']
    return points


def best_rows(benchmark: Benchmark, results: Results) -> list[Row]:
    """The best pretrained row of each embedder by the mean mIoU of the curve's probe, of rows with the most seeds.

    Embedders are not compared with each other; one without a row that has been probed has no best.
    """
    pretrained = [row for row in benchmark.rows.values() if benchmark.is_pretrained(row)]
    most = max((row.seeds for row in pretrained), default=0)
    scored: dict[str, list[tuple[float, Row]]] = {}
    for row in pretrained:
        found = results.of_row(row, benchmark.curve_probe).values()
        if found and row.seeds == most:
            score = statistics.fmean(result['mIoU'] for result in found)
            scored.setdefault(row.embedder, []).append((score, row))
    return [max(rows, key=lambda pair: pair[0])[1] for rows in scored.values()]


def classes(benchmark: Benchmark, results: Results) -> str:
    """IoU of every class, of the best rows, each after its baseline, and of the rows with labels."""
    best = best_rows(benchmark, results)
    if not best:
        return ''
    rows = [row for chosen in best for row in (benchmark.rows[benchmark.baselines[chosen.embedder]], chosen)]
    rows += [row for row in benchmark.rows.values() if row.labelled]
    columns = {row.title: found for row in rows if (found := results.of_row(row, benchmark.curve_probe))}
    names = next(iter(columns[best[0].title].values()))['classes']
    lines = [[f'IoU, {benchmark.curve_probe}', *columns]]
    for name in names:
        values = [[result['classes'][name]['IoU'] for result in found.values()] for found in columns.values()]
        known = [[value for value in column if value is not None] for column in values]
        lines.append([name, *(_summary(column, '{:.2f}') if column else '' for column in known)])
    return markdown(lines)


def origins(results: Results) -> str:
    """Where the results come from, so that those of several revisions or devices can be told."""
    revisions = {(result.get('git_revision') or 'unknown')[:10] for result in results.all}
    versions = {f'torch {result["versions"]["torch"]}' for result in results.all if 'versions' in result}
    devices = {result['device'] for result in results.all if 'device' in result}
    found = [f'revision {", ".join(sorted(revisions))}', *sorted(versions), *sorted(devices)]
    return f'From {len(results.all)} trainings: {"; ".join(found)}.' if results.all else ''


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table whose first line is the header, aligned in plain text too."""
    safe = [[cell.replace('|', r'\|') for cell in line] for line in cells]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*safe)]
    rows = [' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) for line in safe]
    rows.insert(1, ' | '.join('-' * width for width in widths))
    return '\n'.join(f'| {row} |' for row in rows)


def _tried(found: Iterable[Result]) -> dict[str, Any]:
    """Settings that were tried, those of probes by the probe's name."""
    settings = {}
    for result in found:
        settings |= result['variant_options']
        settings |= {f'probe: {key}': value for key, value in result.get('probe_options', {}).items()}
    return settings


def _cell(found: Iterable[Result]) -> str:
    found = list(found)
    if not found:
        return ''
    miou, acc = ([result[name] for result in found] for name in ('mIoU', 'aAcc'))
    number = f' ({len(found)})' if len(found) > 1 else ''
    part = part_of_classes(of['IoU'] for of in found[0].get('classes', {}).values())
    return f'{_summary(miou, "{:.2f}", False)}{part} / {_summary(acc, "{:.2f}", False)}{number}'


def _summary(values: Sequence[float], form: str, counted: bool = True) -> str:
    if len(values) == 1:
        return form.format(values[0])
    number = f' ({len(values)})' if counted else ''
    return f'{form.format(statistics.fmean(values))} ± {statistics.stdev(values):.2f}{number}'


def _linear_probes(benchmark: Benchmark) -> list[str]:
    return [name for name, probe in benchmark.probes.items() if probe.config == 'linear']


def _ratio_titles(benchmark: Benchmark) -> list[str]:
    return [f'× random, {name}' for name in _linear_probes(benchmark)]


def _ratios(benchmark: Benchmark, results: Results, row: Row, variant: str | None) -> list[str]:
    """Mean mIoU of linear probes relative to that of a network that has learned nothing, over the seeds of both."""
    if row.embedder not in benchmark.baselines:
        return [''] * len(_linear_probes(benchmark))
    baseline = benchmark.rows[benchmark.baselines[row.embedder]]
    cells = []
    for probe in _linear_probes(benchmark):
        both = [results.of_row(row, probe, variant), results.of_row(baseline, probe)]
        seeds = both[0].keys() & both[1].keys()
        means = [statistics.fmean(found[seed]['mIoU'] for seed in seeds) for found in both if seeds]
        cells.append(f'{means[0] / means[1]:.2f}' if means and means[1] else '')
    return cells


def _training(results: Results, row: Row, variant: str | None) -> list[str]:
    """The pretraining's own metrics, where it has some, and how long it took: by the processor's time on the CPU."""
    found = list(results.of(row.run, None, None, variant).values())
    if row.step == 0:
        return ['', '']
    measured = [result for result in found if result.get('mIoU') is not None]
    kind = 'processor_seconds' if results.size == 'cpu' else 'wall_seconds'
    seconds = [result[kind] for result in found if kind in result]
    return [_cell(measured), duration(statistics.fmean(seconds)) if seconds else '']


def _step(results: Results, row: Row) -> str:
    """How long a step takes, and loading its batch, in milliseconds."""
    found = (results.step_times or {}).get('runs', {}).get(row.run)
    return '' if found is None or row.step == 0 else f'{found["step_ms"]:.0f} + {found["data_ms"]:.0f} ms'
