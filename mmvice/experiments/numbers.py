"""How figures are written."""

import statistics
from collections.abc import Callable, Sequence

from .tables import DELTA, Figure


def paper_figure(column: str, figure: Figure) -> str:
    """A figure of the paper; a dash where it gives none.

    Example:
        >>> paper_figure('mIoU', 25.5), paper_figure('Forward', 429), paper_figure('Δ mIoU', 2.34)
        ('25.50', '429', '+2.34')
    """
    if figure is None or isinstance(figure, str):
        return figure or '–'
    form = '+' if column.startswith(DELTA) else ''
    return f'{figure:{form}d}' if isinstance(figure, int) else f'{figure:{form}.2f}'


def signed(value: float) -> str:
    """A difference."""
    return f'{value:+.2f}'


def spread(values: Sequence[float], write: Callable[[float], str]) -> str:
    """A value, or the mean of several ± their sample standard deviation.

    Example:
        >>> spread([1.0, 3.0], '{:.2f}'.format), spread([1.0], '{:.2f}'.format)
        ('2.00 ± 1.41', '1.00')
    """
    if len(values) == 1:
        return write(values[0])
    return f'{write(statistics.fmean(values))} ± {write(statistics.stdev(values)).lstrip("+")}'


def duration(seconds: float) -> str:
    """A time in the paper's manner.

    Example:
        >>> duration(19860), duration(125), duration(9.4), duration(3600), duration(-125)
        ('5h 31min', '2min', '9s', '1h 0min', '-2min')
    """
    if seconds < 0:
        return f'-{duration(-seconds)}'
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return f'{seconds:.0f}s'
    return f'{minutes // 60}h {minutes % 60}min' if minutes >= 60 else f'{minutes}min'


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table whose first line is the header, aligned in plain text too."""
    safe = [[cell.replace('|', r'\|') for cell in line] for line in cells]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*safe)]
    rows = [' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) for line in safe]
    rows.insert(1, ' | '.join('-' * width for width in widths))
    return '\n'.join(f'| {row} |' for row in rows)
