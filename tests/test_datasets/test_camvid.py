import cv2
import numpy as np
import pytest

from mmvice.datasets import CamVidDataset

pytestmark = pytest.mark.usefixtures('mmvice_scope')

PREFIX = dict(img_path='images/train', seg_map_path='annotations/train')
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


@pytest.fixture
def root(tmp_path):
    """Three images of 9x12 px in CamVid's layout, the labels of which count up from 0."""
    for folder in PREFIX.values():
        (tmp_path / folder).mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(tmp_path / PREFIX['img_path'] / f'{number}.jpg'), np.full((9, 12, 3), 40 * number, np.uint8))
        labels = (np.arange(108, dtype=np.uint8) + number).reshape(9, 12) % 12
        labels[labels == 11] = 255
        cv2.imwrite(str(tmp_path / PREFIX['seg_map_path'] / f'{number}.png'), labels)
    return tmp_path


def test_images_with_their_labels(root):
    dataset = CamVidDataset(data_root=str(root), data_prefix=PREFIX, pipeline=PIPELINE)
    assert len(dataset) == 3
    item = dataset[1]
    labels = item['data_samples'].gt_sem_seg.data
    assert labels.shape == (1, 9, 12) and labels[0, 0, :3].tolist() == [1, 2, 3]
    assert set(labels.unique().tolist()) == {*range(11), 255}
    assert item['inputs'].float().mean() == pytest.approx(40, abs=1)


def test_classes_are_told_apart():
    classes, palette = CamVidDataset.METAINFO['classes'], CamVidDataset.METAINFO['palette']
    assert len(classes) == len(palette) == 11
    assert len({tuple(colour) for colour in palette}) == 11
    assert [classes[index] for index in (0, 3, 8, 10)] == ['sky', 'road', 'car', 'bicyclist']


def test_images_alone(root):
    dataset = CamVidDataset(data_root=str(root), data_prefix=dict(img_path='images/train'))
    assert len(dataset) == 3 and 'seg_map_path' not in dataset.get_data_info(0)


def test_what_is_missing_is_named(root):
    (root / 'annotations/train/1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 images lack.*annotations/train/1\.png.*images/train/1\.jpg'):
        CamVidDataset(data_root=str(root), data_prefix=PREFIX)
    with pytest.raises(FileNotFoundError, match=r'(?s)no folder .*images/test.*images/\{train,val,test\}/\*\.jpg'):
        CamVidDataset(data_root=str(root), data_prefix=dict(img_path='images/test'))
    (root / 'images/val').mkdir()
    with pytest.raises(FileNotFoundError, match=r'no \*\.jpg in .*images/val'):
        CamVidDataset(data_root=str(root), data_prefix=dict(img_path='images/val'))
