import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.datasets.transforms import MutualRegions, RandomViewFlip, SuperpixelMask


def shifted_views(num_views=3, side=24, cell=3, seed=0):
    """Crops of one grid of ids, each at another place: int32 (num_views, side, side)."""
    rng = np.random.RandomState(seed)
    y, x = np.indices((side * 2, side * 2)) // cell
    ids = (y * (side * 2 // cell + 1) + x).astype(np.int32)
    starts = rng.randint(0, side // 2 + 1, (num_views, 2))
    return np.stack([ids[top : top + side, left : left + side] for top, left in starts])


def common_ids(views):
    return set.intersection(*(set(view.ravel().tolist()) for view in views))


@settings(max_examples=60, deadline=None)
@given(
    max_ratio=st.floats(0, 1),
    preserve_ratio=st.floats(0, 1),
    num_views=st.integers(2, 5),
    seed=st.integers(0, 10_000),
)
def test_superpixels_are_masked_whole_and_the_preserved_ones_nowhere(max_ratio, preserve_ratio, num_views, seed):
    np.random.seed(seed)
    views = shifted_views(num_views, seed=seed)
    masks = SuperpixelMask(max_ratio, preserve_ratio)(dict(view_superpixels=views))['view_masks']
    assert masks.dtype == bool
    assert masks.shape == views.shape
    for view, mask in zip(views, masks):
        masked, unmasked = set(view[mask]), set(view[~mask])
        assert not masked & unmasked
        # A rectangle of r * side touches at most ceil(r * side / cell) + 1 cells of 3 pixels along a side.
        assert len(masked) <= (math.ceil(max_ratio * 24 / 3) + 1) ** 2
    common = common_ids(views)
    never_masked = common - set(views[masks].tolist())
    assert len(never_masked) >= math.ceil(preserve_ratio * len(common))


def test_full_mask_leaves_exactly_the_preserved_share():
    """A rectangle that may be the whole view, drawn until it is: only what is preserved remains."""
    views = np.stack([np.arange(20, dtype=np.int32).reshape(1, 20)] * 2)
    np.random.seed(0)
    remaining = set()
    for _ in range(300):
        masks = SuperpixelMask(1.0, 0.25)(dict(view_superpixels=views))['view_masks']
        remaining.add(20 - len(set(views[masks])))
    assert min(remaining) == 5


def test_mask_size_and_place():
    """Ids of one pixel each and nothing preserved: the mask is the rectangle itself."""
    np.random.seed(0)
    views = np.arange(2 * 40 * 60, dtype=np.int32).reshape(2, 40, 60)
    heights, widths, coverage = [], [], np.zeros((40, 60))
    for _ in range(300):
        for mask in SuperpixelMask(0.25, 0.0)(dict(view_superpixels=views))['view_masks']:
            rows, cols = mask.any(axis=1).sum(), mask.any(axis=0).sum()
            assert mask.sum() == rows * cols
            heights.append(rows)
            widths.append(cols)
            coverage += mask
    assert max(heights) == 10
    assert max(widths) == 15
    assert min(heights) == min(widths) == 0
    assert coverage[:10].sum() > 0
    assert coverage[-10:].sum() > 0
    assert coverage[:, -15:].sum() > 0


def test_no_ratio_no_mask():
    masks = SuperpixelMask(max_ratio=0.0)(dict(view_superpixels=shifted_views()))['view_masks']
    assert not masks.any()


@settings(max_examples=60, deadline=None)
@given(num_views=st.integers(1, 5), seed=st.integers(0, 10_000), masked=st.booleans())
def test_regions_are_the_common_unmasked_superpixels(num_views, seed, masked):
    np.random.seed(seed)
    results = dict(view_superpixels=shifted_views(num_views, seed=seed))
    expected = common_ids(results['view_superpixels'])
    if masked:
        results = SuperpixelMask(0.5)(results)
        expected -= set(results['view_superpixels'][results['view_masks']].tolist())
    results = MutualRegions()(results)
    if not expected:
        assert results is None
        return
    regions, superpixels = results['regions'], results['view_superpixels']
    assert regions.dtype == np.int32
    assert results['num_regions'] == len(expected)
    region_of = {superpixel: region for region, superpixel in enumerate(sorted(expected))}
    np.testing.assert_array_equal(regions, np.vectorize(lambda s: region_of.get(s, -1))(superpixels))


def test_a_region_masked_in_one_view_is_learned_from_in_none():
    superpixels = np.stack([np.arange(6, dtype=np.int32).reshape(2, 3)] * 3)
    masks = np.zeros(superpixels.shape, bool)
    masks[1, 0, 2] = True  # superpixel 2, in view 1 only
    results = MutualRegions()(dict(view_superpixels=superpixels, view_masks=masks))
    assert results['num_regions'] == 5
    np.testing.assert_array_equal(results['regions'], [[[0, 1, -1], [2, 3, 4]]] * 3)


def test_too_few_regions_is_no_sample():
    results = dict(view_superpixels=np.array([[[0, 1, 2]], [[1, 2, 3]]], np.int32))
    assert MutualRegions(min_regions=2)(dict(results))['num_regions'] == 2
    assert MutualRegions(min_regions=3)(dict(results)) is None


@pytest.mark.parametrize('prob', [0.0, 0.5, 1.0])
def test_flips_go_together(prob):
    np.random.seed(0)
    rng = np.random.RandomState(1)
    views = rng.randint(0, 256, (8, 5, 7, 3), dtype=np.uint8)
    ids = rng.randint(0, 9, (8, 5, 7)).astype(np.int32)
    masks = rng.rand(8, 5, 7) < 0.5
    results = RandomViewFlip(prob)(dict(views=views, view_superpixels=ids, view_masks=masks))
    flips = results['view_flips']
    assert flips.dtype == bool
    assert flips.sum() == {0.0: 0, 0.5: flips.sum(), 1.0: 8}[prob]
    assert (0 < flips.sum() < 8) == (prob == 0.5)
    for key, before in (('views', views), ('view_superpixels', ids), ('view_masks', masks)):
        assert results[key].dtype == before.dtype
        for m in range(8):
            np.testing.assert_array_equal(results[key][m], before[m][:, ::-1] if flips[m] else before[m])


def test_flipping_twice_is_no_flip():
    views = np.random.RandomState(0).randint(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    results = dict(views=views, view_superpixels=np.zeros((2, 3, 4), np.int32))
    flip = RandomViewFlip(1.0)
    results = flip(flip(results))
    np.testing.assert_array_equal(results['views'], views)
    assert not results['view_flips'].any()


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: SuperpixelMask(max_ratio=1.5), 'max_ratio'),
        (lambda: SuperpixelMask(preserve_ratio=-0.1), 'preserve_ratio'),
        (lambda: RandomViewFlip(prob=2), 'prob'),
        (lambda: MutualRegions(min_regions=0), 'min_regions'),
    ],
)
def test_rejects_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_rejects_inputs():
    ids = np.zeros((2, 4, 4), np.int32)
    with pytest.raises(ValueError, match='int64'):
        MutualRegions()(dict(view_superpixels=ids.astype(np.int64)))
    with pytest.raises(ValueError, match='from 0 on'):
        SuperpixelMask()(dict(view_superpixels=ids - 2))
    with pytest.raises(ValueError, match='view_masks'):
        MutualRegions()(dict(view_superpixels=ids, view_masks=np.zeros((2, 4, 5), bool)))
    with pytest.raises(ValueError, match='do not match'):
        RandomViewFlip()(dict(views=np.zeros((2, 4, 5, 3), np.uint8), view_superpixels=ids))
