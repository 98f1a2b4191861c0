"""Downsizing an image by the mean of the area under each new pixel."""

import cv2
import numpy as np

from mmvice.utils.jit import jit


def shrink_by_area(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Downsize an image: a new pixel is the mean of the area that it covers in the image.

    The result is that of ``cv2.resize`` with ``INTER_AREA``. It is about three times faster if the ratio is not a whole
    number: both directions are sums of whole rows, which the compiler vectorises.

    Args:
        image: uint8 (H, W, C).
        height, width: new size in pixels, 1 <= height <= H and 1 <= width <= W.

    Returns:
        uint8 (height, width, C).

    Raises:
        ValueError: for a size outside the above.

    Example:
        >>> import numpy as np
        >>> image = np.array([[[0], [30], [60]]], np.uint8)
        >>> shrink_by_area(image, 1, 2).ravel()  # (0 + 30 / 2) / 1.5 and (30 / 2 + 60) / 1.5
        array([10, 50], dtype=uint8)
    """
    if not (1 <= height <= image.shape[0] and 1 <= width <= image.shape[1]):
        raise ValueError(f'the new size must lie in 1x1..{image.shape[0]}x{image.shape[1]}, got {height}x{width}')
    if image.shape[0] % height == 0 and image.shape[1] % width == 0:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    columns = np.ascontiguousarray(cv2.transpose(image)).reshape(image.shape[1], -1)
    narrow = cv2.transpose(_mean_rows(columns, width).reshape(width, image.shape[0], -1))
    return _round(_mean_rows(narrow.reshape(image.shape[0], -1), height)).reshape(height, width, -1)


@jit
def _mean_rows(rows, size):
    """Means of ``size`` equal parts of the rows, (n, m): float32 (size, m). Weights are a row's share of the part."""
    scale = len(rows) / size
    means = np.zeros((size, rows.shape[1]), np.float32)
    for i in range(size):
        begin, end = i * scale, min((i + 1) * scale, float(len(rows)))
        mean = means[i]
        for k in range(int(begin), min(int(np.ceil(end)), len(rows))):
            share = min(end, k + 1.0) - max(begin, float(k))
            if share > 1e-3:  # as OpenCV, which takes less for rounding of the edges
                weight, row = np.float32(share / min(scale, len(rows) - begin)), rows[k]
                for x in range(mean.size):
                    mean[x] += weight * np.float32(row[x])
    return means


@jit
def _round(values):
    """Round floats in 0..255 to uint8, halves to even."""
    rounded = np.empty(values.shape, np.uint8)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            rounded[y, x] = np.uint8(np.int32(np.rint(values[y, x])))
    return rounded
