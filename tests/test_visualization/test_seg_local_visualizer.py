"""Places of the names of classes."""

import mmseg.visualization
import numpy as np
import pytest
from mmengine.registry import VISUALIZERS, DefaultScope

from mmvice.visualization import SegLocalVisualizer


def test_configs_get_this_visualizer():
    with DefaultScope.overwrite_default_scope('mmvice'), VISUALIZERS.switch_scope_and_registry(None) as registry:
        assert registry.get('SegLocalVisualizer') is SegLocalVisualizer


@pytest.mark.parametrize('density', [0.001, 0.3, 0.9, 1])
def test_labels_are_where_mmsegmentation_puts_them(density):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (7, 40), (60, 33)):
        mask = (rng.random(shape) < density).astype(np.uint8)
        mask[rng.integers(shape[0]), rng.integers(shape[1])] = 1
        theirs = mmseg.visualization.SegLocalVisualizer._get_center_loc(None, mask)
        np.testing.assert_array_equal(SegLocalVisualizer._get_center_loc(None, mask), theirs)
