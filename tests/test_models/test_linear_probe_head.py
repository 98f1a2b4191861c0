"""The folded probe against the layers it stands for."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from benchmarks.plain.probes import linear_logits
from mmvice.models import LinearProbeHead
from mmvice.structures import EmbeddingMap


def make_map(seed=0, size=(13, 18)):
    torch.manual_seed(seed)
    return EmbeddingMap(torch.randn(2, 6, 4, 5, dtype=torch.float64), size)


ENOUGH = (50, 60)  # pixels of an image, two of which have 1000 for each of 6 channels


def accuracy_after_training(head, e, labels):
    """Share of pixels that the head has right after 60 steps at a constant learning rate, in eval mode."""
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    for _ in range(60):
        loss = head.loss(e, samples, None)['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (head.eval().classify(e) == labels).float().mean()


@pytest.mark.parametrize('training', [True, False])
def test_filters_with_batch_norm_equal_the_linear_logits(training):
    e = make_map()
    head = LinearProbeHead(6, num_classes=3, num_filters=7).double()
    with torch.no_grad():
        head.norm.weight.uniform_(0.5, 2), head.norm.bias.normal_(), head.conv_seg.bias.normal_()
        head.norm.running_mean.normal_(), head.norm.running_var.uniform_(0.5, 2)
    twin = LinearProbeHead(6, num_classes=3, num_filters=7).double()
    twin.load_state_dict(head.state_dict())
    head.train(training), twin.train(training)
    folded, unfolded = head(e), linear_logits(twin, e.dense())
    torch.testing.assert_close(folded, unfolded, rtol=1e-5, atol=1e-6)
    upstream = torch.randn_like(folded)
    grads = [
        torch.autograd.grad((out * upstream).sum(), list(h.parameters()))
        for h, out in ((head, folded), (twin, unfolded))
    ]
    for own, expected in zip(*grads):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)
    for name, buffer in head.named_buffers():
        torch.testing.assert_close(buffer, dict(twin.named_buffers())[name], rtol=1e-5, atol=1e-6)


def test_plain_probe_is_a_convolution_over_unit_embeddings():
    e = make_map()
    head = LinearProbeHead(6, num_classes=3).double()
    expected = F.conv2d(e.dense(), head.conv_seg.weight, head.conv_seg.bias)
    torch.testing.assert_close(head(e), expected, rtol=1e-5, atol=1e-6)


def test_it_learns_what_is_linear():
    e = make_map()
    labels = (e.dense()[:, 0] > e.dense()[:, 1]).long()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    head = LinearProbeHead(6, num_classes=2, num_filters=4).double()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        losses = head.loss(e, samples, None)
        optimizer.zero_grad()
        losses['loss_ce'].backward()
        optimizer.step()
    assert losses['acc_seg'] > 95
    head.eval()
    assert (head(e).argmax(1) == labels).double().mean() > 0.9
    assert torch.equal(head.classify(e), head(e).argmax(1))


@pytest.mark.parametrize('num_filters', [None, 7])
def test_whitened_embeddings_have_covariance_one_in_the_first_batch_and_its_coordinates_stay(num_filters):
    e, later = make_map(size=ENOUGH), make_map(seed=1, size=ENOUGH)
    head = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=True).double()
    head.linear_map(e)
    pixels = e.dense().movedim(1, -1).flatten(0, 2)
    white = (pixels - head.center) @ head.whitening.T
    torch.testing.assert_close(white.mean(0), torch.zeros(6).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(6).double(), atol=2e-2, rtol=0)
    coordinates = head.whitening.clone()
    head.linear_map(later)
    assert torch.equal(head.whitening, coordinates)
    restored = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=True).double()
    restored.load_state_dict(head.state_dict())
    head.eval(), restored.eval()
    torch.testing.assert_close(restored(e), head(e))


def test_whitening_takes_small_batches_together_until_they_have_a_thousand_pixels_for_each_channel():
    torch.manual_seed(0)
    batches = [EmbeddingMap(torch.randn(1, 8, 1, 2, dtype=torch.float64), (20, 40)) for _ in range(12)]
    head = LinearProbeHead(8, num_classes=3, num_filters=7, whiten=True).double()
    for batch in batches[:10]:  # 800 pixels each, in three of 8 directions at most
        before = head.whitening.clone()
        head.linear_map(batch)
        assert not torch.equal(head.whitening, before)
    coordinates = head.whitening.clone()
    for batch in batches[10:]:
        head.linear_map(batch)
    assert torch.equal(head.whitening, coordinates)
    pixels = torch.cat([batch.dense()[0].flatten(1).T for batch in batches[:10]])
    covariance = torch.cov(((pixels - head.center) @ head.whitening.T).T)
    torch.testing.assert_close(covariance, torch.eye(8).double(), atol=0.1, rtol=0)


@pytest.mark.parametrize('num_filters', [None, 7])
@pytest.mark.parametrize('training', [True, False])
def test_whitened_probe_equals_the_layers_on_whitened_embeddings(num_filters, training):
    e = make_map()
    head = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=True).double()
    head.linear_map(e)
    with torch.no_grad():
        head.conv_seg.bias.normal_()
    twin = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=True).double()
    twin.load_state_dict(head.state_dict())
    head.train(training), twin.train(training)
    white = F.conv2d(e.dense() - head.center[:, None, None], head.whitening[:, :, None, None])
    expected = linear_logits(twin, white) if num_filters else twin.conv_seg(white)
    torch.testing.assert_close(head(e), expected, rtol=1e-5, atol=1e-6)


def test_whitening_learns_in_few_steps_what_lies_in_a_direction_of_little_variance():
    torch.manual_seed(0)
    features = torch.logspace(0, -1.5, 16)[:, None, None] * torch.randn(2, 16, 24, 24)
    e = EmbeddingMap(features, (24, 24))
    labels = (features[:, -1] > 0).long()
    accuracy = {}
    for whiten in (False, True):
        torch.manual_seed(0)
        head = LinearProbeHead(16, num_classes=2, num_filters=2, whiten=whiten)
        accuracy[whiten] = accuracy_after_training(head, e, labels)
    assert accuracy[True] > 0.9 > 0.7 > accuracy[False], accuracy


@pytest.mark.parametrize('spread', [0.1, 0.001])
def test_whitening_can_do_with_fp32_embeddings_that_lie_close_to_one_vector(spread):
    """At a constant learning rate, too: running means are of centred embeddings, and do not lag."""
    torch.manual_seed(0)
    offsets = torch.randn(2, 16, 24, 24)
    e = EmbeddingMap(torch.randn(16)[:, None, None] + spread * offsets, (96, 96))
    labels = (F.interpolate(offsets, (96, 96), mode='bilinear')[:, -1] > 0).long()
    head = LinearProbeHead(16, num_classes=2, num_filters=8, whiten=True)
    accuracy = accuracy_after_training(head, e, labels)
    assert accuracy > 0.88, accuracy


@pytest.mark.parametrize('whiten', [False, True])
def test_weights_of_other_coordinates_are_refused(whiten):
    head, other = (LinearProbeHead(6, num_classes=3, num_filters=7, whiten=value) for value in (whiten, not whiten))
    with pytest.raises(ValueError, match=f'set model.decode_head.whiten={whiten}'):
        other.load_state_dict(head.state_dict())


def test_whitening_that_was_not_fitted_to_the_end_is_fitted_anew_after_loading():
    torch.manual_seed(0)
    batches = [EmbeddingMap(torch.randn(1, 8, 1, 2, dtype=torch.float64), (20, 40)) for _ in range(15)]
    begun, loaded, fresh = (LinearProbeHead(8, num_classes=3, num_filters=7, whiten=True).double() for _ in range(3))
    for batch in batches[:5]:
        begun.linear_map(batch)
    loaded.linear_map(batches[0])  # forgotten with the weights that are replaced
    loaded.load_state_dict(begun.state_dict())
    for batch in batches[5:]:
        loaded.linear_map(batch), fresh.linear_map(batch)
    assert loaded.is_fitted
    assert torch.equal(loaded.whitening, fresh.whitening) and torch.equal(loaded.center, fresh.center)


def test_a_fitted_whitening_is_not_fitted_again_after_loading():
    head = LinearProbeHead(6, num_classes=3, num_filters=7, whiten=True).double()
    head.linear_map(make_map(size=ENOUGH))
    fresh = LinearProbeHead(6, num_classes=3, num_filters=7, whiten=True).double()
    fresh.load_state_dict(head.state_dict())
    fresh.linear_map(make_map(seed=1, size=ENOUGH))
    assert torch.equal(fresh.whitening, head.whitening)
