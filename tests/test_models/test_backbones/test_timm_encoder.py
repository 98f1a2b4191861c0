"""Networks of timm as backbones: their maps, what they tell of themselves, and arguments that cannot be."""

import sys

import pytest
import torch

from mmvice.models import TimmEncoder
from mmvice.models.utils import try_encoder

timm = pytest.importorskip('timm')


@pytest.mark.parametrize('name', ['test_resnet', 'test_efficientnet', 'test_convnext', 'test_vit', 'test_vit2'])
def test_its_maps_are_those_of_timm(name):
    torch.manual_seed(0)
    encoder = TimmEncoder(name, layers=2, norm=False).eval()
    theirs = timm.create_model(name, features_only=True, out_indices=encoder.layers, feature_cls='getter').eval()
    theirs.model.load_state_dict(encoder.model.state_dict(), strict=False)
    images = torch.randn(2, 3, *encoder.model.pretrained_cfg['input_size'][1:])
    maps = encoder(images)
    for ours, other, channels, stride in zip(maps, theirs(images), encoder.out_channels, encoder.strides, strict=True):
        torch.testing.assert_close(ours, other)
        assert ours.shape[1] == channels and ours.shape[-1] == images.shape[-1] // stride


@pytest.mark.parametrize('norm', [True, False])
def test_a_vision_transformer_gives_its_patches_without_class_token_and_registers(norm):
    encoder = TimmEncoder('vit_small_patch14_reg4_dinov2', (-2, -1), norm, depth=3, embed_dim=24, num_heads=2).eval()
    maps = encoder(torch.randn(1, 3, 42, 70))
    assert encoder.layers == (1, 2) and encoder.patch_size == 14
    assert [tuple(one.shape) for one in maps] == [(1, 24, 3, 5)] * 2
    lengths = [one.square().mean(1) for one in maps]
    assert all(torch.allclose(length, torch.ones(()), atol=1e-3) for length in lengths) == norm


def test_layers_behind_the_last_map_are_kept_and_do_not_learn():
    encoder = TimmEncoder('test_convnext', layers=(0, 1))
    sum(one.mean() for one in encoder(torch.randn(1, 3, 32, 32))).backward()
    for name, parameter in encoder.named_parameters():
        used = not any(part in name for part in ('stages.2', 'stages.3', 'head'))
        assert parameter.requires_grad == (parameter.grad is not None) == used, name
    timm.create_model('test_convnext', num_classes=0).load_state_dict(encoder.model.state_dict())


def test_strides_are_those_that_the_network_tells():
    info, maps = try_encoder(TimmEncoder('inception_v3', layers=2))
    assert info.strides == (16, 32) and info.multiple == 32 and len(maps) == 2


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(name='resnet17'), 'no network .resnet17.; similar names are .*resnet1'),
        (dict(name=None), 'no network None'),
        (dict(name='test_vit', layers=99), '1 to .* for the last ones'),
        *(
            (dict(name='test_vit', layers=layers), 'layers=.* must name some')
            for layers in ('3', 2.0, None, True, (), [0, 1.5], [1, 1], [0, -99])
        ),
        (dict(name='test_vit', pretrained=True), r'no pretrained=True: give a file of weights as model\.pretrained'),
        (dict(name='test_vit', checkpoint_path='a.pth'), r'as model\.pretrained'),
        (dict(name='test_vit', features_only=True), 'layers selects them'),
        (dict(name='test_vit', out_indices=(1,)), 'layers selects the maps'),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TimmEncoder(**arguments)


def test_a_network_of_one_size_says_which():
    encoder = TimmEncoder('gmixer_12_224', layers=1)
    with pytest.raises(ValueError, match='takes no images of 64x96: .* give it images of 224x224'):
        encoder(torch.randn(1, 3, 64, 96))


def test_without_timm_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r'pip install -r requirements/encoders\.txt'):
        TimmEncoder('test_vit')
