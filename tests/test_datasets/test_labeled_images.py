import os
import re

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmseg.datasets.transforms import LoadAnnotations as MMSegLoadAnnotations
from PIL import Image

from mmvice.datasets import CityscapesDataset, COCOStuff27Dataset, LabeledImageDataset
from mmvice.datasets.transforms import LoadAnnotations
from mmvice.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmvice_scope')

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
PREFIX = dict(img_path='pictures', seg_map_path='labels')
METAINFO = dict(classes=['leaf', 'stem', 'soil'])


@pytest.fixture
def root(tmp_path):
    """Four images of 6x8 px, two of them in a subfolder, and label maps filled with 0, 1, 2 and 255."""
    for name, value in {'a': 0, 'b': 1, 'field/c': 2, 'field/d': 255}.items():
        for kind, suffix, array in (
            ('pictures', '.jpg', np.full((6, 8, 3), 90, np.uint8)),
            ('labels', '.png', np.full((6, 8), value, np.uint8)),
        ):
            path = tmp_path / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), array)
    return tmp_path


def build(root, **kwargs):
    options = dict(data_root=str(root), data_prefix=PREFIX, metainfo=METAINFO, pipeline=PIPELINE) | kwargs
    return LabeledImageDataset(**options)


def values(dataset):
    return [item['data_samples'].gt_sem_seg.data.unique().tolist() for item in dataset]


def names(dataset):
    return [dataset.get_data_info(i)['img_path'].rpartition('/')[2] for i in range(len(dataset))]


@pytest.mark.parametrize('count', [3, 20, 150])
def test_classes_without_a_palette_get_colours_that_can_be_told_apart(root, count):
    colors = np.array(build(root, metainfo=dict(classes=[f'class {i}' for i in range(count)])).metainfo['palette'])
    lab = cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab, axis=2) + 1e3 * np.eye(count)
    assert colors.shape == (count, 3) and distance.min() > {3: 60, 20: 25, 150: 9}[count]


def test_a_palette_that_is_given_stays(root):
    colors = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert build(root, metainfo=dict(**METAINFO, palette=colors)).metainfo['palette'] == colors


def test_own_images_and_labels(root):
    dataset = DATASETS.build(
        dict(type='LabeledImageDataset', data_root=str(root), data_prefix=PREFIX, metainfo=METAINFO, pipeline=PIPELINE)
    )
    assert values(dataset) == [[0], [1], [2], [255]]
    assert tuple(dataset.metainfo['classes']) == ('leaf', 'stem', 'soil')
    assert np.shape(dataset.metainfo['palette']) == (3, 3)
    given = build(root, metainfo=dict(**METAINFO, palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    assert given.metainfo['palette'] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_images_in_the_data_root_itself_and_other_suffixes(tmp_path):
    for name, suffix in (('x', '_rgb.PNG'), ('y', '_rgb.png')):
        cv2.imwrite(str(tmp_path / f'{name}{suffix}'), np.zeros((4, 4, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'{name}_ids.png'), np.zeros((4, 4), np.uint8))
    prefix = dict(img_path='.', seg_map_path='.')
    dataset = build(tmp_path, data_prefix=prefix, img_suffix='_rgb.png', seg_map_suffix='_ids.png')
    assert values(dataset) == [[0], [0]]


@pytest.mark.parametrize('text', ['field/c\nb\n', '\ufeff\r\n field/c \r\n\r\nb', 'field/c\nb\n\n\n'])
def test_lists_choose_images_in_their_order(root, text):
    (root / 'few.txt').write_bytes(text.encode())
    dataset = build(root, ann_file='few.txt')
    assert names(dataset) == ['c.jpg', 'b.jpg'] and values(dataset) == [[2], [1]]


@pytest.mark.parametrize(
    'text, error, message',
    [
        (
            'a\ngone\nlost\n',
            FileNotFoundError,
            r'2 of 3 images that .*few\.txt.* lack their file; .*pictures/gone\.jpg',
        ),
        (' \r\n', FileNotFoundError, r'few\.txt.* names no image'),
        ('a.jpg\nb.jpg\n', ValueError, r"without '\.jpg', but the first is 'a\.jpg'"),
    ],
)
def test_lists_that_do_not_fit(root, text, error, message):
    (root / 'few.txt').write_text(text)
    with pytest.raises(error, match=message):
        build(root, ann_file='few.txt')


def test_what_is_missing_is_named(root):
    with pytest.raises(FileNotFoundError, match=r'no list file .*none\.txt'):
        build(root, ann_file='none.txt')
    with pytest.raises(FileNotFoundError, match=r'no folder .*masks.*seg_map_path'):
        build(root, data_prefix=dict(img_path='pictures', seg_map_path='masks'))
    with pytest.raises(FileNotFoundError, match=r'no \*\.tif in .*pictures.*, but 4 \*\.jpg: see img_suffix'):
        build(root, img_suffix='.tif')
    for wrong in (None, 'pictures'):
        with pytest.raises(ValueError, match=r"data_prefix must be dict\(img_path='\.\.\."):
            build(root, data_prefix=wrong)
    (root / 'labels/b.png').unlink()
    (root / 'labels/field/d.png').unlink()
    with pytest.raises(
        FileNotFoundError, match=r'2 of 4 images lack their label map; .*labels/b\.png.*pictures/b\.jpg'
    ):
        build(root)


@pytest.mark.parametrize(
    'metainfo, message',
    [
        (None, 'must name the classes'),
        (dict(classes=[]), 'must name the classes'),
        (dict(classes='leaf'), 'must name the classes'),
        (dict(classes=['leaf', 'stem', 'leaf']), r"more than once: \['leaf'\]"),
        (dict(classes=['leaf', 'stem'], palette=[[0, 0, 0]]), '1 colours in its palette for 2 classes'),
    ],
)
def test_classes_must_be_given(root, metainfo, message):
    with pytest.raises(ValueError, match=message):
        build(root, metainfo=metainfo)


@pytest.mark.parametrize(
    'labels, message',
    [
        (
            np.array([[0, 3, 2, 200]] * 6, np.uint8).repeat(2, 1),
            r'a\.png.* has the values \[3, 200\], but with 3 classes',
        ),
        (np.zeros((5, 8), np.uint8), r'a\.png.* has 8x5 px, but its image .*a\.jpg.* 8x6'),
        (np.zeros((6, 8, 3), np.uint8), r'a\.png.* must have one channel'),
        (np.zeros((6, 8, 4), np.uint8), r'a\.png.* has the channels RGBA'),
        (np.full((6, 8), 256, np.uint16), r"a\.png' has the values 256, but label maps hold class ids from 0 on"),
        (np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000, r'has the values 1000, 2000, .*, 10000, \.\.\., but'),
        (np.full((6, 8), 3, np.uint16), r'a\.png.* has the values \[3\], but with 3 classes'),
        (np.zeros((1, 8), np.uint8), r'a\.png.* has 8x1 px, but its image .*a\.jpg.* 8x6'),
    ],
)
def test_label_maps_that_do_not_fit_are_named_when_they_are_loaded(root, labels, message):
    cv2.imwrite(str(root / 'labels/a.png'), labels)
    dataset = build(root)
    with pytest.raises(ValueError, match=message):
        dataset[0]
    assert dataset[1]['data_samples'].gt_sem_seg.data.unique().tolist() == [1]


@pytest.mark.parametrize('kind', [COCOStuff27Dataset, CityscapesDataset])
def test_a_subset_of_classes_keeps_their_order(kind):
    names = list(kind.METAINFO['classes'])[3:6]
    dataset = kind(data_prefix=dict(img_path='x'), metainfo=dict(classes=names), lazy_init=True)
    assert [dataset.label_map[i] for i in range(7)] == [255, 255, 255, 0, 1, 2, 255]
    assert list(dataset.metainfo['palette']) == [list(c) for c in kind.METAINFO['palette'][3:6]]


def test_label_maps_of_other_kinds_are_read_as_their_ids(root):
    ids = np.array([[0, 1, 2, 255]] * 6, np.uint8).repeat(2, 1)
    palette = Image.fromarray(ids)
    palette.putpalette([90, 90, 90, 2, 2, 2, 1, 1, 1] + [0] * 759)
    palette.save(root / 'labels/a.png')
    cv2.imwrite(str(root / 'labels/b.png'), ids.astype(np.uint16))
    Image.fromarray(ids == 1).save(root / 'labels/field/c.png')
    for index, expected in enumerate((ids, ids, ids == 1)):
        labels = build(root)[index]['data_samples'].gt_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(labels, expected)


def test_zero_can_be_the_label_that_does_not_count(root):
    cv2.imwrite(str(root / 'labels/a.png'), np.array([[0, 1, 2, 3, 255, 255, 255, 255]] * 6, np.uint8))
    labels = build(root, reduce_zero_label=True)[0]['data_samples'].gt_sem_seg.data[0, 0].tolist()
    assert labels == [255, 0, 1, 2, 255, 255, 255, 255]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.integers(0, 255), min_size=1, max_size=12),
    bits=st.sampled_from([np.uint8, np.uint16]),
    reduce_zero_label=st.booleans(),
    old_classes=st.integers(1, 30),
    data=st.data(),
)
def test_loaded_labels_are_those_of_mmsegmentation(tmp_path, values, bits, reduce_zero_label, old_classes, data):
    """For all that it reads rightly: 8 bits, and 16 without a value above 255."""
    path = tmp_path / 'x.png'
    cv2.imwrite(str(path), np.array([values, values], bits))
    new = data.draw(st.lists(st.sampled_from([*range(old_classes), 255]), min_size=old_classes, max_size=old_classes))
    label_map = data.draw(st.sampled_from([None, dict(enumerate(new))]))
    loaded = []
    for kind in (LoadAnnotations, MMSegLoadAnnotations):
        results = dict(seg_map_path=str(path), reduce_zero_label=reduce_zero_label, label_map=label_map, seg_fields=[])
        results = kind()(results)
        assert results['seg_fields'] == ['gt_seg_map'] and results['gt_seg_map'].dtype == np.uint8
        loaded.append(results['gt_seg_map'])
    np.testing.assert_array_equal(loaded[0], loaded[1].reshape(loaded[0].shape))


def test_label_maps_without_an_image_are_told_of_once(root, warnings):
    build(root)
    assert not warnings
    cv2.imwrite(str(root / 'labels/field/z.png'), np.zeros((6, 8), np.uint8))
    (root / 'pictures/b.jpg').unlink()
    assert names(build(root)) == ['a.jpg', 'c.jpg', 'd.jpg']
    assert len(warnings) == 1
    assert re.search(r"2 label maps have no image under '.*pictures' .*; the first is '.*labels/b\.png'", warnings[0])
    (root / 'few.txt').write_text('a')
    build(root, ann_file='few.txt')
    assert len(warnings) == 1, 'a list chooses'


def test_repeated_lines_of_a_list_count_once_with_a_warning(root, warnings):
    (root / 'few.txt').write_text('b\na\nb\nb \n')
    assert names(build(root, ann_file='few.txt')) == ['b.jpg', 'a.jpg']
    assert "2 lines of '" in warnings[0] and 'few.txt' in warnings[0] and 'each counts once' in warnings[0]


def test_names_of_any_bytes(root):
    name = os.fsdecode(b'caf\xe9 \xe5\x9b\xb3')
    for kind, suffix in (('pictures', '.jpg'), ('labels', '.png')):
        os.rename(root / kind / f'a{suffix}', root / kind / f'{name}{suffix}')
    (root / 'few.txt').write_bytes(os.fsencode(name))
    for dataset in (build(root, ann_file='few.txt'), build(root)):
        index = names(dataset).index(f'{name}.jpg')
        assert dataset[index]['data_samples'].img_path.endswith(f'{name}.jpg')
    (root / 'labels' / f'{name}.png').write_bytes(b'')
    with pytest.raises(RuntimeError, match=r"caf\\udce9 図\.png' is empty"):
        build(root, ann_file='few.txt', test_mode=True)[0]
    (root / 'few.txt').write_text('a', encoding='utf-16')
    with pytest.raises(ValueError, match=r"few\.txt' is not UTF-8 text"):
        build(root, ann_file='few.txt')


def test_a_pipeline_with_labels_needs_their_folder(root):
    with pytest.raises(KeyError, match='LoadAnnotations needs .seg_map_path.: give the data set the folder of its'):
        build(root, data_prefix=dict(img_path='pictures'))[0]


def test_several_endings_and_folders(root):
    """Images of one set in two folders and formats, each with its own label maps."""
    for name in ('pictures/a', 'pictures/field/d'):
        (root / f'{name}.jpg').rename(root / f'{name}.JPEG')
    prefix = dict(img_path=['pictures/field', 'more'], seg_map_path=['labels/field', 'labels'])
    (root / 'more').mkdir()
    (root / 'pictures/a.JPEG').rename(root / 'more/a.JPEG')
    dataset = build(root, data_prefix=prefix, img_suffix=['.jpg', '.jpeg'])
    assert names(dataset) == ['c.jpg', 'd.JPEG', 'a.JPEG'] and values(dataset) == [[2], [255], [0]]
    (root / 'few.txt').write_text('a\nc\n')
    listed = build(root, data_prefix=prefix, img_suffix=['.jpg', '.JPEG'], ann_file='few.txt')
    assert names(listed) == ['a.JPEG', 'c.jpg'] and values(listed) == [[0], [2]]
    with pytest.raises(ValueError, match='2 folders of images.*but 1 of label maps'):
        build(root, data_prefix=dict(prefix, seg_map_path=['labels']))


def test_one_label_map_of_two_images_is_told(root):
    cv2.imwrite(str(root / 'pictures/a.bmp'), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a\.bmp' and .*a\.jpg' have one label map, .*labels/a\.png"):
        build(root, img_suffix=['.jpg', '.bmp'])
    (root / 'few.txt').write_text('a\n')
    with pytest.raises(ValueError, match=r"'a' in .*few\.txt' means several images: .*a\.jpg', .*a\.bmp'"):
        build(root, img_suffix=['.jpg', '.bmp'], ann_file='few.txt')


def test_what_was_found_and_left_out_is_told(root, monkeypatch):
    lines = []
    monkeypatch.setattr('mmvice.utils.console.print_log', lambda text, **_: lines.append(text))
    (root / 'pictures/x.heic').write_bytes(b'x')
    build(root)
    assert lines == [f"LabeledImageDataset: 4 images: 4 in '{root}/pictures'; left out 1 file: 1 *.heic"]
    lines.clear()
    for name in ('a', 'b', 'field/c', 'field/d'):
        (root / f'labels/{name}.png').rename(root / f'pictures/{name}.png')
    build(root, data_prefix=dict(img_path='pictures', seg_map_path='pictures'))
    assert lines == [f"LabeledImageDataset: 4 images: 4 in '{root}/pictures'; left out 1 file: 1 *.heic"]


@pytest.mark.parametrize('folder', ['', '.', ['']])
def test_images_and_label_maps_in_the_data_root_itself(root, folder):
    for name in ('a', 'b', 'field/c', 'field/d'):
        (root / f'labels/{name}.png').rename(root / f'pictures/{name}.png')
    dataset = build(root / 'pictures', data_prefix=dict(img_path=folder, seg_map_path=folder))
    assert values(dataset) == [[0], [1], [2], [255]]
    assert names(build(root / 'pictures', data_prefix=dict(img_path=folder))) == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']


@pytest.mark.parametrize('prefix', [None, dict(img_path=None), dict(img_path=''), dict(img_path=[]), 'pictures'])
def test_no_folder_at_all_is_refused(prefix):
    with pytest.raises(ValueError, match=r"data_prefix must be dict\(img_path='...', seg_map_path='...'\)"):
        LabeledImageDataset(data_prefix=prefix, metainfo=METAINFO)


@pytest.mark.parametrize('setting', ['img_suffix', 'seg_map_suffix'])
def test_endings_are_names(root, setting):
    for name in ('a', 'b', 'field/c', 'field/d'):
        (root / f'pictures/{name}.jpg').rename(root / f'pictures/{name}.1')
        (root / f'labels/{name}.png').rename(root / f'labels/{name}.2')
    assert names(build(root, img_suffix=1, seg_map_suffix=2)) == ['a.1', 'b.1', 'c.1', 'd.1']
    assert names(build(root, img_suffix=['.9', '.1'], seg_map_suffix='.2')) == ['a.1', 'b.1', 'c.1', 'd.1']
    with pytest.raises(ValueError, match=f'LabeledImageDataset: {setting} must be the name of one file or folder'):
        build(root, **{setting: True})


@pytest.mark.parametrize('name', [2024, 0.5, '7'])
def test_folders_whose_names_are_numbers(root, name):
    (root / 'pictures').rename(root / str(name))
    dataset = build(root, data_prefix=dict(img_path=name, seg_map_path='labels'))
    assert values(dataset) == [[0], [1], [2], [255]]
    for wrong in (dict(data_root=['a', 2023]), dict(data_prefix=dict(img_path=True)), dict(ann_file=['a', 'b'])):
        with pytest.raises(ValueError, match='LabeledImageDataset: .* must be the name of one file or folder, got'):
            build(root, **wrong)
