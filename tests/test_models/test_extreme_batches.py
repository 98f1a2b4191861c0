"""Losses and probes on batches at the edge: few regions or none, features of any magnitude, half precision."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmvice.models import ClusterProbeHead, DenseSwAVHead, LinearProbeHead
from mmvice.ops import sinkhorn_knopp
from mmvice.structures import EmbeddingMap

SIZE, DIMS = (6, 8), 5
PRECISIONS = [torch.float32, torch.float16, torch.bfloat16]


def make_batch(num_regions, num_views, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    batch = len(num_regions) * num_views
    features = torch.randn(batch, DIMS, 3, 4, generator=generator, dtype=torch.float64) * scale
    regions = torch.full((batch, *SIZE), -1)
    for b, count in enumerate(np.repeat(num_regions, num_views)):
        if count:
            regions[b] = torch.randint(-1, count, SIZE, generator=generator)
            regions[b].flatten()[:count] = torch.arange(count)
    return features.to(dtype).requires_grad_(), regions


@settings(max_examples=120, deadline=None)
@given(
    num_regions=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    num_views=st.integers(2, 3),
    num_concepts=st.integers(2, 12),
    power=st.floats(-30, 30),
    dtype=st.sampled_from(PRECISIONS),
    queue_length=st.sampled_from([0, 1, 7]),
    reduction=st.sampled_from(['image', 'region']),
    normalize_pixels=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_batch_has_a_finite_loss_gradient_and_state(
    num_regions, num_views, num_concepts, power, dtype, queue_length, reduction, normalize_pixels, seed
):
    if dtype == torch.float16:
        power = min(max(power, -2), 4)  # a gradient goes by 1 / |features|: both must be within fp16
    options = dict(queue_length=queue_length, reduction=reduction, normalize_pixels=normalize_pixels)
    head = DenseSwAVHead(DIMS, num_concepts, **options)
    features, regions = make_batch(num_regions, num_views, seed, 10.0**power, dtype)
    for _ in range(2):  # the second time with a queue
        out = head.loss(EmbeddingMap(features, SIZE), regions, num_regions, num_views)
        gradients = torch.autograd.grad(out['loss'], [features, head.concepts])
    assert all(value.isfinite() for value in out.values())
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert out['loss'] > 0 if sum(num_regions) else out['loss'] == 0
    assert all(value.isfinite().all() for value in head.state_dict().values())
    filled = min(2 * sum(num_regions), queue_length)
    torch.testing.assert_close(head.queue[:filled].norm(dim=1), torch.ones(filled))


@pytest.mark.parametrize('normalize_pixels', [True, False])
@pytest.mark.parametrize('power', [-90, 90])
def test_the_loss_does_not_depend_on_the_magnitude_of_features(normalize_pixels, power):
    features, regions = make_batch([4, 2], 3)
    losses = []
    for scale in (1.0, 2.0**power):
        torch.manual_seed(0)
        head = DenseSwAVHead(DIMS, 6, normalize_pixels=normalize_pixels)
        losses.append(head.loss(EmbeddingMap(features.detach() * scale, SIZE), regions, [4, 2], 3)['loss'])
    assert torch.equal(*losses)


@pytest.mark.parametrize('num_regions', [[1], [3, 4], [0, 2]])
@pytest.mark.parametrize('queue_length', [0, 20])
def test_identical_embeddings_are_asked_for_all_concepts_alike(num_regions, queue_length):
    head = DenseSwAVHead(DIMS, 6, queue_length=queue_length)
    vector = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0])
    _, regions = make_batch(num_regions, 2)
    features = vector[None, :, None, None].expand(len(regions), -1, 3, 4).clone().requires_grad_()
    expected = -F.log_softmax(F.normalize(vector, dim=0) @ head.concepts.T / head.temperature, 0).mean()
    for _ in range(2):
        out = head.loss(EmbeddingMap(features, SIZE), regions, num_regions, 2)
        torch.testing.assert_close(out['loss'], expected, rtol=1e-5, atol=0)
        assert out['assignment_entropy'] == pytest.approx(math.log(6), abs=1e-4)
        assert torch.autograd.grad(out['loss'], features)[0].isfinite().all()


def test_a_single_region_is_asked_for_all_concepts_alike():
    head = DenseSwAVHead(DIMS, 9)
    means = F.normalize(torch.randn(1, DIMS), dim=1)
    torch.testing.assert_close(head.assign(means), torch.full((1, 9), 1 / 9))


def test_concepts_share_fewer_regions_equally():
    head = DenseSwAVHead(DIMS, 16, epsilon=0.5, sinkhorn_iters=200)
    q = head.assign(F.normalize(torch.randn(3, DIMS), dim=1))
    torch.testing.assert_close(q.sum(0), torch.full((16,), 3 / 16), rtol=1e-4, atol=0)
    torch.testing.assert_close(q.sum(1), torch.ones(3))


def test_an_image_without_regions_changes_nothing():
    features, regions = make_batch([3, 0, 2], 2)
    losses = []
    for images in ([0, 1, 2], [0, 2]):
        torch.manual_seed(0)
        head = DenseSwAVHead(DIMS, 4)
        views = torch.tensor([image * 2 + view for image in images for view in range(2)])
        counts = [[3, 0, 2][image] for image in images]
        losses.append(head.loss(EmbeddingMap(features[views], SIZE), regions[views], counts, 2)['loss'])
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize('dtype', PRECISIONS)
def test_zero_features_give_the_loss_of_a_uniform_guess_and_no_gradient(dtype):
    head = DenseSwAVHead(DIMS, 6, queue_length=8)
    _, regions = make_batch([2, 3], 2)
    features = torch.zeros(4, DIMS, 3, 4, dtype=dtype, requires_grad=True)
    loss = head.loss(EmbeddingMap(features, SIZE), regions, [2, 3], 2)['loss']
    assert loss.item() == pytest.approx(math.log(6))
    assert torch.equal(torch.autograd.grad(loss, features)[0], torch.zeros_like(features))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_changes_loss_and_gradients_by_rounding_only(dtype):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, DIMS, 1))
    images, (_, regions) = torch.randn(6, 3, *SIZE), make_batch([4, 0, 2], 2)
    losses, gradients = [], []
    for enabled in (False, True):
        head = DenseSwAVHead(DIMS, 6)
        nn.init.orthogonal_(head.concepts, generator=torch.Generator().manual_seed(1))
        with torch.autocast('cpu', dtype=dtype, enabled=enabled):
            features = network(images)
            loss = head.loss(EmbeddingMap(features, SIZE), regions, [4, 0, 2], 2)['loss']
        assert features.dtype == (dtype if enabled else torch.float32) and loss.dtype == torch.float32
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))]))
        losses.append(loss)
    torch.testing.assert_close(*losses, rtol=0.02, atol=0)
    assert F.cosine_similarity(*gradients, dim=0) > 0.98


def test_scores_are_those_of_the_assignment_also_with_one_concept_far_from_all():
    """No column sum may vanish: with epsilon 0.05 the scores of a far concept are e^-40 of the others'."""
    means = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 0.0]]), dim=1)
    q = sinkhorn_knopp(means @ torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).T)
    torch.testing.assert_close(q.sum(1), torch.ones(3))
    assert q[:, 1].sum() > 0.5


def label(classes, batch=2):
    labels = torch.randint(classes, (batch, 1, *SIZE), generator=torch.Generator().manual_seed(2))
    return [SegDataSample(gt_sem_seg=PixelData(data=value)) for value in labels]


@pytest.mark.parametrize('dtype', PRECISIONS)
@pytest.mark.parametrize('scale', [0.0, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize('num_filters', [None, 7])
def test_linear_probe_of_features_of_any_magnitude(dtype, scale, num_filters):
    features, _ = make_batch([0, 0], 1, scale=min(scale, 1e4) if dtype == torch.float16 else scale, dtype=dtype)
    head = LinearProbeHead(DIMS, num_classes=3, num_filters=num_filters)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = head.loss(EmbeddingMap(features.detach(), SIZE), label(3), None)
    losses['loss_ce'].backward()
    assert losses['loss_ce'].isfinite() and all(p.grad.isfinite().all() for p in head.parameters())
    assert all(buffer.isfinite().all() for buffer in head.buffers())


@pytest.mark.parametrize('spread', [0.0, 0.02, 1.0])
@pytest.mark.parametrize('scale', [1e-30, 1.0, 1e30])
def test_variance_of_filters_is_that_of_their_outputs_also_when_embeddings_hardly_differ(spread, scale):
    head = LinearProbeHead(DIMS, num_classes=3, num_filters=7, norm_momentum=1.0)
    features = (torch.ones(2, DIMS, 3, 4) + spread * torch.randn(2, DIMS, 3, 4)) * scale
    head(EmbeddingMap(features, SIZE)).sum().backward()
    outputs = F.conv2d(EmbeddingMap(features.double(), SIZE).dense(), head.filters.weight.double())
    outputs = outputs.transpose(0, 1).flatten(1)
    torch.testing.assert_close(head.norm.running_mean.double(), outputs.mean(1), rtol=1e-4, atol=1e-6)
    # batch norm adds 1e-5 to a variance, which a fifth of that may be wrong by
    torch.testing.assert_close(head.norm.running_var.double(), outputs.var(1), rtol=1e-3, atol=2e-6)
    assert (head.norm.running_var >= 0).all()
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_linear_probe_of_a_single_pixel():
    head = LinearProbeHead(DIMS, num_classes=3, num_filters=7).double()  # a variance of 0 enlarges rounding
    scores = head(EmbeddingMap(torch.randn(1, DIMS, 1, 1).double(), (1, 1)))
    torch.testing.assert_close(scores.flatten(), head.conv_seg.bias + head.conv_seg.weight.flatten(1) @ head.norm.bias)
    assert all(buffer.isfinite().all() for buffer in head.buffers())


def test_clusters_of_identical_embeddings_are_finite_and_predict():
    head = ClusterProbeHead(DIMS, num_classes=3, num_clusters=4)
    vector = F.normalize(torch.ones(DIMS), dim=0)
    assert head.fit_centroids(vector.expand(50, -1).numpy().copy()) == pytest.approx(0, abs=1e-5)
    e = EmbeddingMap(vector[None, :, None, None].expand(1, -1, 3, 4), SIZE)
    head.match_classes(head.count(head.assign(e), torch.ones(1, *SIZE, dtype=torch.int64)))
    assert head.centroids.isfinite().all()
    assert head(e).isfinite().all() and (head(e).argmax(1) == 1).all()


@pytest.mark.parametrize('dtype', PRECISIONS)
@pytest.mark.parametrize('scale', [0.0, 2.0**-90, 2.0**90])
def test_cluster_probe_of_features_of_any_magnitude(dtype, scale):
    features, _ = make_batch([0, 0], 1, dtype=dtype)
    head = ClusterProbeHead(DIMS, num_classes=3, num_clusters=3)
    head.centroids.copy_(torch.eye(DIMS)[:3] * torch.tensor([0.5, 0.7, 0.9])[:, None])
    head.cluster_classes.copy_(torch.arange(3))
    scaled = features.detach() * (min(max(scale, 2.0**-2), 2.0**8) if dtype == torch.float16 and scale else scale)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        scores, plain = (head(EmbeddingMap(f, SIZE)) for f in (scaled, features.detach()))
    if scale:
        assert torch.equal(scores, plain)
    else:  # no direction: the distance to a centroid is its length
        torch.testing.assert_close(scores[0, :, 0, 0], torch.tensor([0.5, 0.7, 0.9]).square() / -2)
