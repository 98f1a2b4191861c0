"""Layer-wise learning rates: for every backbone they rise in the order in which an image goes through it."""

import re

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from mmvice.models.utils import layer_depth
from mmvice.registry import MODELS

RATE, DECAY = 1e-3, 0.65
SMALL = dict(depth=3, embed_dim=24, num_heads=2)
STAGES = dict(embed_dims=8, depths=(1, 2, 1, 1), num_heads=(1, 2, 2, 4))
BACKBONES = {
    'ResNet': dict(type='ResNet', depth=18, base_channels=8),
    'ResNetV1c': dict(type='ResNetV1c', depth=50, base_channels=8, stem_channels=8),
    'Swin': dict(type='SwinTransformer', **STAGES),
    'ViT': dict(type='VisionTransformer', img_size=64, embed_dims=16, num_heads=2, num_layers=3, out_indices=(1, 2)),
    'MiT': dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 2, 1, 1], num_heads=[1, 2, 4, 8]),
    'mmpretrain.ViT': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32),
        img_size=64,
        patch_size=16,
        out_type='featmap',
        out_indices=(1, 2),
    ),
    'mmpretrain.ConvNeXt': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 1, 3, 1], channels=[8, 16, 24, 32]),
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
    ),
    'mmpretrain.Swin': dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=8, depths=[1, 2, 1, 1], num_heads=[1, 2, 2, 4]),
        pad_small_map=True,
        out_indices=(0, 1, 2, 3),
    ),
    'mmpretrain.ResNet-18': dict(type='mmpretrain.ResNet', depth=18, base_channels=8, out_indices=(0, 1, 2, 3)),
    'mmpretrain.ResNet-50': dict(
        type='mmpretrain.ResNet', depth=50, stem_channels=8, base_channels=8, expansion=1, out_indices=(0, 1, 2, 3)
    ),
    'mmpretrain.TIMMBackbone': dict(type='mmpretrain.TIMMBackbone', model_name='test_resnet', features_only=True),
    'TimmEncoder resnet': dict(type='TimmEncoder', name='test_resnet'),
    'TimmEncoder efficientnet': dict(type='TimmEncoder', name='test_efficientnet'),
    'TimmEncoder convnext': dict(type='TimmEncoder', name='test_convnext'),
    'TimmEncoder convnext, two stages': dict(type='TimmEncoder', name='test_convnext', layers=(0, 1)),
    'TimmEncoder swin': dict(
        type='TimmEncoder',
        name='swin_tiny_patch4_window7_224',
        embed_dim=8,
        depths=(1, 2, 1, 1),
        num_heads=(1, 2, 2, 4),
    ),
    'TimmEncoder deit': dict(type='TimmEncoder', name='deit_small_patch16_224', layers=2, **SMALL),
    'TimmEncoder dinov2': dict(type='TimmEncoder', name='vit_small_patch14_reg4_dinov2', layers=2, **SMALL),
    'TimmEncoder dinov3': dict(type='TimmEncoder', name='vit_small_patch16_dinov3', layers=2, **SMALL),
}
OUTPUT_NORM = re.compile(r'backbone\.norm\d')  # of a Swin Transformer or ConvNeXt: between a stage and the decoder


def build(name, kind, **model):
    backbone = BACKBONES[name]
    if 'imm' in backbone['type'] or 'TIMM' in backbone['type']:
        pytest.importorskip('timm')
    head = dict(type='DenseSwAVHead', num_concepts=4) if kind == 'ViCE' else dict(type='LinearProbeHead', num_classes=3)
    key = 'head' if kind == 'ViCE' else 'decode_head'
    with DefaultScope.overwrite_default_scope('mmvice'):
        decoder = dict(type='LightFPN', embed_dims=8)
        return MODELS.build(dict(type=kind, backbone=backbone, decoder=decoder, **{key: head}, **model))


def rates(model):
    """Of every parameter in the optimizer its learning rate."""
    config = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=RATE, weight_decay=0.05),
        constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=DECAY),
    )
    with DefaultScope.overwrite_default_scope('mmvice'):
        optimizer = build_optim_wrapper(model, config).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(group['params'][0])]: group['lr'] for group in optimizer.param_groups}


def visited(model, size=(64, 64)):
    """Names of the parameters in the order in which the forward pass comes to them."""
    names, handles = [], []
    for prefix, module in model.named_modules():
        own = [f'{prefix}.{name}' for name, p in module.named_parameters(recurse=False) if p.requires_grad]
        if own and not list(module.children()):
            handles.append(module.register_forward_pre_hook(lambda *_, own=own: names.extend(own)))
    with torch.no_grad():
        model.eval().embed(torch.zeros(1, 3, *size))
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(names))


@pytest.mark.parametrize('name', BACKBONES)
def test_rates_rise_on_the_way_through_the_network(name):
    model = build(name, 'ViCE')
    given = rates(model)
    assert given.keys() == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    way = [given[name] for name in visited(model) if not OUTPUT_NORM.match(name)]
    backbone = [given[name] for name in visited(model) if name.startswith('backbone.')]
    assert way == sorted(way) and len(way) > 10
    assert min(given.values()) == way[0], 'the stem is layer 0'
    assert all(rate == RATE for name, rate in given.items() if not name.startswith('backbone.'))
    powers = [
        round(torch.log(torch.tensor(rate / RATE)).item() / torch.log(torch.tensor(DECAY)).item()) for rate in way
    ]
    assert way == pytest.approx([RATE * DECAY**power for power in powers])
    assert len(set(way)) >= 5, 'three blocks at least, a stem and the decoder'
    blocks = [given[name] for name in visited(model) if name.startswith('backbone.') and not OUTPUT_NORM.match(name)]
    assert max(blocks) >= RATE * DECAY * 0.999 and len(backbone) > 6, 'the last block is next to the decoder'


@pytest.mark.parametrize('name', ['ResNet', 'TimmEncoder deit', 'mmpretrain.Swin'])
def test_probes_that_train_the_encoder_have_the_same_rates(name):
    probe, model = rates(build(name, 'ProbeSegmentor', frozen=())), rates(build(name, 'ViCE'))
    shared = [name for name in model if not name.startswith('head.')]
    assert [probe[name] for name in shared] == [model[name] for name in shared]
    assert probe['decode_head.conv_seg.weight'] == RATE


def test_what_is_frozen_has_no_rate():
    assert {name.partition('.')[0] for name in rates(build('ResNet', 'ViCE', frozen=('backbone',)))} == {
        'decoder',
        'head',
    }
    given = rates(build('ResNet', 'ViCE', frozen=('decoder',)))
    assert {name.partition('.')[0] for name in given} == {'backbone', 'head'}
    assert given['backbone.layer4.1.conv2.weight'] == pytest.approx(RATE * DECAY)


def test_names_without_blocks_are_one_layer():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    assert {layer_depth(backbone, name) for name, _ in backbone.named_parameters()} == {(0, 2)}
