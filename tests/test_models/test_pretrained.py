"""Models that start from weights of other projects compute what those weights compute at home."""

import copy
import logging
from pickle import UnpicklingError

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hostile_files import Payload
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN
from mmseg.registry import MODELS as MMSEG

from mmvice.models.utils import load_pretrained
from mmvice.registry import MODELS

pytestmark = pytest.mark.usefixtures('mmvice_scope')

NORM = dict(type='BN', requires_grad=True)
RESNET = dict(type='mmseg.ResNet', depth=18, norm_cfg=NORM)
TINY = dict(RESNET, base_channels=8, stem_channels=8)
FPN = dict(type='LightFPN', in_channels=[64, 128, 256, 512], embed_dims=8)
TINY_FPN = dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6)
ASPP = dict(
    type='DepthwiseSeparableASPPHead',
    in_channels=64,
    in_index=3,
    channels=8,
    dilations=(1, 2),
    c1_in_channels=8,
    c1_channels=4,
    norm_cfg=NORM,
)
DEEPLAB = dict(type='SegHeadDecoder', embed_dims=6, head=ASPP)


def vice(backbone=TINY, decoder=TINY_FPN, concepts=5, **kwargs):
    head = dict(type='DenseSwAVHead', num_concepts=concepts)
    return MODELS.build(
        dict(type='ViCE', backbone=copy.deepcopy(backbone), decoder=copy.deepcopy(decoder), head=head, **kwargs)
    )


def probe(backbone=TINY, decoder=TINY_FPN, **kwargs):
    head = dict(type='LinearProbeHead', num_classes=3)
    return MODELS.build(
        dict(type='ProbeSegmentor', backbone=backbone, decoder=copy.deepcopy(decoder), decode_head=head, **kwargs)
    )


def segmentor(num_classes=4):
    with DefaultScope.overwrite_default_scope('mmseg'):
        aux = dict(type='FCNHead', in_channels=32, in_index=2, channels=4, num_classes=num_classes, norm_cfg=NORM)
        return MMSEG.build(
            dict(
                type='EncoderDecoder',
                backbone=dict(TINY, type='ResNet'),
                decode_head=dict(ASPP, num_classes=num_classes),
                auxiliary_head=aux,
            )
        )


def resnet18():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    for name, buffer in model.named_buffers():
        if 'running_mean' in name:
            buffer.normal_(0, 0.02)
        if 'running_var' in name:
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def stages(model, images):
    """The four feature maps of a ResNet of torchvision."""
    x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    maps = []
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        x = layer(x)
        maps.append(x)
    return maps


@pytest.fixture
def save(tmp_path):
    def save(state, name='weights.pth'):
        torch.save(state, tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture
def log(caplog):
    """The lines that loading logs."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, logger=logger.name)
    yield lambda: [record.getMessage() for record in caplog.records if record.getMessage().startswith('Loaded ')]
    logger.removeHandler(caplog.handler)


def test_a_backbone_of_torchvision_computes_its_own_features(save, log):
    source = resnet18()
    path = save(source.state_dict())
    model = vice(RESNET, FPN, pretrained=path)
    before = model.decoder.laterals[0].weight.clone()
    model.init_weights()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for ours, theirs in zip(model.eval().backbone(images), stages(source, images)):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
            assert ours.std() > 0.01
    assert torch.equal(model.decoder.laterals[0].weight, before)
    assert log() == [
        f'Loaded backbone from {path} (ResNet with names as in torchvision); taken: 120 backbone; dropped: 2 classifier'
    ]


def test_the_authors_checkpoint_computes_what_their_network_does(save):
    """fpn.py: the coarsest map goes through decoder_layer1, and sums are upsampled without aligned corners."""
    source = resnet18()
    layers = {i: torch.nn.Conv2d(c, 8, 1) for i, c in zip((1, 2, 3, 4), (512, 256, 128, 64))}
    trunk = {f'_feature_blocks.model.backbone.{k}': v for k, v in source.state_dict().items() if 'fc.' not in k}
    for i, layer in layers.items():
        trunk |= {f'_feature_blocks.model.decoder_layer{i}.{k}': v for k, v in layer.state_dict().items()}
    prototypes = 3 * torch.randn(5, 8)
    heads = {'0.prototypes0.weight': prototypes}
    path = save(dict(classy_state_dict=dict(base_model=dict(model=dict(trunk=trunk, heads=heads)))))
    model = vice(RESNET, FPN, pretrained=path)
    model.init_weights()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = stages(source, images)
        expected = layers[1](maps[3])
        for i, feature in ((2, maps[2]), (3, maps[1]), (4, maps[0])):
            up = F.interpolate(expected, size=feature.shape[-2:], mode='bilinear', align_corners=False)
            expected = up + layers[i](feature)
        ours = model.eval().decoder(model.backbone(images))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert ours.std(dim=(2, 3)).min() > 0.01
    assert torch.equal(model.head.concepts, F.normalize(prototypes, dim=1))
    frozen = probe(RESNET, FPN, embedder_checkpoint=path)
    frozen.init_weights()
    with torch.no_grad():
        assert torch.equal(frozen.eval().decoder(frozen.backbone(images)), ours)


def test_a_run_of_mmvice_is_taken_whole_from_its_folder(tmp_path, save, log):
    source = vice()
    source.head.steps.fill_(7)
    save(dict(state_dict=source.state_dict(), meta={}), 'iter_7.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_7.pth')
    model = vice(pretrained=str(tmp_path))
    model.init_weights()
    for name, value in source.state_dict().items():
        if name != 'head.steps':
            assert torch.equal(model.state_dict()[name], value), name
    assert model.head.steps == 0, 'a new training'
    frozen = probe(embedder_checkpoint=str(tmp_path))
    frozen.init_weights()
    assert torch.equal(frozen.decoder.laterals[0].weight, source.decoder.laterals[0].weight)
    assert all(str(tmp_path / 'iter_7.pth') in line for line in log()) and len(log()) == 2
    (tmp_path / 'iter_7.pth').unlink()
    with pytest.raises(FileNotFoundError, match=r'there is no iter_7\.pth'):
        vice(pretrained=str(tmp_path)).init_weights()


def test_a_trained_probe_gives_backbone_and_decoder(save):
    source = probe()
    model = vice(pretrained=save(dict(state_dict=source.state_dict())))
    concepts = model.head.concepts.clone()
    model.init_weights()
    assert torch.equal(model.decoder.laterals[3].bias, source.decoder.laterals[3].bias)
    torch.testing.assert_close(model.head.concepts, concepts, rtol=0, atol=1e-6)


def test_the_head_of_a_segmentor_becomes_the_decoder(save, log):
    source = segmentor(num_classes=6)
    model = vice(decoder=DEEPLAB, pretrained=save(dict(state_dict=source.state_dict())))
    model.init_weights()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours = model.eval().decoder(model.backbone(images))
        assert ours.std(dim=(2, 3)).min() > 0
        assert torch.equal(ours, source.eval().decode_head(source.backbone(images)))
    assert 'auxiliary head' in log()[0] and 'kept' not in log()[0]


def test_a_classifier_of_another_size_is_left_out(save, log):
    source = segmentor(num_classes=4)
    path = save(dict(state_dict=source.state_dict()))
    model = vice(decoder=DEEPLAB, pretrained=path)
    model.init_weights()
    assert model.decoder.head.conv_seg.weight.shape[0] == 6
    assert torch.equal(model.decoder.head.bottleneck.conv.weight, source.decode_head.bottleneck.conv.weight)
    assert '2 classifier; kept at initial values: 2 embedding layer' in log()[0]
    with pytest.raises(ValueError, match='has a classifier in place of the embedding layer'):
        probe(decoder=DEEPLAB, embedder_checkpoint=path).init_weights()


def test_of_a_segmentor_with_another_head_only_the_backbone_is_taken(save, log):
    source = segmentor()
    model = vice(pretrained=save(dict(state_dict=source.state_dict())))
    model.init_weights()
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)
    assert "decode head, which are not those of the config's decoder" in log()[0]


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('network', ['swin', 'convnext'])
def test_classifiers_lack_the_norms_of_finer_maps(network, bare, save, log):
    if network == 'swin':
        sizes = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
        source = dict(type='SwinTransformer', arch=sizes)
        target = dict(type='mmseg.SwinTransformer', window_size=7, out_indices=(0, 1, 2, 3), **sizes)
    else:
        arch = dict(depths=[1, 1, 1, 1], channels=[8, 16, 32, 64])
        source = dict(type='ConvNeXt', arch=arch)
        target = dict(type='mmpretrain.ConvNeXt', arch=arch, out_indices=[0, 1, 2, 3], gap_before_final_norm=False)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        source = MMPRETRAIN.build(source)
    torch.nn.init.uniform_(source.norm3.weight)
    prefix = '' if bare else 'backbone.'
    state = {f'{prefix}{name}': value for name, value in source.state_dict().items()}
    decoder = dict(TINY_FPN, in_channels=[8, 16, 32, 64])
    model = vice(target, decoder, pretrained=save(dict(state_dict=state)))
    model.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    assert model.backbone.norm0.weight.eq(1).all()
    assert log()[0].endswith('kept at initial values: 6 output norms')
    del (
        state[f'{prefix}norm3.weight'],
        state[f'{prefix}stages.0.' + ('blocks.0.norm1' if network == 'swin' else '0.norm') + '.weight'],
    )
    with pytest.raises(ValueError, match=r'missing: backbone\.stages\.0\.(blocks\.)?0\.norm1?\.weight'):
        vice(target, decoder, pretrained=save(dict(state_dict=state))).init_weights()


def test_files_without_batch_counters_are_whole(save):
    state = {name: v for name, v in resnet18().state_dict().items() if 'num_batches_tracked' not in name}
    model = vice(RESNET, FPN)
    fitted = load_pretrained(model, save(state))
    assert fitted.kept.keys() == {'batch counters'}


def test_half_precision_is_widened(save):
    state = {name: v.half() if v.is_floating_point() else v for name, v in vice().state_dict().items()}
    model = vice(pretrained=save(state))
    model.init_weights()
    assert model.backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(model.backbone.conv1.weight, state['backbone.conv1.weight'].float())


def test_what_does_not_fit_is_an_error_that_says_both_sides(save):
    path = save(vice(concepts=9).state_dict())
    with pytest.raises(
        ValueError, match=r'laterals\.0\.weight: \(6, 8, 1, 1\) in the checkpoint, \(7, 8, 1, 1\) in the'
    ):
        vice(decoder=dict(TINY_FPN, embed_dims=7), concepts=9, pretrained=path).init_weights()
    with pytest.raises(
        ValueError, match=r'conv1\.weight: \(64, 3, 7, 7\) in the checkpoint, \(8, 3, 7, 7\) in the model'
    ):
        vice(pretrained=save(resnet18().state_dict())).init_weights()
    resnet50 = torchvision.models.resnet50(weights=None).state_dict()
    with pytest.raises(ValueError, match=r'unexpected: backbone\.layer1\.0\.conv3\.weight'):
        vice(RESNET, FPN, pretrained=save(resnet50)).init_weights()


def test_concepts_of_another_number_are_left_out(save):
    other, model = vice(concepts=9), vice()
    drawn = model.head.concepts.clone()
    fitted = load_pretrained(model, save(other.state_dict()))
    assert fitted.dropped['concepts of another number or size'] == ['head.concepts']
    assert torch.equal(model.head.concepts, drawn)
    assert all(
        torch.equal(ours, theirs) for ours, theirs in zip(model.decoder.parameters(), other.decoder.parameters())
    )


def test_stems_of_two_kinds_are_told_apart(save):
    deep = dict(RESNET, type='mmseg.ResNetV1c')
    path = save(resnet18().state_dict())
    with pytest.raises(ValueError, match=r"file has a plain stem \(type='ResNet'\), the config a deep stem"):
        vice(deep, FPN, pretrained=path).init_weights()
    path = save(vice(deep, FPN).backbone.state_dict())
    with pytest.raises(ValueError, match=r'file has a deep stem .*, the config a plain stem'):
        vice(RESNET, FPN, pretrained=path).init_weights()


def test_a_probe_is_not_given_a_random_decoder(save):
    path = save(resnet18().state_dict())
    with pytest.raises(ValueError, match='embeddings would come from random decoder weights'):
        probe(RESNET, FPN, embedder_checkpoint=path).init_weights()


def test_a_hostile_file_is_refused_and_not_run(tmp_path, save):
    path = save(dict(state_dict=vice().state_dict(), meta=Payload(tmp_path / 'made')))
    for model in (vice(pretrained=path), probe(embedder_checkpoint=path)):
        with pytest.raises(UnpicklingError, match='was not loaded'):
            model.init_weights()
    assert not (tmp_path / 'made').exists()
