"""Hypercolumns: every stage at the finest resolution with an equal share, and nothing to learn or to load."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmpretrain.registry import MODELS as MMPRETRAIN
from mmseg.structures import SegDataSample

from mmvice.models import HypercolumnDecoder
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

pytestmark = pytest.mark.usefixtures('mmvice_scope')

BACKBONE = dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN'))
CHANNELS = [8, 16, 32, 64]


def pyramid(height=64, width=96, channels=CHANNELS):
    torch.manual_seed(0)
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    return [torch.randn(2, c, *size) * 100**i for i, (c, size) in enumerate(zip(channels, sizes))]


@pytest.mark.parametrize('size', [(64, 96), (61, 83), (33, 97)])
def test_every_place_holds_the_upsampled_stages_at_unit_length(size):
    features = pyramid(*size)
    stacked = HypercolumnDecoder(CHANNELS)(features)
    assert stacked.shape == (2, sum(CHANNELS), *features[0].shape[-2:])
    for part, feature in zip(stacked.split(CHANNELS, 1), features):
        whole = F.interpolate(feature, features[0].shape[-2:], mode='bilinear', align_corners=False)
        torch.testing.assert_close(part, F.normalize(whole, dim=1))


def test_no_stage_drowns_the_others():
    """Scaling one stage, by whatever power, changes nothing; without balance the largest decides alone."""
    features = pyramid()
    decoder = HypercolumnDecoder(CHANNELS)
    scaled = [feature * 10.0 ** (3 * i - 6) for i, feature in enumerate(features)]
    torch.testing.assert_close(decoder(scaled), decoder(features))
    shares = [part.square().sum(1) for part in decoder(features).split(CHANNELS, 1)]
    for share in shares:
        torch.testing.assert_close(share, torch.ones_like(share))


def test_half_precision_does_not_overflow():
    features = [feature.clamp(-3e4, 3e4).half() for feature in pyramid()]
    stacked = HypercolumnDecoder(CHANNELS)(features)
    assert stacked.isfinite().all()
    torch.testing.assert_close(stacked.square().sum(1), torch.full_like(stacked[:, 0], 4.0))


def test_chosen_stages_and_the_finest_of_them():
    features = pyramid()
    decoder = HypercolumnDecoder(CHANNELS, in_index=[-1, 1])
    assert decoder.embed_dims == 16 + 64
    stacked = decoder(features)
    assert stacked.shape == (2, 80, 8, 12)
    torch.testing.assert_close(stacked[:, :16], F.normalize(features[1], dim=1))


@pytest.mark.parametrize('in_index', [[], [4], [-5], [1, 1], [0, -4]])
def test_stages_that_are_not_there_or_named_twice(in_index):
    with pytest.raises(ValueError, match=r'must name some of the 4 stages.*each once: 0 to 3'):
        HypercolumnDecoder(CHANNELS, in_index)


def test_it_has_no_weights_and_gradients_go_through_it():
    decoder = HypercolumnDecoder(CHANNELS)
    assert not list(decoder.parameters()) and not decoder.state_dict()
    features = [feature.requires_grad_() for feature in pyramid()]
    (decoder(features) * torch.randn(2, sum(CHANNELS), 16, 24)).sum().backward()
    assert all(feature.grad.isfinite().all() and feature.grad.abs().sum() > 0 for feature in features)


@pytest.mark.parametrize('channels', [[8, 16, 32, 65], [8, 16, 32], [8, 16, 32, 64, 128]])
def test_a_backbone_of_other_stages_is_an_error_when_the_model_is_built(channels):
    decoder = dict(type='HypercolumnDecoder', in_channels=channels)
    head = dict(type='LinearProbeHead', num_classes=3)
    with pytest.raises(ValueError) as error:
        MODELS.build(dict(type='ProbeSegmentor', backbone=BACKBONE, decoder=decoder, decode_head=head))
    message = str(error.value)
    assert 'ResNet gives 4 feature maps with the channels [8, 16, 32, 64]' in message
    assert f'in_channels={channels}' in message and 'agree' in message


def probe(checkpoint=None, head=None):
    decoder = dict(type='HypercolumnDecoder', in_channels=CHANNELS)
    head = dict(type='LinearProbeHead', num_classes=3, num_filters=5) if head is None else head
    return MODELS.build(
        dict(
            type='ProbeSegmentor',
            backbone=BACKBONE,
            decoder=decoder,
            decode_head=head,
            embedder_checkpoint=checkpoint,
        )
    )


def test_the_embedding_map_is_that_of_the_stacked_stages():
    model = probe().eval()
    inputs = torch.randn(2, 3, 45, 70)
    embeddings = model.extract_feat(inputs)
    assert isinstance(embeddings, EmbeddingMap) and embeddings.size == (45, 70) and embeddings.embed_dims == 120
    resized = F.interpolate(inputs, (32, 64), mode='bilinear')
    stages = [F.normalize(F.interpolate(f, (8, 16), mode='bilinear'), dim=1) for f in model.backbone(resized)]
    dense = F.normalize(F.interpolate(torch.cat(stages, 1), (45, 70), mode='bilinear'), dim=1)
    torch.testing.assert_close(embeddings.dense(), dense)


def test_a_linear_and_a_cluster_probe_learn_from_it():
    model = probe()
    model.train()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(3, (1, 32, 40)))) for _ in range(2)]
    model.loss(torch.randn(2, 3, 32, 40), samples)['decode.loss_ce'].backward()
    assert model.decode_head.filters.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    clusters = probe(head=dict(type='ClusterProbeHead', num_classes=3, num_clusters=4)).eval()
    embeddings = clusters.extract_feat(torch.randn(2, 3, 32, 40))
    clusters.decode_head.fit_centroids(embeddings.dense().permute(0, 2, 3, 1).reshape(-1, 120).numpy())
    assert clusters.decode_head.assign(embeddings).unique().numel() == 4


def test_of_a_run_of_vice_the_backbone_is_taken_and_the_decoder_is_left(tmp_path):
    decoder = dict(type='LightFPN', in_channels=CHANNELS, embed_dims=6)
    vice = MODELS.build(
        dict(type='ViCE', backbone=BACKBONE, decoder=decoder, head=dict(type='DenseSwAVHead', num_concepts=4))
    )
    torch.save(dict(state_dict=vice.state_dict()), tmp_path / 'vice.pth')
    model = probe(str(tmp_path / 'vice.pth'))
    model.init_weights()
    ours = model.backbone.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in vice.backbone.state_dict().items())


def test_the_backbone_of_densecl_in_mmpretrain_is_taken(tmp_path):
    norm = dict(type='BN')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        densecl = MMPRETRAIN.build(
            dict(
                type='DenseCL',
                queue_len=8,
                backbone=dict(type='ResNet', depth=18, base_channels=8, norm_cfg=norm, stem_channels=8),
                neck=dict(type='DenseCLNeck', in_channels=64, hid_channels=8, out_channels=128),
                head=dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2),
            )
        )
    torch.save(dict(state_dict=densecl.state_dict()), tmp_path / 'densecl.pth')
    model = probe(str(tmp_path / 'densecl.pth'))
    backbone = dict(BACKBONE, stem_channels=8)
    model.backbone = MODELS.build(backbone)
    model.init_weights()
    inputs = torch.randn(1, 3, 64, 64)
    densecl.eval()
    model.eval()
    torch.testing.assert_close(model.backbone(inputs)[-1], densecl.backbone(inputs)[-1])
