import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvice.datasets import CityscapesDataset, COCOStuff27Dataset, LabeledImageDataset
from mmvice.registry import DATASETS

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
PREFIX = dict(img_path='pictures', seg_map_path='labels')
METAINFO = dict(classes=['leaf', 'stem', 'soil'])


@pytest.fixture(autouse=True)
def scope():
    """Names in pipelines are looked up as in a run."""
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield


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
    with pytest.raises(ValueError, match=r"data_prefix must be dict\(img_path='\.\.\."):
        build(root, data_prefix=None)
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
