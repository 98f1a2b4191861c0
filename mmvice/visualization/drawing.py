"""Pictures of label maps, and sheets of pictures; all images are RGB uint8 (H, W, 3)."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_INK, _FAINT_INK, _PAPER = (24, 24, 27), (90, 90, 98), (255, 255, 255)


def draw_labels(
    labels: np.ndarray,
    colors: np.ndarray | Sequence,
    image: np.ndarray | None = None,
    alpha: float = 0.6,
    border: bool = True,
) -> np.ndarray:
    """Paint a label map, alone or over its image.

    Args:
        labels: Integer ids (H, W). Pixels without a colour (negative ids, or 255 for "ignore") show the image, or grey
            without one.
        colors: (n, 3) RGB, one for each id.
        image: The image (H, W, 3), or None.
        alpha: Opacity of the colours over the image, 0 to 1.
        border: Draw thin white lines between labels.

    Returns:
        numpy.ndarray: The picture (H, W, 3).

    Raises:
        ValueError: If labels and image differ in size.
    """
    labels, colors = np.asarray(labels), np.asarray(colors, dtype=np.uint8).reshape(-1, 3)
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f'labels must be an integer map (H, W), got {labels.dtype} {labels.shape}')
    if image is not None and image.shape != (*labels.shape, 3):
        raise ValueError(f'image must be {(*labels.shape, 3)} like its labels, got {image.shape}')
    known = (labels >= 0) & (labels < len(colors))
    canvas = np.full((*labels.shape, 3), 128, np.uint8) if image is None else image.copy()
    painted = colors[labels[known]]
    if image is not None:
        painted = np.rint(alpha * painted + (1 - alpha) * image[known]).astype(np.uint8)
    canvas[known] = painted
    if border:
        edge = np.zeros(labels.shape, bool)
        edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        edge[1:] |= labels[1:] != labels[:-1]
        canvas[edge] = 255 - (255 - canvas[edge]) // 3
    return canvas


def fit_within(image: np.ndarray, long_side: int) -> np.ndarray:
    """Downsize an image to a longer side of at most ``long_side`` pixels; return smaller ones unchanged."""
    height, width = image.shape[:2]
    if max(height, width) <= long_side:
        return image
    scale = long_side / max(height, width)
    return cv2.resize(
        image, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA
    )


def enlarge_small(image: np.ndarray, short_side: int) -> np.ndarray:
    """Repeat the pixels of a small image or label map, to a shorter side of about ``short_side`` pixels."""
    factor = max(round(short_side / min(image.shape[:2])), 1)
    return image.repeat(factor, 0).repeat(factor, 1)


def panel(
    rows: Sequence[Sequence[np.ndarray | None]],
    titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    gap: int = 8,
) -> np.ndarray:
    """Lay out pictures in a grid, with a title above each column.

    Args:
        rows: Rows of pictures of any sizes; None leaves a cell empty.
        titles: Titles of the columns, or none.
        row_titles: Titles above the rows, or none.
        gap: White pixels around the pictures.

    Returns:
        numpy.ndarray: One picture.

    Raises:
        ValueError: If there is no picture, or the numbers of titles and pictures differ.
    """
    num_columns = max((len(row) for row in rows), default=0)
    if not any(cell is not None for row in rows for cell in row):
        raise ValueError('a panel needs at least one picture')
    if titles and len(titles) != num_columns:
        raise ValueError(f'{num_columns} columns need as many titles, got {list(titles)}')
    if row_titles and len(row_titles) != len(rows):
        raise ValueError(f'{len(rows)} rows need as many titles, got {list(row_titles)}')
    sizes = np.zeros((len(rows), num_columns, 2), dtype=np.int64)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            sizes[y, x] = (0, 0) if cell is None else cell.shape[:2]
    heights, widths = sizes[..., 0].max(1), sizes[..., 1].max(0)
    font_size = int(np.clip(widths.max() // 22, 11, 22))
    line = font_size * 3 // 2
    above_row = line if row_titles else 0
    lefts = gap + np.concatenate([[0], np.cumsum(widths + gap)])
    tops = gap + (line if titles else 0) + above_row + np.concatenate([[0], np.cumsum(heights + gap + above_row)])
    canvas = Image.new('RGB', (int(lefts[-1]), int(tops[-1] - above_row)), _PAPER)
    pen = ImageDraw.Draw(canvas)
    for x, title in enumerate(titles):
        _write(pen, (int(lefts[x]), gap), title, font_size, int(widths[x]), _INK)
    for y, row in enumerate(rows):
        if row_titles:
            room = int(lefts[-1]) - 2 * gap
            _write(pen, (gap, int(tops[y]) - line), row_titles[y], font_size - 1, room, _FAINT_INK)
        for x, cell in enumerate(row):
            if cell is not None:
                canvas.paste(Image.fromarray(np.ascontiguousarray(cell)), (int(lefts[x]), int(tops[y])))
    return np.array(canvas)


def legend(names: Sequence[str], colors: np.ndarray | Sequence, width: int) -> np.ndarray:
    """A legend: names with swatches of their colours, in as many lines as the width needs.

    Args:
        names: n names.
        colors: (n, 3) RGB.
        width: Width of the picture in pixels.

    Returns:
        numpy.ndarray: A picture (H, width, 3).
    """
    font_size = int(np.clip(width // 80, 11, 18))
    line, margin = font_size * 7 // 4, 8
    places, x, y = [], margin, 0
    for name in names:
        entry = int(line + sans_serif(font_size).getlength(name) + font_size)
        if x > margin and x + entry > width:
            x, y = margin, y + line
        places.append((x, y))
        x += entry
    canvas = Image.new('RGB', (width, y + line + margin), _PAPER)
    pen = ImageDraw.Draw(canvas)
    for name, color, (x, y) in zip(names, colors, places):
        swatch = tuple(int(c) for c in color)
        pen.rectangle((x, y + 2, x + font_size, y + 2 + font_size), fill=swatch, outline=_FAINT_INK)
        _write(pen, (x + font_size + 5, y), name, font_size, width, _INK)
    return np.array(canvas)


def stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures one below the other on white paper."""
    width = max(picture.shape[1] for picture in pictures)
    widened = [
        np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255) for picture in pictures
    ]
    return np.concatenate(widened)


@lru_cache(maxsize=32)
def sans_serif(size: int) -> ImageFont.FreeTypeFont:
    """The font of all pictures, at a size in pixels; it has Latin, Greek and Cyrillic letters."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')), size)


def _write(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, room: int, ink: tuple[int, int, int]
) -> None:
    """Write one line into ``room`` pixels."""
    font = sans_serif(size)
    pen.text(place, shortened(text, font, room), font=font, fill=ink)


def shortened(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """One line of text, shortened in the middle to fit into ``room`` pixels."""
    text = text.encode('utf-8', 'replace').decode().replace('\n', ' ')
    keep = len(text)
    shown = text
    while keep > 1 and font.getlength(shown) > room:
        keep -= 1
        shown = f'{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}'
    return shown
