"""The curves and sweeps of a figure as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .measure import Point, curve, measure
from .tables import Paper, Row, Table


def draw_chart(paper: Paper, table: Table, work_dirs: Path, file: Path) -> bool:
    """Draw the runs as lines with filled marks and the paper's figures as hollow marks or dashed lines.

    Returns:
        bool: Whether there was anything to draw; nothing is written otherwise.
    """
    figure = Figure(figsize=(6.4, 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    series = _series(table)
    for i, (name, rows) in enumerate(series.items()):
        color = f'C{i % 10}'
        label = name or 'runs'
        _draw_paper(axes, table, rows, label, color)
        for row in rows:
            if row.curve:
                _draw_points(axes, curve(paper, table, row, work_dirs), label, color)
        _draw_points(axes, _sweep(paper, table, rows, work_dirs), label, color)
    if not axes.has_data():
        return False
    axes.set(xlabel=table.plot.x, ylabel=table.plot.y, title=table.title, xscale=table.plot.xscale)
    places = sorted({row.x for row in table.rows if row.x is not None})
    if places and table.plot.xscale == 'log':
        axes.set_xticks(places, [f'{x:g}' for x in places])
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(*_each_once(axes), fontsize='small')
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return True


def _series(table: Table) -> dict[str, list[Row]]:
    """The rows with a place in the chart, by what the plot calls a series."""
    series: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.curve or row.x is not None:
            series.setdefault(getattr(row, table.plot.series) or '', []).append(row)
    return series


def _sweep(paper: Paper, table: Table, rows: Sequence[Row], work_dirs: Path) -> list[Point]:
    """A point for each row that has an x and a finished run."""
    points = []
    for row in rows:
        if not row.curve and row.result_of(table.plot.y) is not None:
            measured = measure(paper, table, row, table.plot.y, work_dirs)
            if measured.values:
                points.append(Point.of(row.x, list(measured.values.values())))
    return sorted(points, key=lambda point: point.x)


def _draw_points(axes: Axes, points: Sequence[Point], label: str, color: str) -> None:
    if points:
        xs, ys, deviations = zip(*((point.x, point.y, point.deviation) for point in points))
        axes.errorbar(xs, ys, deviations, marker='o', capsize=3, color=color, label=label)


def _draw_paper(axes: Axes, table: Table, rows: Sequence[Row], label: str, color: str) -> None:
    given = [(row, row.paper.get(table.plot.y)) for row in rows]
    numbers = [(row, figure) for row, figure in given if isinstance(figure, (int, float))]
    for row, figure in numbers:
        if row.curve:
            axes.axhline(figure, linestyle='--', color=color, label=f'{label}, paper (end)')
    points = sorted((row.x, figure) for row, figure in numbers if not row.curve)
    if points:
        axes.plot(*zip(*points), marker='o', mfc='none', linestyle=':', color=color, label=f'{label}, paper')


def _each_once(axes: Axes) -> tuple[list, list[str]]:
    """Legend entries without repetition."""
    entries = dict(zip(*reversed(axes.get_legend_handles_labels())))
    return list(entries.values()), list(entries)
