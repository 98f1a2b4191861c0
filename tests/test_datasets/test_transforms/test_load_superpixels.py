"""Regions from files: which file, which format, and what is said where it does not fit."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmvice.datasets.superpixel_files import decode_superpixels, encode_superpixels, superpixel_path
from mmvice.datasets.transforms import (
    ContextualViewCrop,
    LoadSuperpixels,
    MutualRegions,
    RandomViewFlip,
    SuperpixelMask,
)


def load(folder, shape=(6, 8), img_path='images/train/a.jpg', **kwargs):
    results = dict(img=np.zeros((*shape, 3), np.uint8), img_path=img_path)
    return LoadSuperpixels(str(folder), 'images', **kwargs)(results)['superpixels']


def store(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), count=st.sampled_from([1, 2, 255, 256, 257, 4000, 65_536]))
def test_ids_survive_a_file_as_their_ranks(seed, count):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, count, (17, 23)).astype(np.int32)
    ids[0, 0] = count - 1
    read = decode_superpixels(encode_superpixels(ids))
    assert read.dtype == np.int32 and read.flags.writeable
    np.testing.assert_array_equal(read, np.unique(ids, return_inverse=True)[1].reshape(ids.shape))


def test_more_ids_than_a_file_holds_are_refused():
    with pytest.raises(ValueError, match='65,537 superpixels .* 65,536 at most'):
        encode_superpixels(np.arange(65_537, dtype=np.int32).reshape(1, -1))


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'I;16'])
def test_files_of_any_segmenter_with_one_channel_can_be_read(tmp_path, mode):
    ids = np.array([[0, 1, 1], [1, 0, 0]])
    image = Image.fromarray(ids.astype(np.uint16 if mode == 'I;16' else np.uint8) * (300 if mode == 'I;16' else 1))
    if mode == '1':
        image = Image.fromarray(ids.astype(bool))
    if mode == 'P':
        image.putpalette([9, 9, 9, 200, 0, 0])
    (tmp_path / 'train').mkdir()
    image.save(tmp_path / 'train' / 'a.jpg.png')
    with Image.open(tmp_path / 'train' / 'a.jpg.png') as written:
        assert written.mode == mode
    np.testing.assert_array_equal(load(tmp_path, (2, 3)), ids)


def test_label_maps_serve_as_regions_under_their_own_names(tmp_path):
    labels = np.repeat(np.array([[3, 3, 255, 0]], np.uint8), 6, 0).repeat(2, 1)
    store(tmp_path / 'annotations' / 'train' / 'a.png', labels)
    regions = load(tmp_path, filename='annotations/{stem}.png')
    np.testing.assert_array_equal(regions[0], [1, 1, 1, 1, 2, 2, 0, 0])


def test_files_lie_as_their_images_and_never_elsewhere():
    assert superpixel_path('/d/images/a/b.jpg', '/d/images', 'sp') == 'sp/a/b.jpg.png'
    assert superpixel_path('/d/images/a/../{path}.jpg', '/d/images/', 'sp') == 'sp/{path}.jpg.png'
    assert superpixel_path('/d/images/..a/b.jpg', '/d/images', 'sp') == 'sp/..a/b.jpg.png'
    assert superpixel_path('/d/a.jpg', '/d', 'sp') != superpixel_path('/d/a.png', '/d', 'sp')
    for outside in ('/d/images/../../etc/a.jpg', '/e/a.jpg', '../a.jpg', '/d/images2/a.jpg', '/d/images'):
        with pytest.raises(ValueError, match='not in the folder'):
            superpixel_path(outside, '/d/images', 'sp')


def test_what_does_not_fit_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*train/a\.jpg\.png' .*superpixels\.py CONFIG"):
        load(tmp_path)
    path = tmp_path / 'train' / 'a.jpg.png'
    store(path, np.zeros((8, 6), np.uint8))
    with pytest.raises(ValueError, match='has 6x8 px, but at this place of the pipeline the image has 8x6'):
        load(tmp_path)
    store(path, np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.jpg\.png. is a PNG with the channels RGB, but it must have one'):
        load(tmp_path)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match='not a whole PNG file'):
        load(tmp_path, (60, 80))
    for filename in ('regions.png', '/tmp/{path}', '../{path}', '{stem}{x}', '{path.png'):
        with pytest.raises(ValueError, match='filename must be like'):
            LoadSuperpixels('sp', 'images', filename)


@pytest.mark.parametrize('no_region, mode', [(0, 'L'), (255, 'P'), (65_535, 'I;16'), (7, 'L')])
def test_an_id_that_is_no_region(tmp_path, no_region, mode):
    """Masks over a part of the image: the rest is -1, and the masks are numbered from 0."""
    ids = np.full((6, 8), no_region, np.uint16 if mode == 'I;16' else np.uint8)
    ids[1:3, 1:4], ids[4, 5:] = 3, 9
    image = Image.fromarray(ids)
    if mode == 'P':
        image.putpalette([value for value in range(256) for _ in range(3)])
    (tmp_path / 'train').mkdir()
    image.save(tmp_path / 'train' / 'a.jpg.png')
    expected = np.full((6, 8), -1)
    expected[1:3, 1:4], expected[4, 5:] = 0, 1
    np.testing.assert_array_equal(load(tmp_path, no_region=no_region), expected)
    assert load(tmp_path).max() == 2, 'without the option, the rest is a region'
    assert load(tmp_path, no_region=200).max() == 2, 'an id that does not occur changes nothing'


def test_an_image_without_any_region_is_no_sample(tmp_path):
    store(tmp_path / 'train' / 'a.jpg.png', np.zeros((6, 8), np.uint8))
    superpixels = load(tmp_path, no_region=0)
    assert (superpixels == -1).all()
    results = dict(view_superpixels=np.stack([superpixels, superpixels]))
    results = SuperpixelMask(max_ratio=1.0)(results)
    assert not results['view_masks'].any()
    assert MutualRegions()(results) is None


def test_pixels_without_region_are_neither_masked_nor_learned_from(tmp_path):
    """12 % of the image is covered, in views of it too."""
    rng = np.random.default_rng(0)
    ids = np.zeros((120, 160), np.uint8)
    for number in range(1, 13):
        y, x = rng.integers(0, (108, 144))
        ids[y : y + 12, x : x + 16] = number
    store(tmp_path / 'train' / 'a.jpg.png', ids)
    steps = [
        LoadSuperpixels(str(tmp_path), 'images', no_region=0),
        ContextualViewCrop(num_views=3, view_size=64, scale_range=(1.0, 1.5)),
        SuperpixelMask(max_ratio=0.5),
        RandomViewFlip(),
    ]
    learned = 0
    for seed in range(20):
        np.random.seed(seed)
        results = dict(img=rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), img_path='images/train/a.jpg')
        for step in steps:
            results = step(results)
        none = results['view_superpixels'] == -1
        assert none.any() and not results['view_masks'][none].any()
        results = MutualRegions()(results)
        if results is not None:
            learned += 1
            assert (results['regions'][none] == -1).all()
            for region in range(results['num_regions']):
                kinds = {
                    np.unique(v[r == region]).item() for v, r in zip(results['view_superpixels'], results['regions'])
                }
                assert len(kinds) == 1 and kinds != {-1}
    assert learned > 5


@pytest.mark.parametrize('no_region', [-1, 65_536, '0', True, 0.0])
def test_other_ids_of_no_region_are_refused(no_region):
    with pytest.raises(ValueError, match='no_region must be an id from 0 to 65535, or None'):
        LoadSuperpixels('sp', 'images', no_region=no_region)
