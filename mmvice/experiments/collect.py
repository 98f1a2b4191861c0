"""Tables as Markdown, filled with results; nothing is filled in that has not been run."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .chart import draw_chart
from .measure import STEP_TIME, cell, curve, measure, result_of
from .numbers import markdown, paper_figure, signed, spread
from .pictures import picture_lines
from .plan import Planner
from .results import Results
from .tables import DELTA, RATIO, Row, Table
from .templates import output_folder

LEGEND = (
    'Columns marked *paper* are what the paper prints; the others are of the runs in `{}` and of kept results: one '
    'run, or mean ± sample standard deviation (number of seeds). Empty: not run. Δ and ×: difference from the '
    'baseline, and ratio to it, over the seeds of both. pretraining: time of the processor with set-up, on a GPU '
    'elapsed time; step: training step + loading its batch.'
)


def collect(
    planner: Planner, results: Results, tables: Sequence[Table], charts: Path | None = None, alone: bool = False
) -> str:
    """Put the results of all runs into tables, next to the paper's figures.

    Args:
        planner: What the results are of.
        results: Where they are.
        tables: Tables to collect.
        charts: Folder for the charts of figures; None draws none.
        alone: The tables alone, without headings, legend, notes, charts and pictures.

    Returns:
        str: Markdown, with links to the charts by their file names.

    Raises:
        ValueError: If a log or result is damaged; the message names the file.
    """
    parts = [] if alone else [LEGEND.format(planner.work_dirs)]
    for table in tables:
        own = [*_main(planner, results, table, alone), *_differences(planner, results, table)]
        own += [*_curves(planner, results, table), *_classes(planner, results, table)]
        if not alone:
            file = None if charts is None or table.plot is None else charts / f'{table.key}.png'
            drawn = file is not None and draw_chart(planner, results, table, file)
            own = [f'## {table.key}: {table.title}', *own, f'![{table.key}]({file.name})' if drawn else '']
            own += [_pictures(planner, table), table.note]
        parts += [part for part in own if part]
    return '\n\n'.join([*parts, *_origins(results)]) + '\n'


def _main(planner: Planner, results: Results, table: Table, alone: bool) -> list[str]:
    """The rows of every group: for each column the figure of the runs, after the paper's if any."""
    parts, chosen = [], planner.rows_of(table)
    stated = {column for row in table.rows for column, figure in row.paper.items() if figure is not None}
    for group in dict.fromkeys(row.group for row in chosen):
        rows = [row for row in chosen if row.group == group]
        columns = [column for column in table.columns if any(_has(row, column) for row in rows)]
        lines = [['', *(name for c in columns for name in ([f'{c}, *paper*', c] if c in stated else [c]))]]
        for row in rows:
            lines.append([row.title])
            for column in columns:
                has = _has(row, column)
                theirs = [paper_figure(column, row.paper.get(column)) if has else ''] if column in stated else []
                ours = cell(planner, results, table, row, column) if row.sources else 'quoted' * has
                lines[-1] += [*theirs, ours]
        parts += [*([f'### {group}'] if group and not alone else []), markdown(lines)]
    return parts


def _has(row: Row, column: str) -> bool:
    derived = column.startswith((DELTA, RATIO)) and row.baseline is not None
    return column in row.paper or row.source_of(column[len(DELTA) :] if derived else column) is not None


def _differences(planner: Planner, results: Results, table: Table) -> list[str]:
    """Differences of pairs of rows by every probe, seed by seed."""
    columns = _probed(table)
    metrics = {row.source_of(c).columns[c][0] for row in table.rows for c in columns if row.source_of(c)}
    lines = [['difference' + (f' in {metrics.pop()}' if len(metrics) == 1 else ''), *columns]]
    for pair in table.differences:
        first, second = (table.row(name) for name in pair)
        both = [[measure(planner, results, table, row, column) for row in (first, second)] for column in columns]
        found = [ours.minus(theirs) for ours, theirs in both]
        if any(difference.values for difference in found):
            cells = [difference.text(signed) if difference.values else '' for difference in found]
            lines.append([f'{first.title} − {second.title}', *cells])
    return [markdown(lines)] if len(lines) > 1 else []


def _probed(table: Table) -> list[str]:
    """The columns that probes give."""
    given = {column for row in table.rows for s in row.sources if s.probe and not s.file for column in s.columns}
    return [column for column in table.columns if column in given]


def _curves(planner: Planner, results: Results, table: Table) -> list[str]:
    """Means over the steps or epochs of pretraining, of the rows with a curve."""
    parts = []
    for row in planner.rows_of(table) if table.plot is not None else ():
        points = curve(planner, results, table, row)
        if len(points) > 1:
            metric = row.source_of(table.plot.y).columns[table.plot.y][0]
            means = [f'{statistics.fmean(values):.2f}' for values in points.values()]
            parts.append(markdown([[f'{row.title}, {table.plot.y}', *(f'{x:g}' for x in points)], [metric, *means]]))
    return parts


def best_rows(planner: Planner, results: Results, table: Table, column: str) -> list[Row]:
    """The best pretrained row of each baseline by the mean of a column, of the rows with the most seeds.

    Rows of other baselines are not compared with each other; a baseline without a row that has been probed has no best.
    """
    pretrained = [row for row in table.rows if row.pretrained and row.baseline not in (None, row.name)]
    most = max((row.seeds for row in pretrained), default=0)
    scored: dict[str, list[tuple[float, Row]]] = {}
    for row in pretrained:
        values = measure(planner, results, table, row, column).first.values()
        if values and row.seeds == most:
            scored.setdefault(row.baseline, []).append((statistics.fmean(values), row))
    return [max(rows, key=lambda pair: pair[0])[1] for rows in scored.values()]


def _classes(planner: Planner, results: Results, table: Table) -> list[str]:
    """IoU of every class, of the best rows, each after its baseline, and of the rows with labels."""
    best = best_rows(planner, results, table, table.classes) if table.classes else []
    if not best:
        return []
    rows = [row for chosen in best for row in (table.baseline_of(chosen), chosen)]
    rows += [row for row in table.rows if row.pretraining is not None and row.pretraining.labelled]
    columns: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        source = row.source_of(table.classes)
        found = [result_of(planner, results, source, seed) for seed in results.seeds(planner, source)]
        columns[row.title] = [result['classes'] for result in found if not isinstance(result, str)]
    columns = {title: found for title, found in columns.items() if found}
    lines = [[f'IoU, {table.classes}', *columns]]
    for name in columns[best[0].title][0]:
        values = [[of[name]['IoU'] for of in column if of[name]['IoU'] is not None] for column in columns.values()]
        numbers = [f' ({len(column)})' * (len(column) > 1) for column in values]
        lines.append([name, *(spread(v, '{:.2f}'.format) + n if v else '' for v, n in zip(values, numbers))])
    return [markdown(lines)]


def _origins(results: Results) -> list[str]:
    """Where the results come from, so that those of several revisions or devices can be told."""
    noted = [result for result in results.used.values() if 'git_revision' in result]
    revisions = sorted({(result['git_revision'] or 'unknown')[:10] for result in noted})
    versions = {f'torch {result["versions"]["torch"]}' for result in noted if 'versions' in result}
    devices = {result['device'] for result in noted if 'device' in result}
    origins = [f'revision {", ".join(revisions)}', *sorted(versions), *sorted(devices)]
    return [f'From {len(noted)} trainings: {"; ".join(origins)}.'] if noted else []


def _pictures(planner: Planner, table: Table) -> str:
    """Where the pictures of a figure are."""
    lines = []
    for line in (line for pictures in table.pictures for line in picture_lines(planner, table, pictures)):
        folder = output_folder(line)
        made = 'made' if folder is not None and folder.is_dir() and any(folder.iterdir()) else 'not made'
        lines.append(f'- pictures made by `{line}`' if folder is None else f'- pictures in `{folder}`: {made}')
    return '\n'.join(lines)


def tried(planner: Planner, results: Results, tables: Sequence[Table], alone: bool = False) -> str:
    """What was tried: a line for each row and variant that has a result, with the settings.

    Args:
        planner: Its variant does not matter.
        results: Results of any settings (``of_settings=False``).
        tables: Tables to collect.
        alone: The tables alone, without headings and legend.
    """
    parts = [] if alone else [LEGEND.format(planner.work_dirs)]
    for table in tables:
        step_times = {c for row in table.rows for s in row.sources for c in s.columns if STEP_TIME in s.columns[c]}
        columns = [column for column in table.columns if column not in step_times]
        lines, probed = [['row', 'variant', 'settings', *columns]], _probed(table)
        for row in planner.rows_of(table):
            first = next(other for other in table.rows if other.pretraining == row.pretraining) is row
            for own in (planner.of_variant(name) for name in results.variants(planner)):
                cells = {column: cell(own, results, table, row, column) for column in columns}
                if any(cells[column] for column in probed) or (first and any(cells.values())):
                    settings = ', '.join(f'`{key}={value}`' for key, value in _settings(own, results, row).items())
                    lines.append([row.name, own.variant or '', settings, *cells.values()])
        shown = [column for column in zip(*lines) if column[0] in lines[0][:3] or any(column[1:])]
        parts += [*([] if alone else [f'## {table.key}: {table.title}']), markdown(list(zip(*shown)))]
    return '\n\n'.join(parts) + '\n'


def _settings(planner: Planner, results: Results, row: Row) -> dict[str, Any]:
    """Settings that were tried, of the pretraining and of the probes."""
    settings: dict[str, Any] = {}
    for source in planner.sources_of(row):
        for seed in results.seeds(planner, source):
            needs = [] if source.pretraining is None else [planner.pretraining(source.pretraining, seed)]
            for result in map(results.of, [*needs, *([planner.probe(source, seed)] if source.probe else [])]):
                if not isinstance(result, str):
                    settings |= result['variant_options']
                    settings |= {f'probe: {key}': value for key, value in result.get('probe_options', {}).items()}
    return settings
