import cv2
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops.superpixels import common_superpixels, contiguous, grid_superpixels, slic
from mmvice.utils.jit import jit


def noise_image(height, width, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)


def assert_contiguous(ids, shape):
    assert ids.dtype == np.int32
    assert ids.shape == shape
    np.testing.assert_array_equal(np.unique(ids), np.arange(ids.max() + 1))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    region_size=st.integers(1, 90),
    num_iters=st.integers(1, 6),
    one_color=st.booleans(),
)
def test_slic_ids_are_contiguous_for_any_size(height, width, region_size, num_iters, one_color):
    image = np.full((height, width, 3), 90, np.uint8) if one_color else noise_image(height, width)
    assert_contiguous(slic(image, region_size, num_iters=num_iters), (height, width))


@pytest.mark.parametrize('shape', [(1, 1), (1, 700), (700, 1), (2, 301)])
def test_slic_of_extreme_shapes(shape):
    assert_contiguous(slic(noise_image(*shape), 20), shape)


def test_slic_adheres_to_a_color_boundary():
    """A slanted boundary between two colours, away from the grid's lines, that noise blurs."""
    y, x = np.indices((120, 160))
    right = x > 67 + 0.3 * y
    colors = np.where(right[..., None], (40, 160, 60), (90, 90, 150))
    image = np.clip(colors + np.random.RandomState(0).normal(0, 5, (120, 160, 3)), 0, 255).astype(np.uint8)
    for region_size, num_boxes in ((20, 48), (10, 192)):
        ids = slic(image, region_size)
        assert ids.max() + 1 <= num_boxes
        sides = np.stack([np.bincount(ids[side], minlength=ids.max() + 1) for side in (right, ~right)])
        on_wrong_side = sides.min(axis=0).sum() / right.size
        grid = grid_superpixels(120, 160, region_size)
        of_grid = np.stack([np.bincount(grid[side], minlength=grid.max() + 1) for side in (right, ~right)])
        assert on_wrong_side < 0.006
        assert of_grid.min(axis=0).sum() / right.size > 3 * on_wrong_side


def test_slic_of_one_color_is_the_grid():
    image = np.full((60, 80, 3), 120, np.uint8)
    ids = slic(image, 20)
    agreement = (ids == grid_superpixels(60, 80, 20)).mean()
    assert ids.max() + 1 == 12
    assert agreement > 0.85  # seeds move by a fraction of a pixel, and with them the borders


def test_slic_is_local():
    """Superpixels reach no further than region_size from their seed, and seeds no further than one cell from theirs."""
    ids = slic(noise_image(100, 100), 10)
    y, x = np.indices(ids.shape)
    for k in range(ids.max() + 1):
        assert np.ptp(y[ids == k]) <= 30
        assert np.ptp(x[ids == k]) <= 30


def test_larger_ruler_gives_squarer_superpixels():
    image = noise_image(80, 80)
    borders = [np.mean(ids[:, 1:] != ids[:, :-1]) for ids in (slic(image, 20, ruler) for ruler in (5.0, 40.0, 1000.0))]
    assert borders[0] > borders[1] > borders[2]


def test_slic_matches_its_definition():
    """One iteration on every row, against a literal loop over pixels and seeds."""
    image, size, ruler = noise_image(12, 16, seed=3), 4, 10.0
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0), cv2.COLOR_BGR2Lab).astype(float)
    seeds = {(r, c): (*lab[4 * r + 2, 4 * c + 2], 4 * c + 2, 4 * r + 2) for r in range(3) for c in range(4)}

    def assign():
        ids = np.empty((12, 16), int)
        for y in range(12):
            for x in range(16):
                best = np.inf
                for (r, c), (*color, sx, sy) in seeds.items():
                    if abs(r - y // 4) > 1 or abs(c - x // 4) > 1 or abs(x - sx) > size or abs(y - sy) > size:
                        continue
                    distance = ((lab[y, x] - color) ** 2).sum() + (ruler / size) ** 2 * ((x - sx) ** 2 + (y - sy) ** 2)
                    if distance < best:
                        best, ids[y, x] = distance, 4 * r + c
                assert np.isfinite(best)
        return ids

    ids = assign()
    y, x = np.indices(ids.shape)
    for r, c in seeds:
        own = ids == 4 * r + c
        seeds[r, c] = (*lab[own].mean(axis=0), x[own].mean(), y[own].mean())
    expected = np.unique(assign(), return_inverse=True)[1].reshape(12, 16)
    np.testing.assert_array_equal(slic(image, size, ruler, num_iters=1), expected)


def test_slic_is_deterministic_and_leaves_the_image():
    image = noise_image(64, 48)
    before = image.copy()
    np.testing.assert_array_equal(slic(image, 8), slic(image, 8))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(region_size=0), 'region_size'),
        (dict(region_size=2.5), 'region_size'),
        (dict(num_iters=0), 'num_iters'),
        (dict(ruler=0), 'ruler'),
        (dict(ruler=float('nan')), 'ruler'),
        (dict(backend='skimage'), 'skimage'),
    ],
)
def test_slic_rejects_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        slic(noise_image(4, 4), **arguments)


@pytest.mark.parametrize('shape', [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_slic_rejects_images(shape):
    with pytest.raises(ValueError, match='image'):
        slic(np.zeros(shape, np.uint8))


def test_slic_rejects_other_types():
    with pytest.raises(ValueError, match='float32'):
        slic(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(TypeError, match='list'):
        slic([[0, 0, 0]])


def test_opencv_backend_says_what_to_install(monkeypatch):
    monkeypatch.delattr(cv2, 'ximgproc', raising=False)
    with pytest.raises(ImportError, match='opencv-contrib-python INSTEAD of opencv-python'):
        slic(noise_image(4, 4), backend='opencv')


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='needs opencv-contrib-python')
def test_opencv_backend_gives_contiguous_ids():
    for shape in ((64, 48), (1, 1), (3, 70)):
        assert_contiguous(slic(noise_image(*shape), 20, backend='opencv'), shape)


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), region_size=st.integers(1, 50))
def test_grid_is_made_of_squares(height, width, region_size):
    ids = grid_superpixels(height, width, region_size)
    assert_contiguous(ids, (height, width))
    y, x = np.indices(ids.shape) // region_size
    _, cell = np.unique(np.stack([y.ravel(), x.ravel()]), axis=1, return_inverse=True)
    np.testing.assert_array_equal(ids.ravel(), cell.ravel())


def test_grid_of_pixels():
    np.testing.assert_array_equal(grid_superpixels(3, 5, 1), np.arange(15).reshape(3, 5))


@pytest.mark.parametrize('arguments', [(0, 4, 2), (4, 0, 2), (4, 4, 0), (4, 4, 1.5)])
def test_grid_rejects(arguments):
    with pytest.raises(ValueError, match='at least 1'):
        grid_superpixels(*arguments)


@settings(max_examples=50, deadline=None)
@given(num_views=st.integers(1, 6), num_ids=st.integers(1, 30), seed=st.integers(0, 1000), masked=st.booleans())
def test_common_superpixels_against_sets(num_views, num_ids, seed, masked):
    rng = np.random.RandomState(seed)
    views = rng.randint(0, num_ids, (num_views, 5, 7)).astype(np.int32)
    masks = rng.rand(*views.shape) < 0.05 if masked else None
    expected = set.intersection(*(set(view.ravel()) for view in views))
    if masked:
        expected -= set(views[masks])
    assert set(np.flatnonzero(common_superpixels(views, masks))) == expected


def test_jit_works_where_nothing_can_be_cached(monkeypatch):
    compile_function = numba.njit

    def refuse_cache(cache=False, **options):
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return compile_function(**options)

    monkeypatch.setattr(numba, 'njit', refuse_cache)

    @jit
    def add_one(x):
        return x + 1

    assert add_one(2) == 3
    assert add_one.nopython_signatures


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    dtype=st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.float16, np.float32, np.float64, bool]),
)
def test_slic_takes_8_bit_images_of_three_channels_and_nothing_else(shape, dtype):
    image = np.zeros(shape, dtype)
    if dtype is np.uint8 and len(shape) == 3 and shape[2] == 3 and image.size:
        assert_contiguous(slic(image, 2), tuple(shape[:2]))
    else:
        with pytest.raises(ValueError, match='the image (must be uint8|has no pixels)'):
            slic(image, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 99))
def test_slic_does_not_depend_on_how_an_image_lies_in_memory(height, width, region_size, seed):
    image = noise_image(2 * height, width, seed)[::2, ::-1]
    assert height * width == 1 or not image.flags.c_contiguous
    np.testing.assert_array_equal(slic(image, region_size), slic(np.ascontiguousarray(image), region_size))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 300), st.integers(0, 99))
def test_contiguous_ids_are_the_ranks_of_those_given(height, width, largest, seed):
    ids = np.random.RandomState(seed).randint(0, largest + 1, (height, width)).astype(np.int32)
    expected = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
    assert_contiguous(contiguous(ids.copy()), ids.shape)
    np.testing.assert_array_equal(contiguous(ids), expected)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([np.int32, np.int64]), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99)
)
def test_common_superpixels_are_told_of_ids_up_to_the_largest(dtype, num_views, height, width, seed):
    views = np.random.RandomState(seed).randint(0, 5, (num_views, height, width)).astype(dtype)
    common = common_superpixels(views)
    assert common.dtype == bool and common.shape == (views.max() + 1,)
    assert common_superpixels(views, np.ones(views.shape, bool)).sum() == 0
    np.testing.assert_array_equal(common_superpixels(views, np.zeros(views.shape, bool)), common)
    np.testing.assert_array_equal(common_superpixels(views[::-1, ::-1, ::-1]), common)
