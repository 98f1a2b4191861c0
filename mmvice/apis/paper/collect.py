"""The paper's tables with the results of the runs, as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from .chart import draw_chart
from .measure import NOT_RUN, measure
from .numbers import paper_figure
from .tables import Paper, Row, Table
from .templates import output_folder, picture_commands

LEGEND = (
    'Columns marked *paper* are what the paper prints; the others are read from `{}`: '
    'one run, or mean ± sample standard deviation (number of seeds).'
)


def collect(paper: Paper, tables: Sequence[Table], work_dirs: Path, charts: Path | None = None) -> str:
    """Put the results of all runs next to the paper's figures.

    Args:
        paper: The paper.
        tables: Tables to collect.
        work_dirs: Folder of the runs.
        charts: Folder for the charts of figures; None draws none.

    Returns:
        str: Markdown, with links to the charts by their file names.

    Raises:
        ValueError: If a log or result is damaged; the message names the file.
    """
    lines = [LEGEND.format(work_dirs), '']
    for table in tables:
        lines += [f'## {table.key}: {table.title}', '']
        for group in dict.fromkeys(row.group for row in table.rows):
            rows = [row for row in table.rows if row.group == group]
            lines += ([f'### {group}', ''] if group else []) + _markdown(_cells(paper, table, rows, work_dirs)) + ['']
        lines += [text for text in (_chart(paper, table, work_dirs, charts), _pictures(table, work_dirs)) if text]
        lines += [table.note.strip(), ''] if table.note else []
    return '\n'.join(lines).rstrip() + '\n'


def _cells(paper: Paper, table: Table, rows: Sequence[Row], work_dirs: Path) -> list[list[str]]:
    """Header and rows: for every column that one of the rows has, the figure of the runs, after the paper's if any."""
    columns = [column for column in table.columns if any(column in row.paper for row in rows)]
    stated = {column for row in table.rows for column, figure in row.paper.items() if figure is not None}
    cells = [['']]
    for column in columns:
        cells[0] += [f'{column}, *paper*', column] if column in stated else [column]
    for row in rows:
        line = [row.name]
        for column in columns:
            theirs, ours = '', ''
            if column in row.paper:
                theirs = paper_figure(column, row.paper[column])
                ours = (
                    'quoted' if row.quoted is not None else measure(paper, table, row, column, work_dirs).text(column)
                )
            line += [theirs, ours] if column in stated else [ours]
        cells.append(line)
    return cells


def _markdown(cells: Sequence[Sequence[str]]) -> list[str]:
    """A table whose columns are aligned in plain text too."""
    safe = [[cell.replace('|', r'\|') for cell in line] for line in cells]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*safe)]
    rows = [' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) for line in safe]
    rows.insert(1, ' | '.join('-' * width for width in widths))
    return [f'| {row} |' for row in rows]


def _chart(paper: Paper, table: Table, work_dirs: Path, charts: Path | None) -> str | None:
    if table.plot is None or charts is None:
        return None
    file = charts / f'{table.key}.png'
    return f'![{table.key}]({file.name})\n' if draw_chart(paper, table, work_dirs, file) else None


def _pictures(table: Table, work_dirs: Path) -> str:
    """Where the pictures of a figure are."""
    lines = []
    for pictures in table.pictures:
        for command in picture_commands(work_dirs, pictures):
            folder = output_folder(command)
            if folder is None:
                lines.append(f'- made by `{command}`')
            else:
                made = folder.is_dir() and any(folder.iterdir())
                lines.append(f'- pictures of `{pictures.pretrain}` in `{folder}`: {"made" if made else NOT_RUN}')
    return '\n'.join([*lines, '']) if lines else ''
