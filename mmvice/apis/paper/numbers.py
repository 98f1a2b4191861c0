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
    if figure is None:
        return '–'
    if isinstance(figure, str):
        return figure
    if isinstance(figure, int):
        return f'{figure:+d}' if column.startswith(DELTA) else str(figure)
    return f'{figure:+.2f}' if column.startswith(DELTA) else f'{figure:.2f}'


def summary(values: Sequence[float], write: Callable[[float], str], unfinished: int = 0) -> str:
    """One value, or mean ± sample standard deviation and in parentheses the number of values.

    Args:
        values: One for each seed that has finished.
        write: How a number is written.
        unfinished: Seeds that were started and have no value.

    Example:
        >>> summary([1.0, 3.0], '{:.2f}'.format), summary([1.0], '{:.2f}'.format, unfinished=2)
        ('2.00 ± 1.41 (2)', '1.00 (1 of 3)')
    """
    number = f'{len(values)} of {len(values) + unfinished}' if unfinished else str(len(values))
    if len(values) == 1:
        return write(values[0]) + (f' ({number})' if unfinished else '')
    return f'{write(statistics.fmean(values))} ± {write(statistics.stdev(values)).lstrip("+")} ({number})'


def writer(column: str, is_duration: bool) -> Callable[[float], str]:
    """How the values of a column are written."""
    if is_duration:
        return duration
    return '{:+.2f}'.format if column.startswith(DELTA) else '{:.2f}'.format


def duration(seconds: float) -> str:
    """A time in the paper's manner.

    Example:
        >>> duration(19860), duration(125), duration(9.4), duration(3600)
        ('5h 31min', '2min', '9s', '1h 0min')
    """
    if seconds < 0:
        return f'-{duration(-seconds)}'
    if seconds < 59.5:
        return f'{seconds:.0f}s'
    minutes = round(seconds / 60)
    return f'{minutes // 60}h {minutes % 60}min' if minutes >= 60 else f'{minutes}min'
