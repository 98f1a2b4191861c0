"""MMSegmentation's own functions take a probe."""

from pathlib import Path

import mmseg.apis
import pytest
from mmengine.config import Config

from mmvice.models import ProbeSegmentor
from mmvice.registry import MODELS

CONFIG = (
    Path(__file__).parents[2] / 'configs/linear_probe/random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
)


def test_init_model_builds_a_probe():
    assert isinstance(mmseg.apis.init_model(Config.fromfile(CONFIG), device='cpu'), ProbeSegmentor)


def test_weights_by_another_name_are_refused():
    cfg = Config.fromfile(CONFIG).model
    cfg.pretrained = 'torchvision://resnet18'
    with pytest.raises(ValueError, match='embedder_checkpoint'):
        MODELS.build(cfg)
