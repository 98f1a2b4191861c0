"""The loss against a literal loop over Alg. 2 and 3, the queue, frozen concepts and the state dict."""

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import get_state_dict, load_state_dict

from mmvice.models import DenseSwAVHead
from mmvice.models.heads.regions import REDUCTIONS
from mmvice.ops import sinkhorn_knopp
from mmvice.structures import EmbeddingMap

NUM_REGIONS, NUM_VIEWS = [4, 0, 2], 3


def make_batch(seed=0, dims=6, num_regions=NUM_REGIONS, num_views=NUM_VIEWS, size=(12, 16)):
    torch.manual_seed(seed)
    batch = len(num_regions) * num_views
    features = torch.randn(batch, dims, 3, 4, dtype=torch.float64, requires_grad=True)
    regions = torch.full((batch, *size), -1)
    for n, count in enumerate(num_regions):
        for m in range(num_views):
            if count:
                regions[n * num_views + m] = torch.randint(-1, count, size)
                regions[n * num_views + m].flatten()[:count] = torch.arange(count)
    return EmbeddingMap(features, size), regions


# Weight of a region in the loss: from the number of its image, and its pixels in the primary view.
LITERAL_WEIGHTS = {
    'image': lambda image, area: 1 / NUM_REGIONS[image],
    'region': lambda image, area: 1,
    'area': lambda image, area: area,
}


def literal_loss(e, regions, head, reduction, normalize_pixels=True):
    """Alg. 2 and 3, line by line."""
    dense = e.dense()
    if not normalize_pixels:
        dense = F.interpolate(e.features, e.size, mode='bilinear', align_corners=False)
    concepts = F.normalize(head.concepts.detach().double(), dim=1)
    tree = {}
    for n, count in enumerate(NUM_REGIONS):
        for m in range(NUM_VIEWS):
            b = n * NUM_VIEWS + m
            for i in range(count):
                tree[n, m, i] = F.normalize(dense[b][:, regions[b] == i].mean(1), dim=0) @ concepts.T
    primary = [(n, i) for n, count in enumerate(NUM_REGIONS) for i in range(count)]
    assignments = sinkhorn_knopp(torch.stack([tree[n, 0, i] for n, i in primary]), head.epsilon, head.sinkhorn_iters)
    q = dict(zip(primary, assignments))
    areas = {(n, i): (regions[n * NUM_VIEWS] == i).sum().double() for n, i in primary}
    weights = {(n, i): LITERAL_WEIGHTS[reduction](n, areas[n, i]) for n, i in primary}
    terms = [
        -weights[n, i] * (q[n, i] * F.log_softmax(tree[n, m, i] / head.temperature, 0)).sum()
        for n, i in primary
        for m in range(1, NUM_VIEWS)
    ]
    return torch.stack(terms).sum() / sum(weights.values()) / (NUM_VIEWS - 1)


@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize('normalize_pixels', [True, False])
def test_loss_and_gradient_equal_the_literal_algorithm(reduction, normalize_pixels):
    e, regions = make_batch()
    head = DenseSwAVHead(6, 5, reduction=reduction, normalize_pixels=normalize_pixels).double()
    head.after_step()
    loss = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)['loss']
    expected = literal_loss(e, regions, head, reduction, normalize_pixels)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=0)
    grads = [torch.autograd.grad(value, e.features, retain_graph=True)[0] for value in (loss, expected)]
    torch.testing.assert_close(*grads, rtol=1e-7, atol=1e-10)


def test_the_primary_view_gets_no_gradient():
    e, regions = make_batch()
    head = DenseSwAVHead(6, 5)
    head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)['loss'].backward()
    per_view = e.features.grad.abs().flatten(1).sum(1).reshape(len(NUM_REGIONS), NUM_VIEWS)
    assert (per_view[:, 0] == 0).all() and (per_view[[0, 2], 1:] > 0).all()


def test_queue_is_first_in_first_out_and_wraps_around():
    head = DenseSwAVHead(6, 5, queue_length=10)
    seen = []
    for seed in range(4):
        e, regions = make_batch(seed)
        head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
        means = e.region_means(regions, [n for n in NUM_REGIONS for _ in range(NUM_VIEWS)]).detach()
        seen += [*F.normalize(means[:4], dim=1), *F.normalize(means[12:14], dim=1)]  # view 0 of images 0 and 2
        if seed == 0:
            assert (head.steps, head.queue_count) == (1, 6)
            torch.testing.assert_close(head.queue[:6].double(), torch.stack(seen), rtol=0, atol=1e-6)
            assert (head.queue[6:] == 0).all()
    assert (head.steps, head.queue_count) == (4, 24)
    oldest_first = torch.cat([head.queue[4:], head.queue[:4]]).double()
    torch.testing.assert_close(oldest_first, torch.stack(seen[-10:]), rtol=0, atol=1e-6)


def test_more_regions_than_the_queue_holds_keeps_the_newest():
    head = DenseSwAVHead(6, 5, queue_length=3)
    e, regions = make_batch()
    head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
    means = F.normalize(e.region_means(regions, [n for n in NUM_REGIONS for _ in range(NUM_VIEWS)]), dim=1)
    torch.testing.assert_close(head.queue.double(), torch.cat([means[3:4], means[12:14]]).detach(), rtol=0, atol=1e-6)


def test_assignment_uses_the_filled_part_of_the_queue_from_its_start_on():
    head = DenseSwAVHead(6, 5, queue_length=50, queue_start_iter=2).double()
    past = []
    for seed in range(3):
        e, regions = make_batch(seed)
        means = F.normalize(e.region_means(regions, [n for n in NUM_REGIONS for _ in range(NUM_VIEWS)]), dim=1)
        means = torch.cat([means[:4], means[12:14]]).detach()
        rows = torch.cat([means, *past]) if seed >= 2 else means
        expected = sinkhorn_knopp(rows @ head.concepts.T)[:6]
        torch.testing.assert_close(head.assign(means), expected)
        head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
        past.append(means)


def test_concepts_are_frozen_first_and_stay_on_the_sphere():
    head = DenseSwAVHead(6, 5, freeze_concepts_iters=2)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0, momentum=0.9)
    before = head.concepts.detach().clone()
    for step in range(4):
        optimizer.zero_grad()
        head.loss(*make_batch(step), NUM_REGIONS, NUM_VIEWS)['loss'].backward()
        optimizer.step()
        head.after_step()
        torch.testing.assert_close(head.concepts.norm(dim=1), torch.ones(5))
        moved = (head.concepts - before).abs().max()
        assert moved < 1e-6 if step < 2 else moved > 1e-3


def test_state_dict_carries_everything_a_continued_run_needs():
    head, other = (
        DenseSwAVHead(6, 5, queue_length=8, queue_start_iter=1),
        DenseSwAVHead(6, 5, queue_length=8, queue_start_iter=1),
    )
    for seed in range(2):
        head.loss(*make_batch(seed), NUM_REGIONS, NUM_VIEWS)
    load_state_dict(other, get_state_dict(head), strict=True)  # as MMEngine's checkpoints do
    losses = [h.loss(*make_batch(5), NUM_REGIONS, NUM_VIEWS)['loss'] for h in (head, other)]
    assert torch.equal(*losses)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize('rows', [3, 8, 13])
def test_a_head_of_mmvice_0_1_goes_on_as_it_was(rows):
    """Its steps, the next row of its queue and the rows in use were one tensor, and its monitor was not saved."""
    head, other = (DenseSwAVHead(6, 5, queue_length=8) for _ in range(2))
    z = F.normalize(torch.randn(rows, 6), dim=1)
    for row in z:
        head._remember(row[None])
    state = {name: value for name, value in head.state_dict().items() if not name.startswith('monitor.')}
    del state['steps'], state['queue_count']
    other.load_state_dict(state | dict(progress=torch.tensor([rows, rows % 8, min(rows, 8)])))
    assert other.steps == rows and torch.equal(head.assign(z), other.assign(z))
    for each in (head, other):
        each._remember(z[:2])
    assert torch.equal(head.queue, other.queue)


def test_the_monitor_goes_on_where_it_was():
    """A run of 30 steps that is resumed twice is judged as one of 90."""
    state, warned = None, set()
    for _ in range(3):
        head = DenseSwAVHead(6, 32, monitor_interval=10, monitor_patience=50)
        if state is not None:
            head.load_state_dict(state)
        with torch.no_grad():
            head.concepts.copy_(torch.eye(6)[:1].repeat(32, 1))
        e, regions = make_batch()
        for _ in range(30):
            head.loss(EmbeddingMap(torch.ones_like(e.features), e.size), regions, NUM_REGIONS, NUM_VIEWS)
        state, warned = head.state_dict(), warned | head.monitor.warned
    assert warned == {'collapse', 'stuck'}


def test_counts_stay_on_the_host_in_their_type():
    head = DenseSwAVHead(6, 5, queue_length=4).to('meta').half()
    assert head.queue.device.type == 'meta' and head.queue.dtype == torch.float16
    assert head.steps.device.type == head.queue_count.device.type == 'cpu' and head.steps.dtype == torch.int64


@pytest.mark.parametrize('lengths', [[0.9, 0.5, 0.1, 0.99, 0.7], [1e-3, 30, 1e30, 1e-20, 1], [1.001] * 5])
def test_concepts_of_a_checkpoint_may_have_any_length(lengths):
    head, other = (DenseSwAVHead(6, 5) for _ in range(2))
    state = head.state_dict()
    unit = state['concepts'].clone()
    other.load_state_dict(state | dict(concepts=unit * torch.tensor(lengths)[:, None]))
    torch.testing.assert_close(other.concepts, unit)
    losses = [h.eval().loss(*make_batch(), NUM_REGIONS, NUM_VIEWS)['loss'] for h in (head, other)]
    torch.testing.assert_close(*losses)


def test_unit_concepts_of_a_checkpoint_are_taken_bit_for_bit():
    head = DenseSwAVHead(64, 500)
    state = head.state_dict()
    head.load_state_dict(state)
    head.loss(EmbeddingMap(torch.ones(2, 64, 1, 1), (1, 1)), torch.zeros(2, 1, 1, dtype=torch.int32), [1], 2)
    assert torch.equal(head.concepts, state['concepts'])


def test_averaged_concepts_keep_their_lengths_when_they_are_saved_and_resumed():
    """The averages of MMEngine's EMAHook: with rows of length 1, the next step would average other numbers."""
    head = DenseSwAVHead(6, 5)
    average = ExponentialMovingAverage(head, momentum=0.5)
    for seed in range(3):
        with torch.no_grad():
            head.concepts.copy_(F.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(seed)), dim=1))
        average.update_parameters(head)
    before = average.module.concepts.clone()
    state = average.state_dict()
    resumed = ExponentialMovingAverage(head, momentum=0.5)
    resumed.load_state_dict(state)
    assert before.norm(dim=1).max() < 0.99
    assert torch.equal(average.module.concepts, before) and torch.equal(resumed.module.concepts, before)


def test_a_batch_without_any_region_gives_a_zero_loss_with_a_graph():
    head = DenseSwAVHead(6, 5, queue_length=4)
    e, regions = make_batch(num_regions=[0, 0])
    loss = head.loss(e, regions, [0, 0], NUM_VIEWS)['loss']
    loss.backward()
    assert loss == 0 and e.features.grad.abs().max() == 0


def test_diagnostics_tell_identical_embeddings_from_spread_ones():
    head = DenseSwAVHead(6, 5)
    e, regions = make_batch()
    spread = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
    same = head.loss(EmbeddingMap(torch.ones_like(e.features), e.size), regions, NUM_REGIONS, NUM_VIEWS)
    assert spread['regions_per_image'] == 2
    assert spread['embedding_spread'] > 0.1 and same['embedding_spread'] < 1e-6
    assert spread['assignment_entropy'] < same['assignment_entropy'] - 0.5
    assert same['assignment_entropy'] == pytest.approx(math.log(5), abs=1e-4)
    assert 1 <= spread['concept_perplexity'] <= 5
    assert same['loss'].isfinite()


def test_collapse_and_a_stuck_loss_are_said_once_in_words(caplog):
    head = DenseSwAVHead(6, 32, monitor_interval=10, monitor_patience=200)
    with torch.no_grad():
        head.concepts.copy_(torch.eye(6)[:1].repeat(32, 1))  # all concepts alike: every guess is uniform
    e, regions = make_batch()
    same = EmbeddingMap(torch.ones_like(e.features), e.size)
    with caplog.at_level(logging.WARNING):
        for _ in range(400):
            head.loss(same, regions, NUM_REGIONS, NUM_VIEWS)
    assert head.monitor.warned == {'collapse', 'stuck'}


@pytest.mark.parametrize(
    ('noise', 'points', 'expected'),
    [(0.0, 1, {'collapse', 'stuck'}), (0.01, 1, {'collapse', 'stuck'}), (0.03, 1, {'stuck'}), (0.01, 2, {'collapse'})],
)
def test_states_near_collapse_are_told(noise, points, expected):
    """Alike but for noise, or only two points: the optimal assignment hides both, scores and loss do not."""
    torch.manual_seed(0)
    head = DenseSwAVHead(16, 64, monitor_interval=10, monitor_patience=50)
    centres = torch.nn.functional.normalize(torch.randn(points, 16), dim=1)
    regions = torch.arange(64).reshape(1, 8, 8).repeat(2, 1, 1)
    for _ in range(90):
        features = centres[torch.randint(points, (2, 64))] + noise * torch.randn(2, 64, 16)
        e = EmbeddingMap(features.transpose(1, 2).reshape(2, 16, 8, 8), (8, 8))
        out = head.loss(e, regions, [64], 2)
    assert expected <= head.monitor.warned
    assert out['concepts_used'] <= 0.3


def test_evaluation_leaves_the_state_alone():
    head = DenseSwAVHead(6, 5, queue_length=10)
    head.loss(*make_batch(0), NUM_REGIONS, NUM_VIEWS)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.eval()
    head.loss(*make_batch(1), NUM_REGIONS, NUM_VIEWS)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_losses_of_one_step_may_be_summed():
    head = DenseSwAVHead(6, 5)
    sum(head.loss(*make_batch(seed), NUM_REGIONS, NUM_VIEWS)['loss'] for seed in range(2)).backward()
    assert head.concepts.grad.isfinite().all()


def test_healthy_training_is_not_warned_about():
    head = DenseSwAVHead(6, 5, monitor_interval=10, monitor_patience=50)
    regions = torch.arange(5).repeat_interleave(8).reshape(1, 5, 8).repeat(2, 1, 1)
    for step in range(120):
        torch.manual_seed(step)
        features = head.concepts.detach()[regions].permute(0, 3, 1, 2)  # every region is at a concept, but for noise
        out = head.loss(EmbeddingMap(features + 0.1 * torch.randn(2, 6, 5, 8), (5, 8)), regions, [5], 2)
    assert out['concepts_used'] == 1
    assert not head.monitor.warned


def test_steps_without_regions_say_nothing_about_collapse():
    head = DenseSwAVHead(6, 5, monitor_interval=1, monitor_patience=0)
    e, regions = make_batch(num_regions=[0, 0])
    for _ in range(5):
        out = head.loss(e, regions, [0, 0], NUM_VIEWS)
    assert all(value.isfinite() for value in out.values()) and not head.monitor.warned


def test_bad_arguments_are_named():
    e, regions = make_batch()
    with pytest.raises(ValueError, match='at least 2 views'):
        DenseSwAVHead(6, 5).loss(e, regions, [4] * 9, 1)
    with pytest.raises(ValueError, match='need 6 maps, got 9'):
        DenseSwAVHead(6, 5).loss(e, regions, [4, 4], 3)
    with pytest.raises(ValueError, match='reduction'):
        DenseSwAVHead(reduction='mean')
    with pytest.raises(ValueError, match='temperature'):
        DenseSwAVHead(temperature=0)
    with pytest.raises(ValueError, match='freeze_concepts_iters must be a whole number of at least 0, got -3'):
        DenseSwAVHead(freeze_concepts_iters=-3)
    with pytest.raises(ValueError, match='monitor_interval'):
        DenseSwAVHead(monitor_interval=0)
