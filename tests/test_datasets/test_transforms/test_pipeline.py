"""What must hold after the whole chain of steps, and of each step on its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose

from mmvice.datasets import transforms
from mmvice.datasets.transforms import (
    ContextualViewCrop,
    MutualRegions,
    PackViCEInputs,
    RandomViewFlip,
    SuperpixelGrid,
    SuperpixelMask,
    SuperpixelSLIC,
    ViewColorDistortion,
    ViewGaussianBlur,
)
from mmvice.registry import TRANSFORMS
from mmvice.structures.views_data_sample import ViewsDataSample


def textured_image(height, width, seed=0):
    """Coarse blobs with noise, so that there are edges and flat parts."""
    rng = np.random.RandomState(seed)
    blobs = rng.randint(0, 256, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)[:height, :width]
    return np.clip(blobs + rng.randint(-20, 21, (height, width, 3)), 0, 255).astype(np.uint8)


def image_results(height=72, width=96, seed=0):
    return dict(img=textured_image(height, width, seed), img_path='a.png', ori_shape=(height, width))


def chain(region_size=8, num_views=4, view_size=48, scale_range=(0.5, 2.0), grid=False):
    return [
        SuperpixelGrid(region_size) if grid else SuperpixelSLIC(region_size),
        ContextualViewCrop(num_views, view_size, scale_range),
        SuperpixelMask(),
        RandomViewFlip(),
        ViewColorDistortion(),
        ViewGaussianBlur(),
        MutualRegions(),
    ]


def view_points(box, flipped, height, width):
    """The image point (y, x) of every view pixel, by the documented convention."""
    x0, y0, x1, y1 = box.astype(int)
    ys = y0 + np.floor((np.arange(height) + 0.5) * (y1 - y0) / height).astype(int)
    xs = x0 + np.floor((np.arange(width) + 0.5) * (x1 - x0) / width).astype(int)
    return np.meshgrid(ys, xs[::-1] if flipped else xs, indexing='ij')


@settings(max_examples=120, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    num_views=st.integers(2, 6),
    view_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    low=st.floats(0.1, 1.5),
    spread=st.floats(1, 4),
    region_size=st.integers(1, 25),
    grid=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_region_ids_are_the_superpixels_that_boxes_and_flips_map_them_to(
    height, width, num_views, view_size, low, spread, region_size, grid, seed
):
    np.random.seed(seed)
    results = image_results(height, width, seed)
    for step in chain(region_size, num_views, view_size, (low, low * spread), grid):
        results = step(results)
        if results is None:
            return
    superpixels, regions = results['superpixels'], results['regions']
    to_superpixel = np.full(results['num_regions'], -1)
    for m in range(num_views):
        points = view_points(results['view_boxes'][m], results['view_flips'][m], *view_size)
        expected = superpixels[tuple(points)]
        np.testing.assert_array_equal(results['view_superpixels'][m], expected)
        mutual = regions[m] >= 0
        to_superpixel[regions[m][mutual]] = expected[mutual]
        # One region is one superpixel, in this view and all before it.
        np.testing.assert_array_equal(to_superpixel[regions[m][mutual]], expected[mutual])
        # And all regions are in this view.
        np.testing.assert_array_equal(np.unique(regions[m][mutual]), np.arange(results['num_regions']))
        # A superpixel that is a region anywhere is one wherever it is seen.
        np.testing.assert_array_equal(mutual, np.isin(expected, to_superpixel))
    assert not results['view_masks'][regions >= 0].any()
    assert results['views'].shape == (num_views, *view_size, 3)
    assert len(np.unique(to_superpixel)) == results['num_regions']


def test_the_chain_packs_what_the_model_takes():
    np.random.seed(0)
    results = Compose([*chain(), PackViCEInputs()])(image_results())
    assert set(results) == {'inputs', 'data_samples'}
    inputs, sample = results['inputs'], results['data_samples']
    assert inputs.shape == (4, 3, 48, 48)
    assert inputs.dtype == torch.uint8
    assert inputs.is_contiguous()
    assert isinstance(sample, ViewsDataSample)
    assert sample.regions.dtype == torch.int32
    assert sample.view_masks.dtype == torch.bool
    assert sample.regions.shape == sample.view_masks.shape == (4, 48, 48)
    assert sample.num_regions == sample.regions.max() + 1
    assert set(sample.metainfo_keys()) == {
        *('num_regions', 'img_path', 'ori_shape', 'view_boxes', 'view_flips', 'noise_seed')
    }
    assert isinstance(sample.noise_seed, int)


def test_the_same_seed_gives_the_same_sample():
    pipeline = Compose([*chain(), PackViCEInputs()])
    samples = []
    for seed in (5, 5, 6):
        np.random.seed(seed)
        samples.append(pipeline(image_results()))
    first, again, other = samples
    assert torch.equal(first['inputs'], again['inputs'])
    assert torch.equal(first['data_samples'].regions, again['data_samples'].regions)
    assert torch.equal(first['data_samples'].view_masks, again['data_samples'].view_masks)
    assert first['data_samples'].noise_seed == again['data_samples'].noise_seed
    assert not torch.equal(first['inputs'], other['inputs'])
    assert first['data_samples'].noise_seed != other['data_samples'].noise_seed


def test_the_chain_works_without_its_optional_steps():
    np.random.seed(0)
    results = Compose([SuperpixelGrid(8), ContextualViewCrop(3, 32), MutualRegions(), PackViCEInputs()])(
        image_results()
    )
    sample = results['data_samples']
    assert 'view_masks' not in sample
    assert 'view_flips' not in sample
    assert sample.num_regions > 0


def test_packing_keeps_pixels_and_channels():
    views = np.random.RandomState(0).randint(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    results = dict(views=views, regions=np.zeros((2, 5, 7), np.int32), num_regions=1, extra='x', img_path='y')
    packed = PackViCEInputs(meta_keys=('extra',))(results)
    np.testing.assert_array_equal(packed['inputs'].permute(0, 2, 3, 1).numpy(), views)
    assert packed['data_samples'].extra == 'x'
    assert 'img_path' not in packed['data_samples']


def test_packing_rejects():
    views = np.zeros((2, 5, 7, 3), np.uint8)
    with pytest.raises(KeyError, match='MutualRegions'):
        PackViCEInputs()(dict(views=views))
    with pytest.raises(ValueError, match='regions'):
        PackViCEInputs()(dict(views=views, regions=np.zeros((2, 5, 6), np.int32), num_regions=1))
    with pytest.raises(TypeError, match='img_path'):
        PackViCEInputs(meta_keys='img_path')


def test_data_sample_checks_its_fields():
    sample = ViewsDataSample()
    with pytest.raises(TypeError, match='tensor'):
        sample.regions = np.zeros((2, 3, 3), np.int32)
    with pytest.raises(ValueError, match='int64'):
        sample.regions = torch.zeros(2, 3, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match='view_masks'):
        sample.view_masks = torch.zeros(2, 3, dtype=torch.bool)
    sample.view_masks = torch.ones(2, 3, 3, dtype=torch.bool)
    assert 'view_masks' in sample
    del sample.view_masks
    assert 'view_masks' not in sample


LOADERS = ('LoadImageFromFile', 'LoadAnnotations')  # these come first
REQUIRED = dict(
    Resize=dict(scale=(128, 96)),
    SuperpixelGrid=dict(region_size=7),
    LoadSuperpixels=dict(folder='superpixels', img_root='images'),
)


@pytest.mark.parametrize('name', transforms.__all__)
def test_every_step_is_registered_and_prints_its_settings(name):
    step = TRANSFORMS.build(dict(type=name, **REQUIRED.get(name, {})))
    assert type(step) is getattr(transforms, name)
    rebuilt = eval(repr(step), vars(transforms))
    assert repr(rebuilt) == repr(step)


@pytest.mark.parametrize('name', [name for name in transforms.__all__ if name not in LOADERS])
def test_every_step_names_the_step_that_is_missing_before_it(name):
    step = TRANSFORMS.build(dict(type=name, **REQUIRED.get(name, {})))
    with pytest.raises(KeyError, match='before it in the pipeline'):
        step(dict(something=1))


def test_transforms_of_mmseg_and_mmcv_resolve():
    for name in ('LoadImageFromFile', 'Resize', 'CenterCrop', 'PhotoMetricDistortion', 'PackSegInputs'):
        assert TRANSFORMS.get(name) is not None
