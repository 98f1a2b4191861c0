"""Names of classes on the picture of a label map."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mmvice.utils.palette import cielab

from .drawing import sans_serif, shortened

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_MIDDLE_LIGHTNESS = 49.5  # of CIELAB, at which black and white have the same contrast


def draw_class_names(
    picture: np.ndarray, labels: np.ndarray, names: Sequence[str], colors: np.ndarray | Sequence
) -> np.ndarray:
    """Write the name of each class that occurs into its area, in a box of its colour.

    A box is within the picture, around the pixel of its class that is farthest from all other classes and from the
    edge. It covers no box of a class with more pixels. A name without such a place is left out.

    Args:
        picture: RGB uint8 (H, W, 3).
        labels: Integer ids (H, W). Ids without a name are ignored.
        names: n names.
        colors: (n, 3) RGB.

    Returns:
        numpy.ndarray: The picture with names.
    """
    height, width = labels.shape
    font_size = int(np.clip(min(height, width) // 26, 11, 28))
    margin, font = font_size // 4, sans_serif(font_size)
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    known = labels[(labels >= 0) & (labels < len(names))].astype(np.int64)
    areas = np.bincount(known, minlength=len(names))
    taken: list[tuple[int, int, int, int]] = []
    for label in np.argsort(-areas, kind='stable')[: np.count_nonzero(areas)]:
        text = shortened(str(names[label]), font, width - 2 * margin)
        size = int(np.ceil(font.getlength(text))) + 2 * margin, font_size * 3 // 2
        box = place_box(labels == label, size, taken)
        if box is None:
            continue
        taken.append(box)
        left, top, right, bottom = box
        color = tuple(int(c) for c in colors[label])
        ink = _BLACK if cielab(np.array([color]))[0, 0] > _MIDDLE_LIGHTNESS else _WHITE
        pen.rectangle((left, top, right - 1, bottom - 1), fill=color, outline=ink)
        pen.text(((left + right) / 2, (top + bottom) / 2), text, font=font, fill=ink, anchor='mm')
    return np.array(canvas)


def place_box(
    mask: np.ndarray, size: tuple[int, int], taken: Sequence[tuple[int, int, int, int]] = ()
) -> tuple[int, int, int, int] | None:
    """Find a place for a box over an area.

    Args:
        mask: bool (H, W), the area.
        size: Width and height of the box.
        taken: Boxes that it must not cover.

    Returns:
        tuple: Left, top, right and bottom, the last two exclusive; None if there is no place.
    """
    limits = mask.shape[1] - size[0], mask.shape[0] - size[1]
    if min(limits) < 0:
        return None
    edged = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(edged, cv2.DIST_L2, 3)[1:-1, 1:-1]
    # the left and upper ends of the box around each pixel, moved into the picture
    starts = [np.clip(np.arange(n) - extent // 2, 0, m) for n, extent, m in zip(mask.shape[::-1], size, limits)]
    for box in taken:
        columns, rows = (
            slice(*np.searchsorted(starts[axis], (box[axis] - size[axis] + 1, box[axis + 2]))) for axis in (0, 1)
        )
        depth[rows, columns] = 0
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    if not depth[y, x]:
        return None
    left, top = int(starts[0][x]), int(starts[1][y])
    return left, top, left + size[0], top + size[1]
