"""Drawing colour, label and depth together, so that labels are always exact."""

import math
from collections.abc import Iterable

import cv2
import numpy as np

from .classes import SKY

FAR = 1e4
_SUBPIXEL_BITS = 3
_CIRCLE = np.array([(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 14, endpoint=False)])


class Camera:
    """A pinhole camera on the road: metres, X right, Y up from the ground, Z ahead; pixels x right, y down.

    Args:
        focal: Focal length in pixels.
        vanishing_point: (x, y) pixel where a straight road meets the horizon.
        height: Metres above the ground.
        bend: Sideways shift of the road in metres per square metre of distance.
    """

    def __init__(self, focal: float, vanishing_point: tuple[float, float], height: float, bend: float) -> None:
        self.focal, self.height, self.bend = focal, height, bend
        self.vanishing_x, self.horizon = vanishing_point

    def project(self, points: Iterable[tuple[float, float, float]]) -> np.ndarray:
        """A few points in metres to (n, 2) pixels (in plain Python, faster than arrays for polygons)."""
        focal, bend, height, u, v = self.focal, self.bend, self.height, self.vanishing_x, self.horizon
        return np.array([(u + focal * (x / z + bend * z), v + focal * (height - y) / z) for x, y, z in points])

    def ground(self, height: int, width: int) -> tuple[int, np.ndarray, np.ndarray]:
        """First row below the horizon, and X (rows, width) and Z (rows, 1) of the ground in the rows from there."""
        first = min(max(int(np.ceil(self.horizon + 0.5)), 0), height - 1)
        below = np.maximum(np.arange(first, height) + 0.5 - self.horizon, 0.5)
        z = (self.focal * self.height / below)[:, None].astype(np.float32)
        x = (np.arange(width, dtype=np.float32) + 0.5 - self.vanishing_x) * (z / self.focal) - self.bend * z * z
        return first, x, z


class Canvas:
    """An image (H, W, 3) uint8 BGR with its labels (H, W) uint8 and depths (H, W) float32 metres."""

    def __init__(self, height: int, width: int, camera: Camera) -> None:
        self.image = np.zeros((height, width, 3), np.uint8)
        self.label = np.full((height, width), SKY, np.uint8)
        self.depth = np.full((height, width), FAR, np.float32)
        self.camera = camera

    def polygon(self, points: np.ndarray, colour: np.ndarray, label: int | None = None, depth: float = FAR) -> None:
        """Fill a convex polygon given in pixels; without a label, the pixels keep their labels."""
        corners = _fixed(points)
        cv2.fillConvexPoly(self.image, corners, _scalar(colour), shift=_SUBPIXEL_BITS)
        if label is not None:
            cv2.fillConvexPoly(self.label, corners, label, shift=_SUBPIXEL_BITS)
            cv2.fillConvexPoly(self.depth, corners, float(depth), shift=_SUBPIXEL_BITS)

    def ellipse(self, centre, axes, colour: np.ndarray, label: int | None = None, depth: float = FAR) -> None:
        """Fill an upright ellipse given in pixels."""
        self.polygon(_CIRCLE * axes + centre, colour, label, depth)

    def textured(self, corners: np.ndarray, texture: np.ndarray, label: int, depths: tuple[float, float]) -> None:
        """Lay a texture (h, w, 3) over a quadrilateral: corners from the texture's top left, clockwise, in pixels.

        ``depths`` are those of its left and right edge in the texture.
        """
        roi = self.roi(corners)
        if roi is None:
            return
        rows, columns = roi
        origin = np.array([columns.start, rows.start])
        height, width = texture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, (corners - origin).astype(np.float32))
        shape = (columns.stop - columns.start, rows.stop - rows.start)
        patch = cv2.warpPerspective(texture, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(shape[::-1], np.uint8)
        cv2.fillConvexPoly(mask, _fixed(corners - origin), 1, shift=_SUBPIXEL_BITS)
        (left, near), (right, far) = sorted(zip((corners[:2, 0] - columns.start).tolist(), depths))
        depth = 1 / np.interp(np.arange(shape[0], dtype=np.float32) + 0.5, (left, right), (1 / near, 1 / far))
        self.paste(roi, patch, mask, label, depth)

    def paste(self, roi: tuple[slice, slice], patch: np.ndarray, mask: np.ndarray, label: int, depth) -> None:
        """Copy a patch where its uint8 mask is 1 (and not 0); depth is a number, or one for each column."""
        cv2.copyTo(patch, mask, self.image[roi])
        selected = mask.view(bool)
        np.copyto(self.label[roi], label, where=selected)
        np.copyto(self.depth[roi], depth, where=selected, casting='same_kind')

    def roi(self, points: np.ndarray) -> tuple[slice, slice] | None:
        """Rows and columns of the canvas that the points span, or None if they miss it."""
        height, width = self.label.shape
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        columns = slice(max(math.floor(left), 0), min(math.ceil(right) + 1, width))
        rows = slice(max(math.floor(top), 0), min(math.ceil(bottom) + 1, height))
        return (rows, columns) if columns.start < columns.stop and rows.start < rows.stop else None


def _fixed(points: np.ndarray) -> np.ndarray:
    return (np.asarray(points) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _scalar(colour: np.ndarray) -> tuple[float, ...]:
    return tuple(colour.tolist())
