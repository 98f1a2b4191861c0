"""SLIC of other libraries and in plain NumPy, all on the same smoothed Lab image; and how good superpixels are."""

import importlib.util
from collections.abc import Callable

import cv2
import numpy as np

INSTALL = (
    'scikit-image: pip install -r requirements/benchmarks.txt; opencv-contrib-python instead of opencv-python: '
    'in an environment of its own, see benchmarks/README.md'
)


def smooth_lab(image: np.ndarray) -> np.ndarray:
    """8-bit CIELAB of the image after a 3x3 Gaussian."""
    return cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0), cv2.COLOR_BGR2Lab)


def opencv_slic(image: np.ndarray, region_size: int = 20, ruler: float = 10.0, num_iters: int = 5) -> np.ndarray:
    """OpenCV's SLIC, without its connectivity pass."""
    superpixels = cv2.ximgproc.createSuperpixelSLIC(smooth_lab(image), cv2.ximgproc.SLIC, region_size, float(ruler))
    superpixels.iterate(num_iters)
    return superpixels.getLabels()


def skimage_slic(image: np.ndarray, region_size: int = 20, ruler: float = 10.0, num_iters: int = 5) -> np.ndarray:
    """scikit-image's SLIC with as many seeds, without its connectivity pass.

    Its distance takes L, a and b as they are if they come as floats and ``convert2lab`` is off.
    """
    from skimage.segmentation import slic

    lab = smooth_lab(image).astype(np.float32)
    cells = round(image.shape[0] / region_size) * round(image.shape[1] / region_size)
    options = dict(convert2lab=False, enforce_connectivity=False, start_label=0)
    # skimage scales the image to [0, 1] first, and with it the range of 255 that the ruler is meant for
    return slic(lab, cells, compactness=ruler / _range(lab), max_num_iter=num_iters, **options)


def _range(lab: np.ndarray) -> float:
    return max(float(lab.max() - lab.min()), 1.0)


def numpy_slic(image: np.ndarray, region_size: int = 20, ruler: float = 10.0, num_iters: int = 5) -> np.ndarray:
    """The algorithm of Achanta et al. (2012) in NumPy, a window around each seed at a time."""
    lab = smooth_lab(image).astype(np.float32)
    height, width = lab.shape[:2]
    rows, cols = (max(1, round(length / region_size)) for length in (height, width))
    y, x = ((2 * np.arange(n) + 1) * length // (2 * n) for n, length in ((rows, height), (cols, width)))
    yy, xx = (grid.ravel() for grid in np.meshgrid(y, x, indexing='ij'))
    seeds = np.column_stack([lab[yy, xx], xx, yy]).astype(np.float64)
    pixel_y, pixel_x = np.indices((height, width))
    ids = np.zeros((height, width), np.int32)
    for iteration in range(num_iters + 1):
        nearest = np.full((height, width), np.inf, np.float32)
        for k, (*color, cx, cy) in enumerate(seeds):
            top, left = (max(int(np.ceil(c - region_size)), 0) for c in (cy, cx))
            window = slice(top, int(cy + region_size) + 1), slice(left, int(cx + region_size) + 1)
            away = (pixel_y[window] - cy) ** 2 + (pixel_x[window] - cx) ** 2
            distance = ((lab[window] - np.float32(color)) ** 2).sum(2) + (ruler / region_size) ** 2 * away
            closer = distance < nearest[window]
            nearest[window][closer] = distance[closer]
            ids[window][closer] = k
        if iteration < num_iters:
            columns = [*lab.reshape(-1, 3).T, pixel_x.ravel(), pixel_y.ravel()]
            count = np.bincount(ids.ravel(), minlength=len(seeds))
            sums = np.column_stack([np.bincount(ids.ravel(), column, len(seeds)) for column in columns])
            seeds[count > 0] = (sums / np.maximum(count, 1)[:, None])[count > 0]
    return ids


def installed() -> dict[str, Callable[..., np.ndarray]]:
    """SLIC of the libraries that are here, OpenCV's first."""
    found = {}
    if hasattr(cv2, 'ximgproc'):
        found['OpenCV'] = opencv_slic
    if importlib.util.find_spec('skimage') is not None:
        found['skimage'] = skimage_slic
    return found


def segmentation_accuracy(superpixels: np.ndarray, labels: np.ndarray) -> float:
    """Achievable segmentation accuracy: share of labelled pixels that are right if each superpixel gets its best label.

    Args:
        superpixels: (H, W) ids.
        labels: uint8 (H, W), 255 for pixels without one.
    """
    valid = labels != 255
    table = np.zeros((int(superpixels.max()) + 1, 256), np.int64)
    np.add.at(table, (superpixels[valid], labels[valid]), 1)
    return float(table.max(1).sum() / valid.sum())


def boundary_recall(superpixels: np.ndarray, labels: np.ndarray, tolerance: int = 2) -> float:
    """Share of the boundary pixels between labels that have a superpixel boundary within ``tolerance`` pixels.

    Arguments as above; there is no boundary beside a pixel without a label.
    """
    wanted = _boundaries(labels, labels != 255)
    found = _boundaries(superpixels, np.ones(superpixels.shape, bool))
    near = cv2.dilate(found.astype(np.uint8), np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)) > 0
    return float((wanted & near).sum() / max(wanted.sum(), 1))


def _boundaries(ids: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Pixels that differ from the one to the right or below."""
    found = np.zeros(ids.shape, bool)
    found[:, :-1] |= (ids[:, 1:] != ids[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    found[:-1] |= (ids[1:] != ids[:-1]) & valid[1:] & valid[:-1]
    return found
