"""Dividing an image into superpixels, and finding those that several views share (Sec. 3.1)."""

import cv2
import numpy as np

from mmvice.utils.jit import jit

SLIC_BACKENDS = ('numba', 'opencv')
FAR = np.float32(1e7)  # added to the distance of a seed that is out of a pixel's reach; exceeds any in reach


def slic(
    image: np.ndarray, region_size: int = 20, ruler: float = 10.0, num_iters: int = 5, backend: str = 'numba'
) -> np.ndarray:
    """Divide an image into superpixels by k-means over (Lab colour, position), started from a grid of seeds.

    The image is smoothed with a 3x3 Gaussian and converted to 8-bit CIELAB, as in the paper's own runs. The distance of
    a pixel to a seed is ``|dLab|² + (ruler / region_size)² |dxy|²``, for seeds at most ``region_size`` away in x and y.
    This is OpenCV's SLIC. Connectivity is not enforced: a superpixel may have stray pixels.

    The numba backend compares a pixel with the seeds of the 3x3 grid cells around it. Each iteration uses every third
    row, in turn; small regions use every row. The final assignment uses every pixel. A pixel that no seed reaches
    belongs to the nearest of the nine.

    Args:
        image: uint8 (H, W, 3), BGR, at least 1x1.
        region_size: side of a grid cell in pixels, at least 1; if it is far larger than the image, one superpixel
            covers the image.
        ruler: weight of position against colour, positive; larger gives squarer superpixels.
        num_iters: iterations of k-means, at least 1.
        backend: ``'numba'``, or ``'opencv'`` for ``cv2.ximgproc``, which needs opencv-contrib-python.

    Returns:
        int32 (H, W): superpixel ids 0..K-1, each of which occurs.

    Raises:
        TypeError, ValueError: for an image or a setting outside the above.
        ImportError: for ``backend='opencv'`` with an OpenCV without ``ximgproc``.

    Source: Achanta et al., SLIC Superpixels Compared to State-of-the-art Superpixel Methods, PAMI 2012.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((8, 12, 3), np.uint8)
        >>> image[:, 5:] = 255  # black left of column 5, white from there on
        >>> ids = slic(image, region_size=4)
        >>> ids.shape, int(ids.min()), int(ids.max())
        ((8, 12), 0, 5)
        >>> set(ids[:, :5].ravel()) & set(ids[:, 5:].ravel())
        set()
    """
    check_image(image)
    check_slic_settings(region_size, ruler, num_iters, backend)
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0), cv2.COLOR_BGR2Lab)
    if backend == 'opencv':
        return contiguous(_opencv_slic(lab, region_size, ruler, num_iters))
    height, width = lab.shape[:2]
    rows, cols = (max(1, int(size / region_size + 0.5)) for size in (height, width))
    row_step = min(max(region_size // 5, 1), 3)
    planes = np.stack(cv2.split(lab))
    return contiguous(_slic(planes, rows, cols, region_size, (ruler / region_size) ** 2, num_iters, row_step))


def grid_superpixels(height: int, width: int, region_size: int) -> np.ndarray:
    """Divide an image of this size into squares: the ablation without superpixels (Table 2).

    Args:
        height, width: size of the image in pixels, at least 1.
        region_size: side of a square in pixels, at least 1; squares at the right and lower edge are cut off. With 1,
            every pixel is a region.

    Returns:
        int32 (height, width): ids 0..K-1 row by row, each of which occurs.

    Raises:
        ValueError: for a number below 1.

    Example:
        >>> grid_superpixels(2, 3, region_size=2)
        array([[0, 0, 1],
               [0, 0, 1]], dtype=int32)
        >>> grid_superpixels(2, 3, region_size=1)
        array([[0, 1, 2],
               [3, 4, 5]], dtype=int32)
    """
    for name, value in (('height', height), ('width', width), ('region_size', region_size)):
        check_positive_int(name, value)
    rows = np.arange(height, dtype=np.int32) // region_size
    cols = np.arange(width, dtype=np.int32) // region_size
    return rows[:, None] * (cols[-1] + np.int32(1)) + cols


def common_superpixels(view_superpixels: np.ndarray, view_masks: np.ndarray | None = None) -> np.ndarray:
    """Find the superpixels that are visible in every view and masked in none.

    Args:
        view_superpixels: int32 (M, h, w): superpixel ids of the pixels of M views, -1 for pixels in none.
        view_masks: bool (M, h, w): masked pixels; a superpixel with a masked pixel in any view is not common.

    Returns:
        bool (K,) with K the largest id plus 1.

    Example:
        >>> import numpy as np
        >>> views = np.array([[[0, 1, 2]], [[1, 2, 3]]], np.int32)
        >>> common_superpixels(views)
        array([False,  True,  True, False])
        >>> common_superpixels(views, np.array([[[False, False, True]], [[False, False, False]]]))
        array([False,  True, False, False])
    """
    num_superpixels = int(view_superpixels.max()) + 1
    views_seeing = _count_views(view_superpixels.reshape(len(view_superpixels), -1), num_superpixels)
    common = views_seeing == len(view_superpixels)
    if view_masks is not None:
        _unset(common, view_superpixels.reshape(-1), view_masks.reshape(-1))
    return common


def check_image(image: np.ndarray) -> None:
    """Raise unless ``image`` is as loaded by OpenCV and mmcv: uint8 (H, W, 3), not empty."""
    if not isinstance(image, np.ndarray):
        raise TypeError(f'the image must be a numpy array, uint8 (H, W, 3) in BGR order; got {type(image).__name__}')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f'the image must be uint8 (H, W, 3) in BGR order, as LoadImageFromFile gives it with its defaults; '
            f'got {image.dtype} {image.shape}'
        )
    if image.size == 0:
        raise ValueError(f'the image has no pixels: its shape is {image.shape}')


def check_positive_int(name: str, value: int) -> None:
    """Raise ValueError unless ``value`` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f'{name} must be an integer of at least 1, got {value!r}')


def check_slic_settings(region_size: int, ruler: float, num_iters: int, backend: str) -> None:
    """Raise ValueError for settings that :func:`slic` does not accept, ImportError for a missing backend."""
    check_positive_int('region_size', region_size)
    check_positive_int('num_iters', num_iters)
    if not ruler > 0:
        raise ValueError(f'ruler must be positive, got {ruler!r}')
    if backend not in SLIC_BACKENDS:
        raise ValueError(f'backend must be one of {SLIC_BACKENDS}, got {backend!r}')
    if backend == 'opencv' and not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            "backend='opencv' needs cv2.ximgproc, which the installed OpenCV lacks. Use backend='numba', or install "
            'opencv-contrib-python INSTEAD of opencv-python (the two overwrite each other): '
            'pip uninstall -y opencv-python opencv-python-headless && pip install opencv-contrib-python'
        )


def _opencv_slic(lab: np.ndarray, region_size: int, ruler: float, num_iters: int) -> np.ndarray:
    """Superpixel ids by OpenCV's SLIC; ids may be missing.

    OpenCV places no seed in an image less than half a region wide or high, so regions are smaller there.
    """
    region_size = min(region_size, *lab.shape[:2])
    superpixels = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, region_size, float(ruler))
    superpixels.iterate(num_iters)
    return superpixels.getLabels()


@jit
def _slic(planes, rows, cols, reach, xy_weight, num_iters, row_step):
    """K-means from a grid of ``rows`` x ``cols`` seeds; ``planes`` uint8 (3, H, W); int32 (H, W), ids may be missing.

    Seeds are float32 (rows, cols, 5): L, a, b, x, y.
    """
    _, height, width = planes.shape
    seeds = np.empty((rows, cols, 5), np.float32)
    for r in range(rows):
        for c in range(cols):
            y, x = (2 * r + 1) * height // (2 * rows), (2 * c + 1) * width // (2 * cols)
            seeds[r, c, 0], seeds[r, c, 1], seeds[r, c, 2] = planes[0, y, x], planes[1, y, x], planes[2, y, x]
            seeds[r, c, 3], seeds[r, c, 4] = x, y
    ids = np.zeros((height, width), np.int32)
    for iteration in range(num_iters):
        _assign(planes, seeds, reach, xy_weight, iteration % row_step, row_step, ids)
        _move_seeds(planes, seeds, iteration % row_step, row_step, ids)
    _assign(planes, seeds, reach, xy_weight, 0, 1, ids)
    return ids


@jit
def _assign(planes, seeds, reach, xy_weight, first_row, row_step, ids):
    """Write the id of the nearest of the 3x3 seeds around each pixel's grid cell, for every ``row_step``-th row.

    All pixels of a row of cells have the same three rows of seeds. Each row of seeds is laid out once, pixel by pixel
    along the row. A row of the image is then one plain loop, which the compiler vectorises. Outside the grid, the seeds
    of the edge are repeated. The first of equal distances wins, so the copies change nothing.
    """
    rows, cols, _ = seeds.shape
    _, height, width = planes.shape
    reach, xy_weight = np.float32(reach), np.float32(xy_weight)
    tables, nearest = np.empty((3, 3 * 5 * width), np.float32), np.empty(width, np.int32)
    seed_ids, candidate_ids = np.empty((3, 3, width), np.int32), np.empty((9, width), np.int32)
    _lay_out(tables[0], seed_ids[0], seeds, 0, reach, xy_weight)
    for r in range(rows):
        above, below = max(r - 1, 0), min(r + 1, rows - 1)
        _lay_out(tables[below % 3], seed_ids[below % 3], seeds, below, reach, xy_weight)
        candidates = tables[above % 3], tables[r % 3], tables[below % 3]
        for k, row in enumerate((above, r, below)):
            candidate_ids[3 * k : 3 * k + 3] = seed_ids[row % 3]
        top, bottom = r * height // rows, (r + 1) * height // rows
        for y in range(top + (first_row - top) % row_step, bottom, row_step):
            pixels = planes[0, y], planes[1, y], planes[2, y], np.float32(y)
            _nearest_seeds(pixels, candidates, reach, xy_weight, nearest)
            for x in range(width):
                ids[y, x] = candidate_ids[nearest[x], x]


@jit
def _lay_out(table, seed_ids, seeds, r, reach, xy_weight):
    """Write row ``r`` of the seeds pixel by pixel into the table: L, a, b, distance in x, y, and their ids.

    Each pixel has three candidates in it: those of the left, its own, and the right cell.
    """
    _, cols, _ = seeds.shape
    _, width = seed_ids.shape
    for k in range(3):
        first = 5 * k * width
        for c in range(cols):
            cc = min(max(c + k - 1, 0), cols - 1)
            begin, end = c * width // cols, (c + 1) * width // cols
            seed = seeds[r, cc]
            for channel in range(3):
                table[first + channel * width + begin : first + channel * width + end] = seed[channel]
            for x in range(begin, end):
                dx = np.float32(x) - seed[3]
                table[first + 3 * width + x] = xy_weight * dx * dx + (FAR if abs(dx) > reach else np.float32(0))
            table[first + 4 * width + begin : first + 4 * width + end] = seed[4]
            seed_ids[k, begin:end] = r * cols + cc


@jit
def _nearest_seeds(pixels, candidates, reach, xy_weight, nearest):
    """Write the nearest of the nine candidates for each pixel of a row, 0..8.

    The nine comparisons are written out, with one array for the three seeds of a row. The compiler vectorises a loop
    without an inner loop. It does not if it must check that many arrays do not overlap.
    """
    row_l, row_a, row_b, y = pixels
    above, here, below = candidates
    width = row_l.size
    for x in range(width):
        pixel = np.float32(row_l[x]), np.float32(row_a[x]), np.float32(row_b[x]), y
        best = _distance(pixel, above, 0, width, x, reach, xy_weight), np.int32(0)
        best = _nearer(best, _distance(pixel, above, 1, width, x, reach, xy_weight), np.int32(1))
        best = _nearer(best, _distance(pixel, above, 2, width, x, reach, xy_weight), np.int32(2))
        best = _nearer(best, _distance(pixel, here, 0, width, x, reach, xy_weight), np.int32(3))
        best = _nearer(best, _distance(pixel, here, 1, width, x, reach, xy_weight), np.int32(4))
        best = _nearer(best, _distance(pixel, here, 2, width, x, reach, xy_weight), np.int32(5))
        best = _nearer(best, _distance(pixel, below, 0, width, x, reach, xy_weight), np.int32(6))
        best = _nearer(best, _distance(pixel, below, 1, width, x, reach, xy_weight), np.int32(7))
        best = _nearer(best, _distance(pixel, below, 2, width, x, reach, xy_weight), np.int32(8))
        nearest[x] = best[1]


@jit
def _distance(pixel, table, k, width, x, reach, xy_weight):
    """Distance of a pixel (L, a, b, y) in column ``x`` to candidate ``k`` of a row of seeds."""
    first = 5 * k * width + x
    dl, da, db = pixel[0] - table[first], pixel[1] - table[first + width], pixel[2] - table[first + 2 * width]
    dy = pixel[3] - table[first + 4 * width]
    across = xy_weight * dy * dy + (FAR if abs(dy) > reach else np.float32(0))
    return dl * dl + da * da + table[first + 3 * width] + across + db * db


@jit
def _nearer(best, distance, k):
    """The nearer of two (distance, candidate); the first of equals."""
    nearer = distance < best[0]
    return (distance if nearer else best[0]), (k if nearer else best[1])


@jit
def _move_seeds(planes, seeds, first_row, row_step, ids):
    """Move each seed to the mean of its pixels in every ``row_step``-th row; a seed without pixels stays.

    Neighbours of one id are summed first, since it is slow to read a sum again right after writing it.
    """
    rows, cols, _ = seeds.shape
    _, height, width = planes.shape
    sums = np.zeros((rows * cols, 6), np.int64)
    for y in range(first_row, height, row_step):
        x = 0
        while x < width:
            begin, i = x, ids[y, x]
            lightness = a = b = 0
            while x < width and ids[y, x] == i:
                lightness += planes[0, y, x]
                a += planes[1, y, x]
                b += planes[2, y, x]
                x += 1
            run, total = x - begin, sums[i]
            total[0] += lightness
            total[1] += a
            total[2] += b
            total[3] += run * (begin + x - 1) // 2
            total[4] += run * y
            total[5] += run
    for i in range(rows * cols):
        if sums[i, 5] > 0:
            for j in range(5):
                seeds[i // cols, i % cols, j] = sums[i, j] / sums[i, 5]


@jit
def contiguous(ids):
    """Renumber ids int32 (H, W) consecutively from 0 in their order, in place; -1 stays -1."""
    flat = ids.reshape(-1)
    new_id = np.zeros(flat.max() + 1, np.int32)
    for i in range(flat.size):
        if flat[i] >= 0:
            new_id[flat[i]] = 1
    count = 0
    for k in range(new_id.size):
        occurs, new_id[k] = new_id[k], count
        count += occurs
    for i in range(flat.size):
        if flat[i] >= 0:
            flat[i] = new_id[flat[i]]
    return ids


@jit
def look_up(table, ids):
    """The entry of a table (1 + K,) for each id, int32 (n,) in -1..K-1; the first is for -1.

    ``np.take`` does the same, but converts the ids first. For signed indices, numba would check for negative ones.
    """
    found = np.empty(ids.size, table.dtype)
    for i in range(ids.size):
        found[i] = table[np.uintp(ids[i] + 1)]
    return found


@jit
def _count_views(view_superpixels, num_superpixels):
    """Count the views that contain each id: int32 (num_superpixels,) from int (M, pixels)."""
    count = np.zeros(num_superpixels, np.int32)
    for m in range(view_superpixels.shape[0]):
        view, seen = view_superpixels[m], np.zeros(num_superpixels + 1, np.int32)
        for i in range(view.size):
            seen[np.uintp(view[i] + 1)] = 1  # as in look_up
        count += seen[1:]
    return count


@jit
def _unset(flags, ids, selected):
    """Set ``flags[id]`` (K,) to False, in place, for each id (n,) that is selected (n,) and not -1."""
    for i in range(ids.size):
        if selected[i] and ids[i] >= 0:
            flags[ids[i]] = False
