"""Every way to name initial weights of a backbone takes all of it from the file, or is an error."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from mmvice.models.utils import load_pretrained
from mmvice.registry import MODELS

RESNET = dict(type='mmseg.ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'))
FPN = dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6)
PARTS = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
VIT = dict(type='mmpretrain.VisionTransformer', arch=PARTS, patch_size=16, out_type='featmap')
OF_MMSEG = dict(
    type='mmseg.VisionTransformer',
    patch_size=16,
    embed_dims=24,
    num_layers=2,
    num_heads=2,
    mlp_ratio=2,
    out_indices=[1],
    final_norm=True,
)
SIZES = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield


def vice(backbone, decoder=None, **kwargs):
    decoder = decoder or dict(type='HypercolumnDecoder')
    head = dict(type='DenseSwAVHead', num_concepts=3)
    return MODELS.build(
        copy.deepcopy(dict(type='ViCE', backbone=backbone, decoder=decoder, head=head)) | copy.deepcopy(kwargs)
    )


def probe(backbone, decoder=FPN, **kwargs):
    head = dict(type='LinearProbeHead', num_classes=3)
    return MODELS.build(
        copy.deepcopy(dict(type='ProbeSegmentor', backbone=backbone, decoder=decoder, decode_head=head)) | kwargs
    )


def segmentor(backbone, **kwargs):
    head = dict(type='mmseg.FCNHead', in_channels=64, in_index=3, channels=8, num_classes=3, num_convs=1)
    return MODELS.build(copy.deepcopy(dict(type='EncoderDecoder', backbone=backbone, decode_head=head)) | kwargs)


BUILDERS = [vice, probe, segmentor]


@pytest.fixture
def save(tmp_path):
    def save(state, name='weights.pth'):
        torch.save(state, tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture
def warnings(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.WARNING, logger=logger.name)
    yield lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    logger.removeHandler(caplog.handler)


def changed(backbone):
    """A state dict with values that no initialisation gives."""
    return {name: torch.full_like(value, 0.5) for name, value in backbone.state_dict().items()}


def assert_taken(model):
    assert all(torch.equal(value, torch.full_like(value, 0.5)) for value in model.backbone.state_dict().values())


@pytest.mark.parametrize('build', BUILDERS)
@pytest.mark.parametrize('prefix', [None, 'backbone', 'net.trunk.'])
def test_init_cfg_takes_the_whole_backbone(build, prefix, save):
    state = changed(MODELS.build(RESNET))
    if prefix:
        state = {f'{prefix.rstrip(".")}.{name}': value for name, value in state.items()} | {'other.x': torch.ones(1)}
    init = dict(type='Pretrained', checkpoint=save(dict(state_dict=state)), **(dict(prefix=prefix) if prefix else {}))
    model = build(dict(RESNET, init_cfg=init))
    model.init_weights()
    assert_taken(model)


@pytest.mark.parametrize('build', BUILDERS)
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('layer3.0.conv1.weight'), r'missing: backbone\.layer3\.0\.conv1\.weight'),
        (lambda s: s.update({'layer3.7.conv1.weight': torch.ones(1)}), r'unexpected: backbone\.layer3\.7'),
        (lambda s: s.update({'conv1.weight': torch.ones(8, 1, 7, 7)}), r'conv1\.weight: \(8, 1, 7, 7\) in the'),
        (lambda s: [s.update({f'blocks.0.{k}': s.pop(k)}) for k in list(s)], "type='TimmEncoder'"),
        (lambda s: [s.update({f'foreign.{k}': s.pop(k)}) for k in list(s)], 'of no known format'),
    ],
)
@pytest.mark.parametrize('way', ['init_cfg', 'prefix', 'list', 'pretrained'])
def test_a_file_that_does_not_fit_is_an_error(build, change, message, way, save):
    state = changed(MODELS.build(RESNET))
    change(state)
    if way == 'prefix':
        state = {f'net.{name}': value for name, value in state.items()}
    init = dict(type='Pretrained', checkpoint=save(state)) | (dict(prefix='net.') if way == 'prefix' else {})
    if way == 'pretrained':
        model = build(RESNET, pretrained=init['checkpoint'])
    else:
        cfgs = [dict(type='Kaiming', layer='Conv2d'), init] if way == 'list' else init
        model = build(dict(RESNET, init_cfg=cfgs))
    with pytest.raises(ValueError, match=message):
        model.init_weights()


def test_a_prefix_that_no_name_has_is_an_error(save):
    init = dict(type='Pretrained', checkpoint=save(changed(MODELS.build(RESNET))), prefix='backbone.')
    with pytest.raises(ValueError, match=r'has no weights whose names begin with backbone\.'):
        vice(dict(RESNET, init_cfg=init)).init_weights()


def test_init_cfg_of_other_parts_must_fit_too(save):
    state = changed(MODELS.build(FPN))
    init = dict(type='Pretrained', checkpoint=save(state))
    model = vice(RESNET, dict(FPN, init_cfg=init))
    model.init_weights()
    assert all(torch.equal(value, state[name]) for name, value in model.decoder.state_dict().items())
    del state['laterals.0.bias']
    save(state)
    with pytest.raises(ValueError, match=r'which decoder\.init_cfg names, does not fit that LightFPN:\n  missing: lat'):
        vice(RESNET, dict(FPN, init_cfg=init)).init_weights()
    model = vice(RESNET, init_cfg=init)
    with pytest.raises(ValueError, match=r'which model\.init_cfg names, does not fit that ViCE'):
        model.init_weights()


def test_a_probe_takes_the_backbone_alone(save, warnings):
    path = save(changed(MODELS.build(RESNET)))
    model = probe(RESNET, dict(type='HypercolumnDecoder'), pretrained=path)
    model.init_weights()
    assert_taken(model)
    assert not warnings()
    model = probe(RESNET, pretrained=path)
    before = copy.deepcopy(model.decoder.state_dict())
    model.init_weights()
    assert_taken(model)
    assert all(torch.equal(value, before[name]) for name, value in model.decoder.state_dict().items())
    assert any('has no decoder: the probe measures the LightFPN with the random weights' in line for line in warnings())
    with pytest.raises(ValueError, match=r'model\.pretrained=.* and model\.embedder_checkpoint=.* both name'):
        probe(RESNET, pretrained=path, embedder_checkpoint=path)


def test_a_probe_takes_a_decoder_that_the_file_has(save, warnings):
    source = vice(RESNET, FPN)
    model = probe(RESNET, pretrained=save(dict(state_dict=source.state_dict())))
    model.init_weights()
    assert torch.equal(model.decoder.laterals[0].weight, source.decoder.laterals[0].weight)
    assert not warnings()


@pytest.mark.parametrize(
    ('backbone', 'size', 'key'),
    [
        (VIT, (64, 128), 'pos_embed'),
        (VIT, (96, (96, 160)), 'pos_embed'),
        (OF_MMSEG, (64, 128), 'pos_embed'),
        (dict(VIT, with_cls_token=False), (64, 96), 'pos_embed'),
    ],
)
@pytest.mark.parametrize('way', ['pretrained', 'init_cfg', 'bare'])
def test_position_embeddings_are_resized(backbone, size, key, way, save):
    """A sine over the image stays one, and what belongs to no place stays as it is."""
    source = vice(dict(backbone, img_size=size[0]))
    own = source.backbone.state_dict()[key]
    side = size[0] // 16
    extra = own.shape[1] - side**2

    def wave(height, width):
        rows, columns = ((torch.arange(n) + 0.5) / n for n in (height, width))
        return (0.5 * rows[:, None] + 0.2 * columns).flatten()[None, :, None]

    own[:, extra:] = wave(side, side)
    prefix = '' if way == 'bare' else 'backbone.'
    path = save({f'{prefix}{name}': value for name, value in source.backbone.state_dict().items()})
    target = dict(backbone, img_size=size[1])
    if way == 'init_cfg':
        model = vice(dict(target, init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.')))
    else:
        model = vice(target, pretrained=path)
    model.init_weights()
    resized = model.backbone.state_dict()[key]
    grid = [n // 16 for n in (size[1] if isinstance(size[1], tuple) else (size[1],) * 2)]
    assert torch.equal(resized[:, :extra], own[:, :extra])
    middle = (resized[:, extra:, :1] - wave(*grid)).reshape(*grid)[2:-2, 2:-2]
    assert middle.abs().max() < 0.02
    for name, value in source.backbone.state_dict().items():
        assert name == key or torch.equal(model.backbone.state_dict()[name], value), name


@pytest.mark.parametrize('kind', ['mmpretrain', 'mmseg'])
def test_tables_of_a_swin_transformer_are_resized(kind, save):
    def swin(window):
        if kind == 'mmseg':
            return dict(type='mmseg.SwinTransformer', window_size=window, **SIZES)
        return dict(type='mmpretrain.SwinTransformer', arch=SIZES, window_size=window, out_indices=(0, 1, 2, 3))

    source = vice(swin(7), FPN)
    for name, value in source.backbone.state_dict().items():
        if name.endswith('relative_position_bias_table'):
            value.copy_(torch.linspace(-1, 1, 13).repeat(13)[:, None].expand_as(value))
    path = save({f'backbone.{name}': value for name, value in source.backbone.state_dict().items()})
    model = vice(swin(12), FPN)
    load_pretrained(model, path)
    fresh = vice(swin(12), FPN).backbone.state_dict()
    for name, value in model.backbone.state_dict().items():
        if name.endswith('relative_position_index'):
            assert torch.equal(value, fresh[name])
        elif name.endswith('relative_position_bias_table'):
            rows = value[:, 0].reshape(23, 23)
            torch.testing.assert_close(rows[0], rows[-1])
            assert (rows[0].diff() > -0.01).all()
            assert rows[0, 11].abs() < 1e-6
        elif not name.startswith('norm'):
            assert torch.equal(value, source.backbone.state_dict()[name]), name
