"""Regions from files: which file, which format, and what is said where it does not fit."""

import builtins
import errno

import cv2
import numpy as np
import pytest
from awkward_files import encode, png_of_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from mmvice.datasets import SeededIndex, UnlabeledImageDataset
from mmvice.datasets.superpixel_files import decode_superpixels, encode_superpixels, superpixel_path
from mmvice.datasets.transforms import (
    ContextualViewCrop,
    LoadSuperpixels,
    MutualRegions,
    RandomViewFlip,
    SuperpixelMask,
)
from mmvice.utils import reading
from mmvice.utils.image_files import UnusableFileError


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


@pytest.mark.parametrize('ids', [[[-1, 0]], [[300, -1]], [[-300, 2]], [[0.5, 1.0]]])
def test_what_a_file_has_no_id_for_is_refused(ids):
    with pytest.raises(ValueError, match='whole ids from 0 on, but the superpixels are .*no_region of LoadSuperpixels'):
        encode_superpixels(np.array(ids))


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
    with pytest.raises(ValueError, match=r"a\.jpg\.png' must have one channel of ids, but has the channels RGB"):
        load(tmp_path)
    for kind, reason in (('TIFF', 'is not a PNG'), ('GIF', 'is not a PNG'), ('JPEG', 'is a JPEG, which changes ids')):
        path.write_bytes(encode(np.zeros((6, 8), np.uint8), kind))
        with pytest.raises(ValueError, match=reason) as error:
            load(tmp_path)
        assert not isinstance(error.value, UnusableFileError), 'a mistake of a whole set, not a damaged file'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnusableFileError, match=r"a\.jpg\.png' cannot be decoded: "):
        load(tmp_path, (60, 80))
    path.write_bytes(b'')
    with pytest.raises(UnusableFileError, match=r"a\.jpg\.png' is empty"):
        load(tmp_path)
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


@pytest.mark.parametrize('bits', [1, 2, 4])
@pytest.mark.parametrize('no_region', [0, 1])
def test_ids_of_few_bits_are_those_stored(tmp_path, bits, no_region):
    ids = np.arange(48).reshape(6, 8) % (1 << bits)
    content = png_of_bits(ids, bits)
    np.testing.assert_array_equal(decode_superpixels(content), ids)
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'a.jpg.png').write_bytes(content)
    # the largest id is the one that scaling to 8 bits would change
    largest = (1 << bits) - 1 if no_region else 0
    expected = np.where(ids == largest, -1, ids - (largest == 0))
    np.testing.assert_array_equal(load(tmp_path, no_region=largest), expected)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A data set of two images with superpixels, and errors that opening those of the first raises, one by one."""
    errors, real = [], builtins.open
    monkeypatch.setattr(reading, 'WAITS', (0, 0, 0))

    def opening(path, *args, **kwargs):
        if 'superpixels/0.png.png' in str(path) and errors:
            raise errors.pop(0)
        return real(path, *args, **kwargs)

    for number in range(2):
        store(tmp_path / 'images' / f'{number}.png', np.full((48, 64, 3), number, np.uint8))
        store(tmp_path / 'superpixels' / f'{number}.png.png', np.eye(48, 64, dtype=np.uint8))
    monkeypatch.setattr(builtins, 'open', opening)
    step = dict(type='LoadSuperpixels', folder=str(tmp_path / 'superpixels'), img_root=str(tmp_path / 'images'))
    pipeline = [dict(type='LoadImageFromFile'), step]
    return UnlabeledImageDataset(str(tmp_path / 'images'), pipeline=pipeline), errors


def first_of(dataset):
    return dataset[SeededIndex(0, (0, 0))]


@pytest.mark.parametrize('number', [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_passing_failure_is_tried_again(stored, number):
    dataset, errors = stored
    errors.extend([OSError(number, 'text')] * 3)
    assert first_of(dataset)['superpixels'].max() == 1 and not errors
    errors.extend([OSError(number, 'text')] * 4)
    with pytest.raises(OSError, match=r"0\.png\.png' cannot be read: text, in 4 tries: a failure of the disk"):
        first_of(dataset)
    assert first_of(dataset)['img'].max() == 0 and not dataset.skipped


LACKS = [OSError(errno.EMFILE, 'text'), OSError(errno.ENOMEM, 'text'), MemoryError()]


@pytest.mark.parametrize('error', LACKS)
def test_what_the_process_lacks_ends_the_run_and_is_no_bad_file(stored, error):
    dataset, errors = stored
    errors.append(error)
    with pytest.raises(type(error), match='the file is not at fault' if isinstance(error, OSError) else None):
        first_of(dataset)
    assert first_of(dataset)['img'].max() == 0 and not dataset.skipped


@pytest.mark.parametrize('error', LACKS)
def test_what_a_decoder_lacks_is_no_bad_file(stored, monkeypatch, error):
    def fail(*_):
        raise error

    dataset, _ = stored
    load_superpixels = dataset.pipeline.transforms[1]
    with monkeypatch.context() as patch:
        patch.setattr(PngImagePlugin.PngImageFile, 'load', fail)
        with pytest.raises(type(error)) as raised:
            load_superpixels(dict(img=np.zeros((48, 64, 3), np.uint8), img_path=dataset.get_data_info(0)['img_path']))
    assert raised.value is error
    assert first_of(dataset)['img'].max() == 0 and not dataset.skipped


def test_a_damaged_file_puts_its_image_out_and_a_missing_one_ends_the_run(stored, tmp_path):
    dataset, errors = stored
    errors.append(PermissionError(errno.EACCES, 'Permission denied'))
    with pytest.raises(FileNotFoundError, match=r"no file .*0\.png\.png' .* as it cannot be read: Permission denied"):
        first_of(dataset)
    assert not dataset.skipped
    path = tmp_path / 'superpixels' / '0.png.png'
    path.write_bytes(path.read_bytes()[:-30])
    assert first_of(dataset)['img'].max() == 1
    assert list(dataset.skipped) == [0] and "0.png.png' cannot be decoded" in dataset.skipped[0]
