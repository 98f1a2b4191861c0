"""Step 2: crop views of different size and context that share a part of the image (Sec. 3.2)."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import check_range, get_input
from mmvice.ops.area_resize import shrink_by_area
from mmvice.ops.superpixels import check_image
from mmvice.registry import TRANSFORMS
from mmvice.utils.jit import jit


@TRANSFORMS.register_module()
class ContextualViewCrop(BaseTransform):
    """Crop ``num_views`` boxes around a content-rich point, and resize them to one size.

    The centre of view 0, the primary view, is a pixel drawn from a smoothed Canny edge map with a uniform floor. The
    circle around that pixel is divided into ``num_views - 1`` sectors. Each other view has its centre in one sector, at
    most half that view's side away. A box that reaches over an edge of the image is then shifted inwards, so its centre
    may leave its sector. Every box contains the primary centre, so their intersection is never empty.

    A box has beta times the size of the view, with beta uniform in ``scale_range``. Beta is limited to the largest box
    of the view's shape in the image (views of 256 in images of 320: 1.25). An image smaller than a view of scale 1 is
    treated as if upsampled until the view fits: its boxes are smaller by that factor. 'img' and its coordinates do not
    change.

    Upsampling is bilinear, downsampling by area. Ids are those of the nearest pixel: with box (x0, y0, x1, y1), view
    pixel (y, x) has the id at image pixel ``(y0 + floor((y + 0.5) * (y1 - y0) / h), x0 + floor((x + 0.5) * (x1 - x0) /
    w))``.

    Required Keys:

    - img: uint8 (H, W, 3), BGR
    - superpixels: int32 (H, W), -1 for pixels in no region

    Added Keys:

    - views: uint8 (M, h, w, 3)
    - view_superpixels: int32 (M, h, w)
    - view_boxes: float32 (M, 4), xyxy in pixels of 'img', whole numbers, right and lower edge exclusive

    Args:
        num_views: number of views M, at least 2.
        view_size: side of the square views, or (height, width), in pixels.
        scale_range: smallest and largest beta.
        contextual: False gives all views the same box (Table 2, without contextual invariance).
        floor: value added to the edge map in [0, 1] everywhere, before normalisation to probabilities.
    """

    def __init__(
        self,
        num_views: int = 5,
        view_size: int | tuple[int, int] = 256,
        scale_range: tuple[float, float] = (0.5, 2.0),
        contextual: bool = True,
        floor: float = 0.005,
    ) -> None:
        if not isinstance(num_views, int) or num_views < 2:
            raise ValueError(
                f'num_views must be an integer of at least 2 (views predict each other), got {num_views!r}'
            )
        size = (view_size, view_size) if isinstance(view_size, int) else tuple(view_size)
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            raise ValueError(f'view_size must be a positive integer or (height, width), got {view_size!r}')
        if not floor > 0:
            raise ValueError(f'floor must be positive, or an image without edges has no centre; got {floor!r}')
        self.num_views = num_views
        self.view_size = size
        self.scale_range = check_range('scale_range', scale_range)
        self.contextual = contextual
        self.floor = floor

    def transform(self, results: dict) -> dict:
        image = get_input(results, 'img', 'LoadImageFromFile', self)
        check_image(image)
        superpixels = get_input(results, 'superpixels', 'SuperpixelSLIC or SuperpixelGrid', self)
        if superpixels.shape != image.shape[:2] or superpixels.dtype != np.int32:
            raise ValueError(
                f"'superpixels' must be int32 {image.shape[:2]} like the image, got {superpixels.dtype} "
                f'{superpixels.shape}; transforms that resize or crop the image belong before the superpixels'
            )
        boxes = self._draw_boxes(image)
        # Boxes that are cut off at the image are often one and the same.
        cuts = {box: _cut_image(image, box, self.view_size) for box in set(map(tuple, boxes.tolist()))}
        results['views'] = np.stack([cuts[tuple(box)] for box in boxes.tolist()])
        results['view_superpixels'] = _cut_ids(np.ascontiguousarray(superpixels), boxes, *self.view_size)
        results['view_boxes'] = boxes.astype(np.float32)
        return results

    def _draw_boxes(self, image: np.ndarray) -> np.ndarray:
        """Draw the boxes of the views: int64 (M, 4), xyxy."""
        image_size, view_size = np.array(image.shape[:2]), np.array(self.view_size)
        center = _draw_pixel(_edge_map(image) + np.float32(self.floor))
        num_boxes = self.num_views if self.contextual else 1
        largest = (image_size / view_size).min()
        scales = np.minimum(np.random.uniform(*self.scale_range, num_boxes) * min(1.0, largest), largest)
        sides = np.clip(np.rint(scales[:, None] * view_size), 1, image_size).astype(np.int64)
        offsets = np.zeros((num_boxes, 2))
        if num_boxes > 1:
            sectors = np.arange(num_boxes - 1)
            angles = 2 * np.pi * (sectors + np.random.rand(num_boxes - 1)) / (num_boxes - 1)
            radii = np.random.rand(num_boxes - 1)
            offsets[1:] = (radii * np.stack([np.sin(angles), np.cos(angles)])).T * sides[1:] / 2
        starts = np.floor(center + 0.5 + offsets - sides / 2 + 0.5).astype(np.int64)
        # Along either axis, a box [s, s + side) lies in the image of length L iff 0 <= s <= L - side, and holds pixel c
        # iff c - side + 1 <= s <= c. Both hold for s in [max(0, c - side + 1), min(L - side, c)], which has a whole
        # number in it: 0 <= L - side as sides are clipped, 0 <= c and c - side + 1 <= L - side as c is in the image,
        # and c - side + 1 <= c as side >= 1. So the shift inwards below keeps the primary centre in every box.
        starts = np.clip(starts, np.maximum(0, center - sides + 1), np.minimum(image_size - sides, center))
        boxes = np.concatenate([starts[:, ::-1], (starts + sides)[:, ::-1]], axis=1)
        return boxes if self.contextual else np.repeat(boxes, self.num_views, axis=0)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_views={self.num_views}, view_size={self.view_size}, '
            f'scale_range={self.scale_range}, contextual={self.contextual}, floor={self.floor})'
        )


def _edge_map(image: np.ndarray) -> np.ndarray:
    """Measure image content as in the paper's own runs: a widened, smoothed Canny map, float32 (H, W) in [0, 1]."""
    grey = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0), cv2.COLOR_BGR2GRAY)
    edges = cv2.dilate(cv2.Canny(grey, 10, 50, L2gradient=True), np.ones((3, 3), np.uint8))
    return cv2.GaussianBlur(edges, (3, 3), 0).astype(np.float32) / 255


def _draw_pixel(weights: np.ndarray) -> np.ndarray:
    """Draw a pixel (y, x) with probability proportional to its positive weight: first its row, then its column."""
    y = _draw_index(weights.sum(axis=1, dtype=np.float64))
    return np.array([y, _draw_index(weights[y].astype(np.float64))])


def _draw_index(weights: np.ndarray) -> int:
    """Draw an index with probability proportional to its weight."""
    cumulative = np.cumsum(weights)
    return min(int(np.searchsorted(cumulative, np.random.rand() * cumulative[-1], side='right')), len(weights) - 1)


def _cut_image(image: np.ndarray, box: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Crop a box of the image and resize it to (height, width)."""
    x0, y0, x1, y1 = box
    if y1 - y0 >= size[0] and x1 - x0 >= size[1]:
        return shrink_by_area(image[y0:y1, x0:x1], *size)
    shrinks = y1 - y0 > size[0] or x1 - x0 > size[1]
    return cv2.resize(image[y0:y1, x0:x1], size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


@jit
def _cut_ids(superpixels, boxes, height, width):
    """Crop boxes int64 (M, 4) of the ids by nearest pixel: int32 (M, height, width)."""
    cut = np.empty((len(boxes), height, width), np.int32)
    columns = np.empty(width, np.int64)
    for m in range(len(boxes)):
        x0, y0, x1, y1 = boxes[m, 0], boxes[m, 1], boxes[m, 2], boxes[m, 3]
        for x in range(width):
            columns[x] = x0 + (2 * x + 1) * (x1 - x0) // (2 * width)
        for y in range(height):
            row = superpixels[y0 + (2 * y + 1) * (y1 - y0) // (2 * height)]
            for x in range(width):
                cut[m, y, x] = row[columns[x]]
    return cut
