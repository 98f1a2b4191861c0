"""Line charts as inline SVG with the colours of the page."""

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 14, 26


def line_chart(
    xs: Sequence[float],
    ys: Sequence[float],
    label: str,
    reference: tuple[float, str] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Draw one curve.

    The classes ``curve``, ``reference``, ``grid`` and ``tick`` are for the page's style sheet.

    Args:
        xs: Positions, increasing.
        ys: Values; one that is not finite interrupts the curve.
        label: Alternative text of the chart.
        reference: A value to mark with a dashed line, and its name.
        low: Lower end of the value axis; by default that of the values.
        high: Upper end of the value axis; by default that of the values.

    Returns:
        str: An ``<svg>`` element.

    Raises:
        ValueError: If no value is finite, or the numbers of positions and values differ.

    Example:
        >>> line_chart([0, 10], [1.0, 0.5], 'loss').count('<polyline')
        1
    """
    if len(xs) != len(ys):
        raise ValueError(f'a curve needs as many values as places, got {len(ys)} and {len(xs)}')
    finite = [y for y in ys if math.isfinite(y)]
    if not finite:
        raise ValueError(f'{label}: no finite value to draw')
    marked = [*finite, *([reference[0]] if reference else [])]
    x_ticks = _ticks(min(xs), max(xs), 4)
    y_ticks = _ticks(min(marked) if low is None else low, max(marked) if high is None else high, 4)
    left, right = min(xs[0], x_ticks[0]), max(xs[-1], x_ticks[-1])
    bottom, top = y_ticks[0], y_ticks[-1]

    def x_of(value: float) -> float:
        return _LEFT + (value - left) / max(right - left, 1e-12) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - bottom) / max(top - bottom, 1e-12) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">']
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        x = x_of(tick)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{tick:g}</text>')
    if reference:
        y = y_of(reference[0])
        parts.append(f'<line class="reference" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        place = y + 13 if y < _TOP + 16 else y - 5
        text = escape(f'{reference[1]} = {reference[0]:.3g}')
        parts.append(f'<text class="tick" x="{_WIDTH - _RIGHT}" y="{place:.1f}" text-anchor="end">{text}</text>')
    for piece in _finite_pieces(xs, ys):
        points = ' '.join(f'{x_of(x):.1f},{y_of(y):.1f}' for x, y in piece)
        parts.append(f'<polyline class="curve" points="{points}"/>')
    return ''.join([*parts, '</svg>'])


def _finite_pieces(xs: Sequence[float], ys: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The curve, interrupted at missing values; a single point becomes a line without length."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in zip(xs, ys):
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece if len(piece) > 1 else piece * 2 for piece in pieces if piece]


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Evenly spaced round numbers, from at most ``low`` to at least ``high``."""
    span = high - low or abs(high) or 1.0
    raw = span / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]
