"""The quickstart finds which network a file of weights has, and has its configs use it."""

import shlex
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmvice.experiments.encoder import encoder_name, folder_config
from mmvice.experiments.quickstart import Quickstart, commands
from mmvice.registry import MODELS

timm = pytest.importorskip('timm')
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    'file, name',
    [
        ('efficientnet-lite0-57934424.pth', 'tf_efficientnet_lite0'),
        ('efficientnet-lite3.pth', 'tf_efficientnet_lite3'),
        ('tf_efficientnet_lite0-0aa007d2.pth', 'tf_efficientnet_lite0'),
        ('efficientnet_lite0.ra_in1k.safetensors', 'efficientnet_lite0.ra_in1k'),
        ('resnet50-0676ba61.pth', 'resnet50'),
        ('deit_small_patch16_224-cd65a155.pth', 'deit_small_patch16_224'),
        ('convnext_tiny.fb_in1k.safetensors', 'convnext_tiny.fb_in1k'),
        ('dino_deitsmall16_pretrain.pth', 'vit_small_patch16_224.dino'),
        ('dinov2_vits14_reg4_pretrain.pth', 'vit_small_patch14_reg4_dinov2'),
        ('dinov2_vitl14_pretrain.pth', 'vit_large_patch14_dinov2'),
        ('dinov3_vitb16_pretrain_lvd1689m-73cec8be.pth', 'vit_base_patch16_dinov3'),
        ('dinov3_convnext_tiny_pretrain_lvd1689m-21b726bb.pth', 'convnext_tiny.dinov3_lvd1689m'),
    ],
)
def test_names_of_files_tell_networks_that_timm_has(file, name):
    assert encoder_name(Path('some/folder', file)) == name
    assert name in timm.list_models() or name in timm.list_pretrained()


@pytest.mark.parametrize('file', ['model.safetensors', 'my_resnet50.pth', 'iter_2000.pth', 'pytorch_model.bin'])
def test_other_names_ask_for_the_network(file):
    with pytest.raises(ValueError, match=rf'the name of {file} does not tell .* --encoder-name'):
        encoder_name(Path(file))


@pytest.mark.parametrize('name', ['test_efficientnet', 'test_vit', 'test_resnet'])
def test_pretraining_and_probes_have_one_encoder(tmp_path, name):
    file = tmp_path / 'weights.pth'
    torch.save(timm.create_model(name).state_dict(), file)
    start = Quickstart(ROOT / 'configs', tmp_path, encoder=file, encoder_name=name)
    pretraining = start.pretraining_config()
    probe = start.probe_config('random_init', 'linear', pretraining)
    cfg = timm.get_pretrained_cfg(name)
    with DefaultScope.overwrite_default_scope('mmvice'):
        models = [MODELS.build({**of.model, 'pretrained': None}) for of in (pretraining, probe)]
    for model in models:
        assert model.backbone.name == name and 'backbone' in model.frozen
        normalization = [model.data_preprocessor.get_buffer(key).flatten().tolist() for key in ('mean', 'std')]
        assert normalization == [pytest.approx([255 * value for value in part]) for part in (cfg.mean, cfg.std)]
    assert models[0].decoder.state_dict().keys() == models[1].decoder.state_dict().keys()
    assert 'decoder' not in models[0].frozen and pretraining.model.pretrained == str(file)
    sizes = {tuple(of[f'{part}_dataloader'].dataset['size']) for of in (pretraining, probe) for part in ('train',)}
    assert sizes == {tuple(probe.test_dataloader.dataset['size'])}


def test_a_missing_file_and_a_network_that_timm_lacks_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no file .*lite.pth: --encoder takes'):
        Quickstart(ROOT / 'configs', tmp_path, encoder=tmp_path / 'lite.pth').pretraining_config()
    (tmp_path / 'lite.pth').touch()
    with pytest.raises(ValueError, match="no network 'resnet500'"):
        Quickstart(
            ROOT / 'configs', tmp_path, encoder=tmp_path / 'lite.pth', encoder_name='resnet500'
        ).pretraining_config()


def test_the_commands_go_on_with_the_encoder(tmp_path):
    file = tmp_path / 'my efficientnet.pth'
    file.touch()
    start = Quickstart(ROOT / 'configs', tmp_path / 'runs', encoder=file, encoder_name='tf_efficientnet_lite0')
    lines = dict(commands(tmp_path / 'iter_400.pth', start.pretraining_config()))
    words = shlex.split(lines['Pretrain on your own images, no labels needed'].replace('\\\n', ''))
    assert (ROOT / words[2]).is_file() and f'model.pretrained={file}' in words
    look = shlex.split(lines['See this network on your own images'].replace('\\\n', ''))
    assert Path(look[2]).parent == tmp_path / 'runs' / 'vice', 'the config as the run has changed it'
    assert folder_config('test_vit') is None
