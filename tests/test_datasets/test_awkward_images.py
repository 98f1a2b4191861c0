"""Folders in which every kind of image file lies: what data sets make of them."""

import os

import cv2
import numpy as np
import pytest
from awkward_files import encode, scene, turned, unusable_images, usable_images, write_files
from mmcv.transforms import BaseTransform
from mmengine.registry import DefaultScope

from mmvice.datasets import CamVidDataset, LabeledImageDataset, SeededIndex, UnlabeledImageDataset
from mmvice.datasets.transforms import LoadImageFromFile

LOAD = [dict(type='LoadImageFromFile')]
LOAD_BOTH = [*LOAD, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
VIEWS = [
    *LOAD,
    dict(type='SuperpixelSLIC', region_size=8),
    dict(type='ContextualViewCrop', num_views=3, view_size=32),
    dict(type='SuperpixelMask'),
    dict(type='RandomViewFlip'),
    dict(type='ViewColorDistortion'),
    dict(type='ViewGaussianBlur'),
    dict(type='MutualRegions'),
    dict(type='PackViCEInputs'),
]
USABLE = {name: content for name, (content, *_) in usable_images().items()}
UNUSABLE = {name: content for name, (content, _) in unusable_images().items()}


def basename(item):
    return os.path.basename(item['data_samples'].img_path)


def test_usable_images_of_every_kind_come_out_as_they_are_shown(tmp_path, warnings):
    write_files(tmp_path, USABLE | {'deep/er/TURNED.JPG': USABLE['turned.jpg']})
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD)
    items = {os.path.basename(item['img_path']): item['img'] for item in map(dataset.__getitem__, range(len(dataset)))}
    assert len(items) == len(USABLE) + 1 and not warnings
    assert np.array_equal(items.pop('TURNED.JPG'), items['turned.jpg'])
    for name, (_, shown, error) in usable_images().items():
        assert items[name].dtype == np.uint8 and items[name].shape == shown.shape
        assert np.abs(items[name].astype(int) - shown).mean() <= error, name


def test_usable_images_of_every_kind_make_views(tmp_path, warnings):
    write_files(tmp_path, USABLE)
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=VIEWS)
    assert len(dataset) == len(USABLE)
    items = [dataset[SeededIndex(index, (0, 0))] for index in range(len(dataset))]
    assert sorted(map(basename, items)) == sorted(USABLE) and not warnings
    assert all(item['inputs'].shape == (3, 3, 32, 32) for item in items)


def test_unusable_images_are_passed_over_each_with_one_warning_that_counts(tmp_path, warnings):
    write_files(tmp_path, UNUSABLE | {'good.png': USABLE['deep.png'], 'pixel.png': encode(scene(1, 1), 'PNG')})
    write_files(tmp_path, {'narrow.png': encode(scene(400, 31), 'PNG'), 'gone.png': b''})
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=VIEWS)
    (tmp_path / 'gone.png').unlink()
    total = len(UNUSABLE) + 4
    for epoch in range(2):
        for index in range(total):
            assert basename(dataset[SeededIndex(index, (0, epoch))]) == 'good.png'
    assert len(warnings) == total - 1
    for count, message in enumerate(warnings, 1):
        assert message.endswith(f'({count} of {total} images skipped so far in this process)')
        assert '\n' not in message
    for name, (_, reason) in unusable_images().items():
        assert [message for message in warnings if f"{name}' " in message], reason
    assert sum('is too small: ' in message for message in warnings) == 2
    assert any("narrow.png' is too small: 31x400 px, and min_size is 32" in message for message in warnings)
    assert sum("gone.png' cannot be read: No such file or directory" in message for message in warnings) == 1


def test_small_and_thin_images_make_views_where_they_are_asked_for(tmp_path, warnings):
    """Smaller than a superpixel, a view and a cell; views larger than every image."""
    shapes = ((1, 1), (1, 700), (700, 1), (2, 3), (5, 90), (31, 31))
    write_files(tmp_path, {f'{height}x{width}.png': encode(scene(height, width), 'PNG') for height, width in shapes})
    pipeline = [*LOAD, dict(type='SuperpixelSLIC', region_size=20), dict(VIEWS[2], view_size=200), *VIEWS[4:]]
    dataset = UnlabeledImageDataset(str(tmp_path), min_size=1, pipeline=pipeline)
    items = [dataset[SeededIndex(index, (0, 0))] for index in range(len(shapes))]
    assert len(set(map(basename, items))) == len(shapes) and not warnings
    assert all(item['inputs'].shape == (3, 3, 200, 200) for item in items)


@pytest.mark.parametrize('shape', [(1, 1), (1, 700), (32, 4000), (3000, 33), (20, 20)])
def test_the_steps_before_the_superpixels_take_any_shape(tmp_path, shape):
    """Resizing and cropping as the paper's configs do, at a tenth of the size."""
    write_files(tmp_path, {'x.png': encode(scene(*shape), 'PNG')})
    steps = [dict(type='ResizeShortestEdge', scale=32, max_size=10_000), dict(type='CenterCrop', crop_size=(32, 32))]
    dataset = UnlabeledImageDataset(str(tmp_path), min_size=1, pipeline=[*LOAD, *steps, *VIEWS[1:]])
    with DefaultScope.overwrite_default_scope('mmvice'):
        assert dataset[SeededIndex(0, (0, 0))]['inputs'].shape == (3, 3, 32, 32)


def test_an_image_too_long_for_its_width_is_passed_over_when_it_is_resized(tmp_path, warnings):
    write_files(tmp_path, {'a strip.png': encode(scene(32, 10_000), 'PNG'), 'b.png': USABLE['deep.png']})
    resize = dict(type='Resize', scale=(128, 96), keep_ratio=True)
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=[*LOAD, resize, *VIEWS[1:]])
    for epoch in range(2):
        assert basename(dataset[SeededIndex(0, (0, epoch))]) == 'b.png'
    (warning,) = warnings
    assert "a strip.png' is too long for its width: 10000x32 px, scaled to 128x96 (with its ratio kept)" in warning
    assert 'would have 128x0; cut it into tiles (1 of 2 images skipped' in warning


def test_a_step_that_fails_names_the_image(tmp_path, warnings):
    write_files(tmp_path, {'x.png': USABLE['deep.png']})

    class Fails(BaseTransform):
        def transform(self, results):
            raise ZeroDivisionError

    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=[*LOAD, Fails()])
    with pytest.raises(ZeroDivisionError):
        dataset[SeededIndex(0, (0, 0))]
    (message,) = warnings
    assert 'UnlabeledImageDataset: Fails failed on ' in message and "x.png'" in message


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no named pipes')
def test_pipes_and_devices_are_not_read(tmp_path, warnings):
    """Without an end, or with one that never comes."""
    write_files(tmp_path, {'x.png': USABLE['deep.png'], 'list.txt': b'pipe.png\n/dev/zero\nx.png\n'})
    os.mkfifo(tmp_path / 'pipe.png')
    dataset = UnlabeledImageDataset(str(tmp_path), ann_file='list.txt', pipeline=VIEWS)
    assert [basename(dataset[SeededIndex(index, (0, 0))]) for index in range(3)] == ['x.png'] * 3
    assert len(warnings) == 2
    assert all("' is not a regular file, but a pipe, device or socket" in warning for warning in warnings)
    assert 'pipe.png' in warnings[0] + warnings[1] and '/dev/zero' in warnings[0] + warnings[1]


def test_an_image_of_one_colour_makes_views_of_one_colour(tmp_path):
    write_files(tmp_path, {'x.png': encode(np.full((60, 80, 3), 90, np.uint8), 'PNG')})
    pipeline = [step for step in VIEWS if step['type'] not in ('ViewColorDistortion', 'ViewGaussianBlur')]
    item = UnlabeledImageDataset(str(tmp_path), pipeline=pipeline)[SeededIndex(0, (0, 0))]
    assert (item['inputs'] == 90).all() and item['data_samples'].num_regions > 1


def test_files_that_may_not_be_read_are_passed_over(tmp_path, warnings, monkeypatch):
    write_files(tmp_path, {'a secret.png': USABLE['deep.png'], 'b.png': USABLE['deep.png']})
    read = open

    def refuse(path, *args, **kwargs):
        if 'secret' in str(path):
            raise PermissionError(13, 'Permission denied', str(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr('builtins.open', refuse)
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=VIEWS)
    assert basename(dataset[SeededIndex(0, (0, 0))]) == 'b.png'
    assert "a secret.png' cannot be read: Permission denied (1 of 2 images skipped" in warnings[0]


def test_another_loader_in_its_place_is_asked_the_same(tmp_path, warnings):
    """MMCV's own decodes the rest, and what it raises is not the end of the run either."""
    write_files(tmp_path, {'a.png': b'', 'b.png': USABLE['deep.png']})
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=[dict(type='mmcv.LoadImageFromFile'), *VIEWS[1:]])
    assert type(dataset.pipeline.transforms[0]) is not LoadImageFromFile
    assert basename(dataset[SeededIndex(0, (0, 0))]) == 'b.png' and "a.png' OpenCV" in warnings[0]


@pytest.fixture
def labelled(tmp_path):
    """Usable images, with a label map each of the size in which they are shown."""
    write_files(tmp_path / 'images', USABLE)
    for name, (_, shown, _) in usable_images().items():
        labels = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), shown.shape[:2])
        write_files(tmp_path / 'labels', {f'{name}.png': encode(labels, 'PNG')})
    return tmp_path


def build(root, pipeline=LOAD_BOTH, **options):
    metainfo = dict(classes=['leaf', 'stem', 'soil'])
    prefix = dict(img_path='images', seg_map_path='labels')
    return LabeledImageDataset(str(root), prefix, '', '.png', metainfo=metainfo, pipeline=pipeline, **options)


def test_labelled_images_of_every_kind_match_their_labels(labelled, warnings):
    (labelled / 'names.txt').write_text('\n'.join(USABLE), encoding='utf-8')
    for test_mode in (False, True):
        dataset = build(labelled, ann_file='names.txt', test_mode=test_mode)
        items = {basename(item): item for item in map(dataset.__getitem__, range(len(dataset)))}
        assert list(items) == list(USABLE)
        for name, (_, shown, _) in usable_images().items():
            assert items[name]['inputs'].shape[1:] == items[name]['data_samples'].gt_sem_seg.shape == shown.shape[:2]
    assert not warnings


@pytest.mark.parametrize('where', ['images', 'labels'])
def test_damaged_files_are_passed_over_in_training_and_errors_in_testing(labelled, warnings, where):
    broken = sorted(USABLE)[:5]
    for name, content in zip(broken, UNUSABLE.values()):
        write_files(labelled / where, {name + ('.png' if where == 'labels' else ''): content})
    (labelled / 'names.txt').write_text('\n'.join(sorted(USABLE)[:7]), encoding='utf-8')
    dataset = build(labelled, ann_file='names.txt')
    for index in range(7):
        assert basename(dataset[SeededIndex(index, (0, 0))]) not in broken
    assert len(warnings) == 5 and '(5 of 7 images skipped so far in this process)' in warnings[-1]
    assert len(dataset.skipped) == 5 and not dataset.get_subset([5, 6]).skipped
    with pytest.raises(
        RuntimeError, match=f"^LabeledImageDataset: '.*{broken[0]}(.png)?' is empty: a file of 0 bytes$"
    ):
        build(labelled, ann_file='names.txt', test_mode=True)[0]
    only = dataset.get_subset(5)
    with pytest.raises(RuntimeError, match='none of the 5 images is usable; the last one: '):
        [only[SeededIndex(index, (0, 0))] for index in range(5)]


def test_children_pass_over_damaged_files_too(tmp_path, warnings):
    write_files(tmp_path / 'images', {'a.jpg': b'', 'b.jpg': encode(scene(), 'JPEG')})
    write_files(tmp_path / 'labels', {f'{name}.png': encode(np.zeros((48, 64), np.uint8), 'PNG') for name in 'ab'})
    prefix = dict(img_path='images', seg_map_path='labels')
    dataset = CamVidDataset(str(tmp_path), prefix, pipeline=LOAD_BOTH)
    assert basename(dataset[SeededIndex(0, (0, 0))]) == 'b.jpg' and 'CamVidDataset: skipped' in warnings[0]


def test_labels_of_a_turned_image_are_those_of_the_upright_one(tmp_path):
    write_files(tmp_path / 'images', {'x.jpg': turned(scene(), 'JPEG')})
    write_files(tmp_path / 'labels', {'x.jpg.png': encode(np.zeros((48, 64), np.uint8), 'PNG')})
    (tmp_path / 'names.txt').write_text('x.jpg')
    message = r"x\.jpg\.png' has 64x48 px, but its image .*x\.jpg' 48x64: its EXIF tag turns the image on its side"
    with pytest.raises(ValueError, match=message):
        build(tmp_path, ann_file='names.txt')[0]
    write_files(tmp_path / 'images', {'x.jpg': encode(scene(64, 48), 'JPEG')})
    with pytest.raises(ValueError, match=r'48x64$'):
        build(tmp_path, ann_file='names.txt')[0]


@pytest.mark.parametrize('shape', [(1, 1), (1, 50), (50, 1), (20, 30)])
def test_small_labelled_images_go_through_the_steps_of_the_configs(tmp_path, shape):
    write_files(tmp_path / 'images', {'x': encode(scene(*shape), 'PNG')})
    write_files(tmp_path / 'labels', {'x.png': encode(np.ones(shape, np.uint8), 'PNG')})
    (tmp_path / 'names.txt').write_text('x')
    steps = [
        dict(type='ResizeShortestEdge', scale=32, max_size=10_000),
        dict(type='CenterCrop', crop_size=(32, 32)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
    ]
    assert build(tmp_path, ann_file='names.txt')[0]['data_samples'].gt_sem_seg.data.shape == (1, *shape)
    item = build(tmp_path, [*LOAD_BOTH[:2], *steps, LOAD_BOTH[2]], ann_file='names.txt')[0]
    assert item['inputs'].shape == (3, 32, 32) and (item['data_samples'].gt_sem_seg.data == 1).all()


def test_loaded_images_can_be_drawn_on(tmp_path):
    """In-place steps would fail on, or change, a read-only buffer."""
    write_files(tmp_path, {'x.png': USABLE['deep.png']})
    image = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD)[0]['img']
    cv2.circle(image, (5, 5), 3, (1, 2, 3))
    assert image.flags.writeable
