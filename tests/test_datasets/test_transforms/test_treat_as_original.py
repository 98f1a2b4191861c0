"""Scores at the size that images and labels were cropped to (the low-resolution protocol of Table 1)."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose

from mmvice.datasets.transforms import TreatAsOriginal
from mmvice.registry import METRICS, MODELS

pytestmark = pytest.mark.usefixtures('mmvice_scope')

LOW_RESOLUTION = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='ResizeShortestEdge', scale=320, max_size=100_000),
    dict(type='CenterCrop', crop_size=(320, 320)),
    dict(type='TreatAsOriginal'),
    dict(type='PackSegInputs'),
]


@pytest.mark.parametrize('size', [(90, 160), (500, 330)])
def test_predictions_have_the_size_of_the_cropped_labels(tmp_path, size):
    labels = np.zeros(size, np.uint8)
    labels[:, : size[1] // 2] = 1
    image, label_map = str(tmp_path / 'a.png'), str(tmp_path / 'a_labels.png')
    cv2.imwrite(image, np.repeat(200 * labels[..., None], 3, 2))
    cv2.imwrite(label_map, labels)
    item = Compose(LOW_RESOLUTION)(
        dict(img_path=image, seg_map_path=label_map, label_map=None, reduce_zero_label=False, seg_fields=[])
    )
    sample = item['data_samples']
    assert sample.ori_shape == (320, 320) and sample.gt_sem_seg.data.shape == (1, 320, 320)

    model = MODELS.build(
        dict(
            type='ProbeSegmentor',
            backbone=dict(type='ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN')),
            decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
            decode_head=dict(type='LinearProbeHead', num_classes=2, num_filters=4),
        )
    ).eval()
    # a probe that names the label at the size it is asked for: the whole path from data to score must then be exact
    model.decode_head.classify = lambda embeddings: torch.nn.functional.interpolate(
        sample.gt_sem_seg.data[None].float(), embeddings.size
    )[0].long()
    [result] = model.predict(item['inputs'][None].float(), [sample])
    assert result.pred_sem_seg.data.shape == result.gt_sem_seg.data.shape == (1, 320, 320)
    metric = METRICS.build(dict(type='IoUMetric', iou_metrics=['mIoU']))
    metric.dataset_meta = dict(classes=('right', 'left'))
    metric.process({}, [result.to_dict()])
    assert metric.evaluate(1)['mIoU'] == 100


def test_without_an_image_it_says_what_is_missing():
    with pytest.raises(KeyError, match='TreatAsOriginal needs .img.; put LoadImageFromFile before it'):
        TreatAsOriginal()({})
