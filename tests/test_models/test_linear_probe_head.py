"""The folded probe against the layers it stands for."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.models import LinearProbeHead
from mmvice.structures import EmbeddingMap


def make_map(seed=0):
    torch.manual_seed(seed)
    return EmbeddingMap(torch.randn(2, 6, 4, 5, dtype=torch.float64), (13, 18))


def layers(head, dense):
    """1x1 convolution, batch norm, 1x1 convolution: what the probe stands for."""
    return head.conv_seg(head.norm(head.filters(dense)))


@pytest.mark.parametrize('training', [True, False])
def test_filters_with_batch_norm_equal_the_layers(training):
    e = make_map()
    head = LinearProbeHead(6, num_classes=3, num_filters=7).double()
    with torch.no_grad():
        head.norm.weight.uniform_(0.5, 2), head.norm.bias.normal_(), head.conv_seg.bias.normal_()
        head.norm.running_mean.normal_(), head.norm.running_var.uniform_(0.5, 2)
    twin = LinearProbeHead(6, num_classes=3, num_filters=7).double()
    twin.load_state_dict(head.state_dict())
    head.train(training), twin.train(training)
    folded, unfolded = head(e), layers(twin, e.dense())
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
