"""Weights of other projects get mmvice's names, and every one of them is accounted for."""

import os
import re

import pytest
import torch
import torchvision
from checkpoints import assert_same
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS as MMPRETRAIN

from mmvice.utils.checkpoint import resolve_checkpoint
from mmvice.utils.weight_formats import read_weights, translate

RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
NECK = dict(type='NonLinearNeck', in_channels=64, hid_channels=8, out_channels=8, num_layers=2, with_avg_pool=True)
PREDICTOR = dict(NECK, in_channels=8, with_avg_pool=False)
CONTRAST = dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2)
LATENT = dict(type='LatentPredictHead', loss=dict(type='CosineSimilarityLoss'), predictor=PREDICTOR)
SELF_SUPERVISED = dict(
    moco_v2=(
        dict(
            type='MoCo',
            queue_len=16,
            feat_dim=8,
            neck=dict(type='MoCoV2Neck', in_channels=64, hid_channels=8, out_channels=8),
            head=CONTRAST,
        ),
        {'neck', 'queue', 'momentum encoder'},
    ),
    dense_cl=(
        dict(
            type='DenseCL',
            queue_len=16,
            feat_dim=8,
            neck=dict(type='DenseCLNeck', in_channels=64, hid_channels=8, out_channels=8),
            head=CONTRAST,
        ),
        {'neck', 'queue', 'momentum encoder'},
    ),
    swav=(
        dict(
            type='SwAV',
            neck=dict(type='SwAVNeck', in_channels=64, hid_channels=8, out_channels=8, with_avg_pool=True),
            head=dict(type='SwAVHead', loss=dict(type='SwAVLoss', feat_dim=8, num_prototypes=6)),
        ),
        {'neck', 'head'},
    ),
    simsiam=(dict(type='SimSiam', neck=NECK, head=LATENT), {'neck', 'head'}),
    byol=(dict(type='BYOL', neck=NECK, head=LATENT), {'neck', 'head', 'momentum encoder'}),
    barlow_twins=(
        dict(
            type='BarlowTwins',
            neck=NECK,
            head=dict(type='LatentCrossCorrelationHead', in_channels=8, loss=dict(type='CrossCorrelationLoss')),
        ),
        {'neck', 'head'},
    ),
    simclr=(dict(type='SimCLR', neck=NECK, head=CONTRAST), {'neck'}),
    classifier=(
        dict(
            type='ImageClassifier',
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
        ),
        {'head'},
    ),
)


@pytest.fixture
def schemes(monkeypatch):
    """Let a test turn safe loading on for itself alone."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')


def accounted(weights):
    return len(weights.weights) + sum(len(names) for names in weights.dropped.values())


def resnet18():
    """A ResNet-18 of torchvision, with running statistics that are not those of initialisation."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    for name, buffer in model.named_buffers():
        if 'running_mean' in name:
            buffer.normal_(0, 0.02)
        if 'running_var' in name:
            buffer.uniform_(0.5, 1.5)
    return model


def authors_trunk():
    """State dict of the trunk in the authors' code, fpn.py: their names, their order of the decoder's layers."""
    source = resnet18().state_dict()
    trunk = {}
    for name, value in source.items():
        name = name.replace('conv1.', 'layer0.0.', 1) if name.startswith('conv1.') else name
        name = name.replace('bn1.', 'layer0.1.', 1) if name.startswith('bn1.') else name
        if not name.startswith('fc.'):
            trunk[f'_feature_blocks.model.backbone.{name}'] = value
    for i, channels in zip((1, 2, 3, 4), (512, 256, 128, 64)):
        trunk[f'_feature_blocks.model.decoder_layer{i}.weight'] = torch.randn(8, channels, 1, 1)
        trunk[f'_feature_blocks.model.decoder_layer{i}.bias'] = torch.randn(8)
    return trunk


def authors_expected(trunk, prototypes):
    source = resnet18().state_dict()
    expected = {f'backbone.{name}': value for name, value in source.items() if not name.startswith('fc.')}
    for i in (1, 2, 3, 4):
        for kind in ('weight', 'bias'):
            expected[f'decoder.laterals.{4 - i}.{kind}'] = trunk[f'_feature_blocks.model.decoder_layer{i}.{kind}']
    expected['head.concepts'] = torch.nn.functional.normalize(prototypes, dim=1)
    return expected


@pytest.mark.parametrize('name', SELF_SUPERVISED)
def test_models_of_mmpretrain_give_their_backbone(name):
    config, reasons = SELF_SUPERVISED[name]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MMPRETRAIN.build(dict(config, backbone=RESNET))
    state = model.state_dict()
    weights = translate(dict(meta=dict(epoch=1), state_dict=state))
    assert_same(weights.weights, {k: v for k, v in state.items() if k.startswith('backbone.')})
    assert set(weights.dropped) == reasons
    assert accounted(weights) == len(state)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: state,
        lambda state: dict(state_dict=state, epoch=3),
        lambda state: {f'module.{name}': value for name, value in state.items()},
        lambda state: dict(model={f'module.{name}': value for name, value in state.items()}),
        lambda state: {f'backbone.{name}': value for name, value in state.items() if not name.startswith('fc.')},
    ],
)
def test_a_resnet_of_torchvision_is_found_in_usual_wrappings(wrap):
    state = resnet18().state_dict()
    weights = translate(wrap(state))
    assert_same(weights.weights, {f'backbone.{k}': v for k, v in state.items() if not k.startswith('fc.')})
    assert set(weights.dropped) <= {'classifier'}


def test_moco_and_swav_of_their_authors_give_their_backbone():
    state = {name: value for name, value in resnet18().state_dict().items() if not name.startswith('fc.')}
    expected = {f'backbone.{name}': value for name, value in state.items()}
    moco = {f'module.{which}.{name}': value for which in ('encoder_q', 'encoder_k') for name, value in state.items()}
    moco |= {
        'module.encoder_q.fc.0.weight': torch.ones(2),
        'module.queue': torch.ones(2),
        'module.queue_ptr': torch.ones(1),
    }
    weights = translate(dict(state_dict=moco))
    assert_same(weights.weights, expected)
    assert set(weights.dropped) == {'neck', 'momentum encoder', 'queue'}
    swav = {f'module.{name}': value for name, value in state.items()}
    swav |= {'module.projection_head.0.weight': torch.ones(2), 'module.prototypes.weight': torch.ones(2)}
    assert_same(translate(swav).weights, expected)


def test_the_authors_flat_checkpoint():
    trunk, prototypes = authors_trunk(), 3 * torch.randn(5, 8)
    flat = {name.removeprefix('_feature_blocks.model.').removeprefix('backbone.'): v for name, v in trunk.items()}
    flat = {re.sub(r'^layer0\.0', 'conv1', re.sub(r'^layer0\.1', 'bn1', name)): v for name, v in flat.items()}
    flat |= {'fc.weight': torch.ones(2, 2), 'prototypes0.weight': prototypes}
    assert 'conv1.weight' in flat and 'decoder_layer1.weight' in flat
    weights = translate(flat)
    assert_same(weights.weights, authors_expected(trunk, prototypes))
    assert weights.dropped == {'classifier': ['fc.weight']}
    assert weights.weights['head.concepts'].norm(dim=1).allclose(torch.ones(5))


@pytest.mark.parametrize('heads', [dict, list])
def test_the_authors_checkpoint_as_vissl_writes_it(heads):
    trunk, prototypes = authors_trunk(), 3 * torch.randn(5, 8)
    head = {'prototypes0.weight': prototypes}
    heads = [head] if heads is list else {f'0.{name}': value for name, value in head.items()}
    model = dict(trunk=trunk, heads=heads)
    checkpoint = dict(
        classy_state_dict=dict(base_model=dict(model=model), losses=dict(queue=torch.ones(3)), optimizer={}),
        phase_idx=3,
        type='consolidated',
    )
    weights = translate(checkpoint)
    assert_same(weights.weights, authors_expected(trunk, prototypes))
    assert not weights.dropped


def test_decoder_layers_of_the_authors_are_numbered_from_the_coarsest_map():
    """fpn.py: out1 = decoder_layer1(feat3), and each next one is added to the upsampled sum."""
    weights = translate(authors_trunk()).weights
    channels = [weights[f'decoder.laterals.{i}.weight'].shape[1] for i in range(4)]
    assert channels == [64, 128, 256, 512]


def test_the_authors_deeplab_gives_its_backbone_alone():
    trunk = {name: v for name, v in authors_trunk().items() if 'decoder_layer' not in name}
    others = {
        '_feature_blocks.model.ASSP.aspp1.0.weight': torch.ones(1),
        '_feature_blocks.model.decoder.conv1.weight': torch.ones(1),
        'heads.0.prototypes0.weight': torch.ones(3, 2),
    }
    weights = translate({**trunk, **others})
    assert all(name.startswith('backbone.') for name in weights.weights)
    assert sorted(name for names in weights.dropped.values() for name in names) == sorted(others)


@pytest.mark.parametrize(
    'extra',
    ['projection_head.0.weight', 'prototypes1.weight', 'decoder_layer5.weight', 'attention.weight'],
)
def test_a_weight_without_a_rule_is_an_error_that_names_it(extra):
    with pytest.raises(ValueError, match=rf'(?s)1 of its \d+ weights is not accounted for.*{re.escape(extra)}'):
        translate({**authors_trunk(), extra: torch.ones(1)})


@pytest.mark.parametrize(
    ('state', 'extra'),
    [
        (lambda: resnet18().state_dict(), 'layer5.0.conv1.weight'),
        (lambda: {'backbone.conv1.weight': torch.ones(1)}, 'mystery.weight'),
        (lambda: {'backbone.a': torch.ones(1), 'decoder.b': torch.ones(1)}, 'mystery.weight'),
        (lambda: {'backbone.a': torch.ones(1), 'decode_head.b': torch.ones(1)}, 'mystery.weight'),
        (lambda: {'encoder_q.conv1.weight': torch.ones(1)}, 'encoder_x.conv1.weight'),
        (lambda: {'stages.0.0.gamma': torch.ones(1), 'downsample_layers.0.0.weight': torch.ones(1)}, 'mystery.weight'),
        (lambda: {'ASSP.a': torch.ones(1), 'backbone.layer0.0.weight': torch.ones(1)}, 'mystery.weight'),
    ],
)
def test_every_format_refuses_a_weight_without_a_rule(state, extra):
    state = state()
    assert translate(state).weights
    with pytest.raises(ValueError, match=rf'(?s)not accounted for.*{re.escape(extra)}'):
        translate({**state, extra: torch.ones(1)})


def test_any_weight_of_a_method_s_head_is_dropped():
    state = {'backbone.a': torch.ones(1), 'decoder.b': torch.ones(1)}
    translated = translate({**state, 'head.mystery': torch.ones(1)})
    assert translated.weights.keys() == state.keys()
    assert ['head.mystery'] in [list(names) for names in translated.dropped.values()]


def test_two_names_of_one_weight_are_an_error():
    state = resnet18().state_dict()
    with pytest.raises(
        ValueError, match=r'conv1\.weight and module\.conv1\.weight both stand for backbone\.conv1\.weight'
    ):
        translate({**state, 'module.conv1.weight': state['conv1.weight']})


def test_what_is_not_recognised_is_refused():
    with pytest.raises(ValueError, match=r'(?s)its names begin with a\.weight; known are:.*torchvision'):
        translate({'a.weight': torch.ones(1)})
    for model in (torchvision.models.convnext_tiny(weights=None), torchvision.models.swin_t(weights=None)):
        with pytest.raises(ValueError, match="use MMPretrain's weights of that network"):
            translate(model.state_dict())
    with pytest.raises(ValueError, match='holds a list where a dict of weights is expected'):
        translate([torch.ones(1)])
    with pytest.raises(ValueError, match=r'(?s)more than tensors among its weights.*conv1: str'):
        translate({'conv1': 'abc'})
    with pytest.raises(ValueError, match='weights under state_dict and model'):
        translate(dict(state_dict={'a': torch.ones(1)}, model={'a': torch.ones(1)}))


def test_weights_in_half_precision_are_read_as_float32():
    state = {name: v.half() if v.is_floating_point() else v for name, v in resnet18().state_dict().items()}
    weights = translate(state).weights
    assert weights['backbone.conv1.weight'].dtype == torch.float32
    assert torch.equal(weights['backbone.conv1.weight'].half(), state['conv1.weight'])
    assert weights['backbone.bn1.num_batches_tracked'].dtype == torch.int64


def test_a_name_that_a_scheme_does_not_know_is_an_error(schemes):
    with pytest.raises(ValueError, match="torchvision has no weights of the name 'resnet1'"):
        read_weights('torchvision://resnet1')


def test_a_url_is_read_by_the_safe_loader(tmp_path, monkeypatch, schemes):
    """MMEngine's loader for the scheme hands over what was downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    state = resnet18().state_dict()
    torch.save(state, folder / 'mine.pth')
    assert_same(
        read_weights('https://example.org/mine.pth').weights,
        {f'backbone.{k}': v for k, v in state.items() if not k.startswith('fc.')},
    )
    assert os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] == '1'


def test_a_work_folder_stands_for_its_latest_checkpoint_wherever_it_was_moved(tmp_path):
    folder = tmp_path / 'moved'
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match='moved has no last_checkpoint'):
        resolve_checkpoint(folder)
    for recorded in ('/somewhere/else/iter_3.pth', 'C:\\runs\\iter_3.pth', str(folder / 'iter_3.pth')):
        (folder / 'last_checkpoint').write_text(recorded + '\n')
        (folder / 'iter_3.pth').unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError, match=r'there is no iter_3\.pth in'):
            resolve_checkpoint(folder)
        torch.save(resnet18().state_dict(), folder / 'iter_3.pth')
        assert resolve_checkpoint(str(folder)) == folder / 'iter_3.pth'
    assert read_weights(folder).source == str(folder / 'iter_3.pth')
    assert resolve_checkpoint('torchvision://resnet18') == 'torchvision://resnet18'
    assert resolve_checkpoint('a/file.pth') == 'a/file.pth'
