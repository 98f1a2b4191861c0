"""The curves and sweeps of a table as a picture."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .measure import curve, measure
from .plan import Planner
from .results import Results
from .tables import Row, Table


def draw_chart(planner: Planner, results: Results, table: Table, file: Path) -> bool:
    """Draw the runs as lines with filled marks and the paper's figures as hollow marks or dashed lines.

    Returns:
        bool: Whether there was anything to draw; nothing is written otherwise.
    """
    figure = Figure(figsize=(6.4, 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for i, (label, rows) in enumerate(_series(table).items()):
        color = f'C{i % 10}'
        _draw_paper(axes, table, rows, label, color)
        for row in rows:
            _draw_points(axes, curve(planner, results, table, row), label, color)
        _draw_points(axes, _sweep(planner, results, table, rows), label, color)
    if not axes.has_data():
        return False
    for name in table.plot.lines:
        row = table.row(name)
        if values := measure(planner, results, table, row, table.plot.y).first:
            color = 'C3' if row.pretraining is not None and row.pretraining.labelled else 'grey'
            axes.axhline(statistics.fmean(values.values()), linestyle='--', color=color, label=row.title)
    axes.set(xlabel=table.plot.x, ylabel=table.plot.y, title=table.title, xscale=table.plot.xscale)
    places = sorted({row.x for row in table.rows if row.x is not None})
    if places and table.plot.xscale == 'log':
        axes.set_xticks(places, [f'{x:g}' for x in places])
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    entries = dict(zip(*reversed(axes.get_legend_handles_labels())))  # each once
    axes.legend(list(entries.values()), list(entries), fontsize='small')
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return True


def _series(table: Table) -> dict[str, list[Row]]:
    """The rows with a place in the chart, by what the plot calls a series."""
    series: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.curve or row.x is not None:
            name = row.title if table.plot.series == 'name' else row.group
            series.setdefault(name or 'runs', []).append(row)
    return series


def _sweep(planner: Planner, results: Results, table: Table, rows: Sequence[Row]) -> dict[float, list[float]]:
    """The values of each row that has an x and a finished run."""
    found = {
        row.x: list(measure(planner, results, table, row, table.plot.y).first.values())
        for row in rows
        if not row.curve and row.source_of(table.plot.y) is not None
    }
    return {x: found[x] for x in sorted(found) if found[x]}


def _draw_points(axes: Axes, points: Mapping[float, Sequence[float]], label: str, color: str) -> None:
    if points:
        ys = tuple(statistics.fmean(values) for values in points.values())
        deviations = tuple(statistics.stdev(values) if len(values) > 1 else 0.0 for values in points.values())
        axes.errorbar(tuple(points), ys, deviations, marker='o', capsize=3, color=color, label=label)


def _draw_paper(axes: Axes, table: Table, rows: Sequence[Row], label: str, color: str) -> None:
    numbers = [(row, row.paper.get(table.plot.y)) for row in rows]
    numbers = [(row, figure) for row, figure in numbers if isinstance(figure, (int, float))]
    for row, figure in numbers:
        if row.curve:
            axes.axhline(figure, linestyle='--', color=color, label=f'{label}, paper (end)')
    points = sorted((row.x, figure) for row, figure in numbers if not row.curve)
    if points:
        axes.plot(*zip(*points), marker='o', mfc='none', linestyle=':', color=color, label=f'{label}, paper')
