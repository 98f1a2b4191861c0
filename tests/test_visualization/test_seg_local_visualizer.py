"""The visualizer of configs."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import VISUALIZERS, DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.visualization import SegLocalVisualizer, draw_class_names


def test_configs_get_this_visualizer():
    with DefaultScope.overwrite_default_scope('mmvice'), VISUALIZERS.switch_scope_and_registry(None) as registry:
        assert registry.get('SegLocalVisualizer') is SegLocalVisualizer


@pytest.mark.parametrize('to', [torch.from_numpy, np.asarray])
def test_names_are_written_over_the_painted_classes(to):
    labels = np.zeros((40, 90), np.int64)
    labels[:, 50:] = 1
    image = np.full((40, 90, 3), 200, np.uint8)
    classes, colors = ('left', 'right'), [(0, 0, 0), (255, 100, 0)]
    visualizer = SegLocalVisualizer(classes=classes, palette=colors, alpha=0.5)
    given = image, PixelData(data=to(labels)[None]), classes, colors
    painted = visualizer._draw_sem_seg(*given, with_labels=False)
    assert (painted[:, :50] == 100).all() and (painted[:, 50:] == (227, 150, 100)).all()
    named = visualizer._draw_sem_seg(*given)
    np.testing.assert_array_equal(named, draw_class_names(painted, labels, classes, colors))
    assert (named != painted).any()
    np.testing.assert_array_equal(visualizer.get_image(), named)


def test_every_process_draws_its_images(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.is_main_process', lambda *_: False)
    with DefaultScope.overwrite_default_scope('mmvice'):
        visualizer = SegLocalVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.dataset_meta = dict(classes=['a'], palette=[(100, 100, 100)])
    sample = SegDataSample(pred_sem_seg=PixelData(data=torch.zeros(1, 20, 30, dtype=torch.int64)))
    image = np.zeros((20, 30, 3), np.uint8)
    visualizer.add_datasample('part/of_another', image, sample, draw_gt=False, with_labels=False)
    [drawn] = tmp_path.rglob('of_another*.png')
    assert (cv2.imread(str(drawn))[:, -30:] == 80).all()
