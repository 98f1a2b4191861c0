"""What holds of each step whatever its input: sizes, numbers of views, scales, ids, settings and seeds."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from PIL import Image

from mmvice.datasets.transforms import (
    ContextualViewCrop,
    LoadSuperpixels,
    MutualRegions,
    PackViCEInputs,
    RandomViewFlip,
    SuperpixelGrid,
    SuperpixelMask,
    SuperpixelSLIC,
    TreatAsOriginal,
    ViewColorDistortion,
    ViewGaussianBlur,
    view_crop,
)
from mmvice.datasets.transforms.checks import (
    check_probability,
    check_range,
    get_view_masks,
    get_view_superpixels,
    get_views,
)

sides = st.one_of(st.integers(1, 6), st.integers(7, 60))
seeds = st.integers(0, 10_000)
probabilities = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
num_views = st.integers(2, 5)
dtypes = st.sampled_from([np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64, bool])
few = settings(max_examples=40, deadline=None)


@st.composite
def images(draw):
    """Noise, coarse blocks or one colour: uint8 (H, W, 3), also in another order in memory."""
    height, width, seed = draw(sides), draw(sides), draw(seeds)
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(['noise', 'blocks', 'one colour']))
    if kind == 'one colour':
        image = np.tile(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8), (height, width, 1))
    else:
        block = 1 if kind == 'noise' else 9
        coarse = rng.integers(0, 256, (height // block + 1, width // block + 1, 3), dtype=np.uint8)
        image = coarse.repeat(block, 0).repeat(block, 1)[:height, :width]
    return image[:, ::-1] if draw(st.booleans()) else np.ascontiguousarray(image)


@st.composite
def views(draw, smallest=1):
    """Views uint8 (M, h, w, 3) and the superpixels int32 (M, h, w) of crops of one map of ids, not all in all views."""
    m, h, w, seed = (
        draw(st.integers(1, 5)),
        draw(st.integers(smallest, 30)),
        draw(st.integers(smallest, 30)),
        draw(seeds),
    )
    rng = np.random.default_rng(seed)
    cell = draw(st.integers(1, 8))
    y, x = np.indices((h + 12, w + 12)) // cell
    ids = (y * (x.max() + 1) + x).astype(np.int32) * draw(st.integers(1, 3))
    starts = rng.integers(0, 13, (m, 2)) if draw(st.booleans()) else np.zeros((m, 2), int)
    superpixels = np.stack([ids[top : top + h, left : left + w] for top, left in starts])
    return dict(views=rng.integers(0, 256, (m, h, w, 3), dtype=np.uint8), view_superpixels=superpixels)


def copied(results):
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in results.items()}


def run(step, results, seed=0):
    """The results of a step, whose arrays given stay as they are, and whose randomness is that of the seed."""
    given_arrays, before = dict(results), copied(results)
    outputs = []
    for _ in range(2):
        np.random.seed(seed)
        outputs.append(step(dict(results)))
    for key, value in before.items():
        np.testing.assert_array_equal(given_arrays[key], value, err_msg=f'{key} was changed in place')
    first, again = outputs
    assert (first is None) == (again is None)
    if first is not None:
        assert first.keys() == again.keys()
        for key, value in first.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, again[key], err_msg=f'{key} is not a function of the seed')
    return first


def assert_ids(ids, shape):
    assert ids.dtype == np.int32 and ids.shape == shape
    np.testing.assert_array_equal(np.unique(ids), np.arange(ids.max() + 1))


@few
@given(images(), st.integers(1, 40), st.floats(0.5, 100), st.integers(1, 6), st.booleans())
def test_superpixels_are_contiguous_ids_without_a_draw(image, region_size, ruler, num_iters, grid):
    step = SuperpixelGrid(region_size) if grid else SuperpixelSLIC(region_size, ruler, num_iters)
    results = run(step, dict(img=image, other='kept'))
    state = np.random.get_state()
    assert_ids(results['superpixels'], image.shape[:2])
    step(dict(img=image))
    assert np.array_equal(state[1], np.random.get_state()[1]) and state[2] == np.random.get_state()[2]
    assert results['img'] is image and results['other'] == 'kept'
    ordered = step(dict(img=np.ascontiguousarray(image)))['superpixels']
    np.testing.assert_array_equal(results['superpixels'], ordered)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(sides, sides),
    largest=st.sampled_from([1, 3, 255, 256, 65_535]),
    palette=st.booleans(),
    seed=seeds,
)
def test_loaded_superpixels_are_the_ranks_of_the_ids_in_the_file(tmp_path, shape, largest, palette, seed):
    ids = np.random.default_rng(seed).integers(0, largest + 1, shape)
    picture = Image.fromarray(ids.astype(np.uint8 if largest < 256 else np.uint16))
    if palette and largest < 256:
        picture.putpalette(np.random.default_rng(seed).integers(0, 256, 768, dtype=np.uint8).tobytes())
    picture.save(tmp_path / 'a.jpg.png')
    step = LoadSuperpixels(str(tmp_path), 'images')
    results = run(step, dict(img=np.zeros((*shape, 3), np.uint8), img_path='images/a.jpg'))
    assert_ids(results['superpixels'], shape)
    np.testing.assert_array_equal(results['superpixels'], np.unique(ids, return_inverse=True)[1].reshape(shape))
    with pytest.raises(ValueError, match='at this place of the pipeline'):
        step(dict(img=np.zeros((shape[0] + 1, shape[1], 3), np.uint8), img_path='images/a.jpg'))


@settings(max_examples=80, deadline=None)
@given(
    image=images(),
    count=num_views,
    view_size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    low=st.floats(0.01, 3),
    spread=st.floats(1, 20),
    place=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
    contextual=st.booleans(),
    seed=seeds,
)
def test_every_view_holds_the_primary_centre(image, count, view_size, low, spread, place, contextual, seed):
    """For every centre: the boxes lie in the image and hold it, and the views have no colour that the image lacks."""
    center = np.array([int(share * side) for share, side in zip(place, image.shape)])
    superpixels = np.arange(image.shape[0] * image.shape[1], dtype=np.int32).reshape(image.shape[:2])
    step = ContextualViewCrop(count, view_size, (low, low * spread), contextual)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_crop, '_draw_pixel', lambda weights: center)
        results = run(step, dict(img=image, superpixels=superpixels), seed)
    boxes, ids = results['view_boxes'].astype(int), results['view_superpixels']
    assert boxes.shape == (count, 4) and results['view_boxes'].dtype == np.float32
    assert results['views'].shape == (count, *view_size, 3) and results['views'].dtype == np.uint8
    assert ids.shape == (count, *view_size) and ids.dtype == np.int32
    y, x = center
    for (x0, y0, x1, y1), view, view_ids in zip(boxes, results['views'], ids):
        assert 0 <= x0 <= x < x1 <= image.shape[1] and 0 <= y0 <= y < y1 <= image.shape[0]
        rows, columns = view_ids // image.shape[1], view_ids % image.shape[1]
        assert rows.min() >= y0 and rows.max() < y1 and columns.min() >= x0 and columns.max() < x1
        part = image[y0:y1, x0:x1].reshape(-1, 3)
        assert (view >= part.min(0)).all() and (view <= part.max(0)).all()


@few
@given(views(), probabilities, st.booleans(), seeds)
def test_flips_are_consistent_and_undo_themselves(results, prob, masked, seed):
    if masked:
        results['view_masks'] = np.random.default_rng(seed).random(results['view_superpixels'].shape) < 0.5
    flipped = run(RandomViewFlip(prob), results, seed)
    flips = flipped['view_flips']
    assert flips.dtype == bool and flips.shape == (len(results['views']),)
    assert not flips.any() if prob == 0 else flips.all() if prob == 1 else True
    for key, before in results.items():
        assert flipped[key].dtype == before.dtype and flipped[key].shape == before.shape
        for after, one, flip in zip(flipped[key], before, flips):
            np.testing.assert_array_equal(after, one[:, ::-1] if flip else one)
    back = RandomViewFlip(1.0)(RandomViewFlip(1.0)(copied(results)))
    for key, before in results.items():
        np.testing.assert_array_equal(back[key], before)
    assert not back['view_flips'].any()


@few
@given(views(), probabilities, probabilities, st.integers(1, 4), seeds)
def test_masked_regions_are_never_learned(results, max_ratio, preserve_ratio, min_regions, seed):
    """Masks are of whole superpixels; a region is one superpixel, in every view, and nowhere masked."""
    masked = run(SuperpixelMask(max_ratio, preserve_ratio), results, seed)
    masks, superpixels = masked['view_masks'], results['view_superpixels']
    assert masks.dtype == bool and masks.shape == superpixels.shape
    for mask, ids in zip(masks, superpixels):
        assert not set(ids[mask]) & set(ids[~mask])
    if max_ratio == 0:
        assert not masks.any()
    common = set.intersection(*(set(ids.ravel()) for ids in superpixels))
    kept = common - set(superpixels[masks])
    if preserve_ratio == 1:
        assert kept == common
    learned = run(MutualRegions(min_regions), masked, seed)
    if len(kept) < min_regions:
        assert learned is None
        return
    regions, number = learned['regions'], learned['num_regions']
    assert regions.dtype == np.int32 and regions.shape == superpixels.shape and number == len(kept)
    for ids in regions:
        np.testing.assert_array_equal(np.unique(ids[ids >= 0]), np.arange(number))
    assert regions.min() >= -1 and not masks[regions >= 0].any()
    pairs = set(zip(regions[regions >= 0].tolist(), superpixels[regions >= 0].tolist()))
    assert len(pairs) == number and {superpixel for _, superpixel in pairs} == kept


@few
@given(views(), st.floats(0, 2.5), probabilities, probabilities, seeds)
def test_colours_are_distorted_pixel_by_pixel(results, strength, jitter_prob, grey_prob, seed):
    step = ViewColorDistortion(strength, jitter_prob, grey_prob)
    flat = np.broadcast_to(results['views'][:, :1, :1], results['views'].shape).copy()
    for given_views in (results['views'], flat):
        after = run(step, dict(views=given_views), seed)['views']
        assert after.dtype == np.uint8 and after.shape == given_views.shape
        if jitter_prob == 0 and grey_prob == 0:
            np.testing.assert_array_equal(after, given_views)
        if grey_prob == 1:
            assert np.ptp(after.astype(int), axis=3).max() == 0
    assert (after == after[:, :1, :1]).all(), 'what has one colour keeps one'


@few
@given(views(), probabilities, st.floats(0.05, 3), st.floats(1, 4), seeds)
def test_blur_averages_the_pixels_of_one_view_and_channel(results, prob, low, spread, seed):
    before = results['views']
    after = run(ViewGaussianBlur(prob, (low, low * spread)), dict(views=before), seed)['views']
    assert after.dtype == np.uint8 and after.shape == before.shape
    assert (after >= before.min((1, 2), keepdims=True)).all() and (after <= before.max((1, 2), keepdims=True)).all()
    if prob == 0:
        np.testing.assert_array_equal(after, before)


@few
@given(views(), st.booleans(), seeds)
def test_packing_is_undone_by_unpacking(results, masked, seed):
    results = MutualRegions()(dict(results))
    assume(results is not None)
    if masked:
        results['view_masks'] = np.random.default_rng(seed).random(results['regions'].shape) < 0.5
    results |= dict(img_path='ü.png', ori_shape=(3, 4), view_boxes=np.zeros((len(results['views']), 4), np.float32))
    before = copied(results)
    np.random.seed(seed)
    packed = PackViCEInputs()(dict(results))
    np.random.seed(seed)
    assert packed['data_samples'].noise_seed == PackViCEInputs()(dict(results))['data_samples'].noise_seed
    assert packed.keys() == {'inputs', 'data_samples'}
    inputs, sample = packed['inputs'], packed['data_samples']
    assert inputs.dtype == torch.uint8 and inputs.is_contiguous()
    np.testing.assert_array_equal(inputs.permute(0, 2, 3, 1).numpy(), before['views'])
    np.testing.assert_array_equal(sample.regions.numpy(), before['regions'])
    assert sample.num_regions == before['num_regions'] and sample.img_path == 'ü.png' and sample.ori_shape == (3, 4)
    assert ('view_masks' in sample) == masked and 0 <= sample.noise_seed < 2**31
    if masked:
        np.testing.assert_array_equal(sample.view_masks.numpy(), before['view_masks'])


@few
@given(images())
def test_the_original_is_the_image_as_it_is(image):
    results = run(TreatAsOriginal(), dict(img=image, ori_shape=(1, 2), img_shape=(3, 4)))
    assert results == dict(img=image, ori_shape=image.shape[:2], img_shape=(3, 4))


@few
@given(
    image=images(),
    count=num_views,
    view_size=st.integers(1, 40),
    region_size=st.integers(1, 20),
    seed=seeds,
)
def test_a_whole_sample_is_a_function_of_the_image_and_the_seed(image, count, view_size, region_size, seed):
    steps = [SuperpixelSLIC(region_size), ContextualViewCrop(count, view_size), SuperpixelMask(), RandomViewFlip()]
    steps += [ViewColorDistortion(), ViewGaussianBlur(), MutualRegions(), PackViCEInputs()]
    samples = []
    for _ in range(2):
        np.random.seed(seed)
        samples.append(Compose(steps)(dict(img=image.copy())))
    first, again = samples
    assert (first is None) == (again is None)
    if first is not None:
        assert torch.equal(first['inputs'], again['inputs'])
        for key in ('regions', 'view_masks'):
            assert torch.equal(first['data_samples'].get(key), again['data_samples'].get(key))
        assert first['data_samples'].noise_seed == again['data_samples'].noise_seed


@few
@given(st.one_of(st.floats(), st.integers(-3, 3)))
def test_probabilities_lie_between_0_and_1(value):
    if 0 <= value <= 1:
        assert check_probability('p', value) == value
    else:
        with pytest.raises(ValueError, match=r'^p must lie in \[0, 1\], got '):
            check_probability('p', value)


@few
@given(st.one_of(st.tuples(st.floats(), st.floats()), st.lists(st.floats(0.1, 9), max_size=4), st.floats()))
def test_ranges_are_two_ascending_positive_numbers(value):
    if isinstance(value, (tuple, list)) and len(value) == 2 and 0 < value[0] <= value[1] < np.inf:
        assert check_range('r', value) == tuple(value)
    else:
        with pytest.raises(ValueError, match=r'^r must be \(low, high\) with 0 < low <= high, got '):
            check_range('r', value)


@settings(max_examples=80, deadline=None)
@given(dtypes, st.lists(st.integers(0, 4), min_size=1, max_size=5), st.booleans())
def test_arrays_of_another_kind_are_refused_with_their_kind(dtype, shape, as_list):
    """Never taken, and never another error than the one that says what they are."""
    array = np.zeros(shape, dtype)
    value = array.tolist() if as_list else array
    said = 'list' if as_list else rf'{np.dtype(dtype)} \({", ".join(map(str, shape))},?\)'
    fits = dict(
        views=dtype is np.uint8 and len(shape) == 4 and shape[-1] == 3,
        view_superpixels=dtype is np.int32 and len(shape) == 3 and 0 not in shape,
        view_masks=dtype is bool and tuple(shape) == (2, 3, 4),
    )
    for key, get in (
        ('views', lambda results: get_views(results, MutualRegions())),
        ('view_superpixels', lambda results: get_view_superpixels(results, MutualRegions())),
        ('view_masks', lambda results: get_view_masks(results, (2, 3, 4))),
    ):
        if fits[key] and not as_list:
            assert get({key: value}) is value
        else:
            with pytest.raises(ValueError, match=f"^'{key}' must be .* got {said}"):
                get({key: value})
