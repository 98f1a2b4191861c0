"""The frozen segmentor: what it loads, what it leaves alone, what it says when it does not fit."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.registry import MODELS

BACKBONE = dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN'))
DECODER = dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6)
LINEAR = dict(type='mmvice.LinearProbeHead', num_classes=3)


def build(**kwargs):
    config = dict(type='mmvice.ProbeSegmentor', backbone=BACKBONE, decoder=DECODER, decode_head=LINEAR, **kwargs)
    return MODELS.build(config)


def vice():
    head = dict(type='mmvice.DenseSwAVHead', num_concepts=4)
    return MODELS.build(dict(type='mmvice.ViCE', backbone=BACKBONE, decoder=DECODER, head=head))


@pytest.fixture
def checkpoint(tmp_path):
    model = vice()
    path = tmp_path / 'vice.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return model, str(path)


def test_embedder_comes_from_the_checkpoint_whole(checkpoint):
    source, path = checkpoint
    model = build(embedder_checkpoint=path)
    model.init_weights()
    for part in ('backbone', 'decoder'):
        for name, value in getattr(source, part).state_dict().items():
            assert torch.equal(getattr(model, part).state_dict()[name], value), name


def test_only_the_probe_learns_and_batch_norm_of_the_embedder_rests():
    model = build()
    assert {n.split('.')[0] for n, p in model.named_parameters() if p.requires_grad} == {'decode_head'}
    model.train()
    before = {n: b.clone() for n, b in model.named_buffers()}
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(3, (1, 32, 40)))) for _ in range(2)]
    losses = model.loss(torch.randn(2, 3, 32, 40), samples)
    losses['decode.loss_ce'].backward()
    assert model.decode_head.conv_seg.weight.grad.abs().sum() > 0
    assert all(torch.equal(b, before[n]) for n, b in model.named_buffers())
    assert not model.backbone.training and not model.decoder.training and model.decode_head.training


def test_predictions_have_the_original_size_and_logits_where_asked():
    samples = [SegDataSample(metainfo=dict(img_shape=(32, 40), ori_shape=(64, 81)))]
    inputs = torch.randn(1, 3, 32, 40)
    result = build().eval().predict(inputs, samples)[0]
    assert result.pred_sem_seg.data.shape == (1, 64, 81) and 'seg_logits' not in result
    result = build(test_cfg=dict(mode='whole', seg_logits=True)).eval().predict(inputs, samples)[0]
    assert result.pred_sem_seg.data.shape == (1, 64, 81) and result.seg_logits.data.shape == (3, 64, 81)


def test_classes_found_without_logits_are_those_of_the_logits():
    """Also where the input was padded or flipped, which predictions undo."""
    model = build().eval()
    inputs = torch.randn(2, 3, 32, 40)
    moves = [{}, dict(img_padding_size=[0, 8, 0, 4]), dict(flip=True, flip_direction='horizontal')]
    for move in moves:
        size = (28, 32) if 'img_padding_size' in move else (32, 40)
        samples = [SegDataSample(metainfo=dict(img_shape=(32, 40), ori_shape=size, **move)) for _ in inputs]
        found = [result.pred_sem_seg.data for result in model.predict(inputs, samples)]
        logits = model(inputs)
        if 'flip' in move:
            logits = logits.flip(-1)
        expected = logits.argmax(1, keepdim=True)[..., : size[0], : size[1]]
        assert torch.equal(torch.stack(found), expected)
    without_samples = model.predict(inputs)
    assert torch.equal(torch.stack([r.pred_sem_seg.data for r in without_samples]), model(inputs).argmax(1, True))


def test_a_checkpoint_that_does_not_fit_is_refused_with_both_sides(checkpoint, tmp_path):
    _, path = checkpoint
    other = build(embedder_checkpoint=path)
    other.decoder = MODELS.build({**DECODER, 'embed_dims': 5})
    with pytest.raises(ValueError, match=r'\(6, 8, 1, 1\) in the checkpoint, \(5, 8, 1, 1\) in the model'):
        other.init_weights()
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match='has no weights of a backbone or decoder'):
        build(embedder_checkpoint=str(tmp_path / 'empty.pth')).init_weights()


def test_other_test_modes_are_refused():
    with pytest.raises(ValueError, match="mode must be 'whole'"):
        build(test_cfg=dict(mode='slide', crop_size=(8, 8)))


def test_a_head_of_another_size_is_refused():
    with pytest.raises(ValueError, match='decoder.embed_dims=6, but decode_head.in_channels=7'):
        MODELS.build(
            dict(
                type='mmvice.ProbeSegmentor',
                backbone=BACKBONE,
                decoder=DECODER,
                decode_head=dict(LINEAR, in_channels=7),
            )
        )


def test_end_to_end_the_embedder_learns_too():
    model = build(frozen=()).train()
    assert model.backbone.training and model.decoder.training
    before = {n: b.clone() for n, b in model.backbone.named_buffers()}
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(3, (1, 32, 40)))) for _ in range(2)]
    model.loss(torch.randn(2, 3, 32, 40), samples)['decode.loss_ce'].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.decoder.parameters())
    assert any(not torch.equal(b, before[n]) for n, b in model.backbone.named_buffers())
    model.eval()
    assert not model.backbone.training
    with torch.no_grad():
        assert not model.extract_feat(torch.randn(1, 3, 32, 40)).features.requires_grad
