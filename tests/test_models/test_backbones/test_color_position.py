"""Colour and place as features: what they hold, and that they can be probed."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.models import ColorPosition
from mmvice.registry import MODELS


def test_colours_places_and_the_constant():
    inputs = torch.randn(2, 3, 4, 6)
    (features,) = ColorPosition()(inputs)
    assert features.shape == (2, ColorPosition.channels, 4, 6)
    assert torch.equal(features[:, :3], inputs)
    torch.testing.assert_close(features[0, 3, 0], torch.tensor([-5, -3, -1, 1, 3, 5]) / 6)
    torch.testing.assert_close(features[1, 4, :, 2], torch.tensor([-3.0, -1, 1, 3]) / 4)
    assert (features[:, 5] == 1).all() and not [p for p in ColorPosition().parameters() if p.requires_grad]


def test_a_place_does_not_depend_on_resolution():
    """The mean over a block of pixels is the pixel of the smaller image."""
    (fine,), (coarse,) = (ColorPosition()(torch.zeros(1, 3, *size)) for size in ((12, 20), (6, 10)))
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 2), coarse)


def test_unit_embeddings_hold_brightness():
    """A probe on unit embeddings decides as an affine map of colours and places: here, whether red is over 0.3."""
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(
            dict(
                type='ProbeSegmentor',
                backbone=dict(type='ColorPosition'),
                decoder=dict(type='HypercolumnDecoder', in_channels=[ColorPosition.channels]),
                decode_head=dict(type='LinearProbeHead', num_classes=2),
            )
        ).eval()
    model.decode_head.conv_seg.weight.data = torch.tensor([[0.0] * 6, [1.0, 0, 0, 0, 0, -0.3]])[:, :, None, None]
    model.decode_head.conv_seg.bias.data.zero_()
    inputs = torch.randn(2, 3, 8, 9)
    found = torch.stack([result.pred_sem_seg.data for result in model.predict(inputs)])
    assert torch.equal(found[:, 0], (inputs[:, 0] > 0.3).long())
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(2, (1, 8, 9)))) for _ in range(2)]
    model.train().loss(inputs, samples)['decode.loss_ce'].backward()
    assert model.decode_head.conv_seg.weight.grad.abs().sum() > 0


def test_other_than_colour_images_are_refused():
    with pytest.raises(ValueError, match=r'takes colour images \(B, 3, H, W\), got shape \(1, 4, 8, 8\)'):
        ColorPosition()(torch.zeros(1, 4, 8, 8))


def test_a_decoder_that_does_not_fit_it_is_told_when_the_model_is_built():
    with (
        DefaultScope.overwrite_default_scope('mmvice'),
        pytest.raises(ValueError, match='ColorPosition gives 1 feature'),
    ):
        MODELS.build(
            dict(
                type='ProbeSegmentor',
                backbone=dict(type='ColorPosition'),
                decoder=dict(type='HypercolumnDecoder', in_channels=[5]),
                decode_head=dict(type='LinearProbeHead', num_classes=2),
            )
        )
