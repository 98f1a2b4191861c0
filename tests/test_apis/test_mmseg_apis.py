"""MMSegmentation's own functions take a probe."""

from pathlib import Path

import cv2
import mmseg.apis
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvice.apis import embed_image, init_model
from mmvice.models import ProbeSegmentor
from mmvice.registry import MODELS

CONFIG = (
    Path(__file__).parents[2] / 'configs/linear_probe/random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
)
OF_PHOTOGRAPHS = CONFIG.with_name('vice_r18_light-fpn_linear-64-1k_camvid-96x128.py')


def test_init_model_builds_a_probe():
    assert isinstance(mmseg.apis.init_model(Config.fromfile(CONFIG), device='cpu'), ProbeSegmentor)


@pytest.mark.parametrize('config, from_file', [(OF_PHOTOGRAPHS, False), (CONFIG, True)])
def test_functions_of_mmseg_give_what_mmvice_gives_with_a_checkpoint(tmp_path, config, from_file):
    torch.manual_seed(0)
    model = init_model(config, cfg_options={'model.embedder_checkpoint': None})
    with torch.no_grad():
        model.decode_head.conv_seg.weight.normal_()
    classes = tuple(f'class {number}' for number in range(model.decode_head.num_classes))
    palette = [[20 * number, 0, 0] for number in range(len(classes))]
    checkpoint = str(tmp_path / 'probe.pth')
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=classes, palette=palette))), checkpoint
    )
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = model.decode_head.classify(embed_image(model, image))[0].numpy()
    assert len(np.unique(expected)) > 1
    if from_file:
        cv2.imwrite(str(tmp_path / 'image.png'), image)
        image = str(tmp_path / 'image.png')

    theirs = mmseg.apis.init_model(str(config), checkpoint, device='cpu')
    assert tuple(theirs.dataset_meta['classes']) == classes
    predicted = mmseg.apis.inference_model(theirs, image).pred_sem_seg.data[0].numpy()
    np.testing.assert_array_equal(predicted, expected)

    inferencer = mmseg.apis.MMSegInferencer(model=str(config), weights=checkpoint, scope='mmvice', device='cpu')
    np.testing.assert_array_equal(inferencer(image)['predictions'], expected)


def test_init_model_builds_a_pretrained_model_which_embeds():
    config = CONFIG.parents[1] / 'vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
    model = mmseg.apis.init_model(str(config), device='cpu')
    assert embed_image(model, np.zeros((32, 48, 3), np.uint8)).size == (32, 48)


def test_weights_by_two_names_are_refused():
    cfg = Config.fromfile(CONFIG).model
    cfg.pretrained, cfg.embedder_checkpoint = 'torchvision://resnet18', 'iter_800.pth'
    with pytest.raises(ValueError, match='pretrained=.* and model.embedder_checkpoint='):
        MODELS.build(cfg)
