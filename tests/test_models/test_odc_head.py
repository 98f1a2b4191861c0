"""Online deep clustering against a literal loop, centroids that follow, small clusters, the contract of a head."""

import pytest
import torch
import torch.nn.functional as F
from test_dense_swav_head import NUM_REGIONS, NUM_VIEWS, make_batch

from mmvice.models import ODCHead
from mmvice.structures import EmbeddingMap

PRIMARY = [(n, i) for n, count in enumerate(NUM_REGIONS) for i in range(count)]


def region_vectors(e, regions, view):
    """Unit mean embedding of every region of all images in one view."""
    dense = e.dense()
    vectors = [dense[n * NUM_VIEWS + view][:, regions[n * NUM_VIEWS + view] == i].mean(1) for n, i in PRIMARY]
    return F.normalize(torch.stack(vectors), dim=1)


def test_loss_gradient_and_centroids_equal_the_literal_algorithm():
    e, regions = make_batch()
    head = ODCHead(6, 5, momentum=0.7, min_size=0).double()
    head.sizes.copy_(torch.tensor([0.4, 0.3, 0.1, 0.15, 0.05]))
    before, sizes, kept = head.unit_concepts(), head.sizes.clone(), head.concepts.clone()
    loss = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)['loss']

    primary = region_vectors(e, regions, 0).detach()
    targets = (primary @ before.T).argmax(1)
    weights = torch.tensor([1 / NUM_REGIONS[n] for n, _ in PRIMARY]) / sizes[targets].sqrt()
    terms = [
        F.cross_entropy(region_vectors(e, regions, m) @ before.T / 0.1, targets, reduction='none')
        for m in range(1, NUM_VIEWS)
    ]
    expected = (weights * torch.stack(terms).mean(0)).sum() / weights.sum()
    torch.testing.assert_close(loss, expected, rtol=1e-7, atol=0)
    grads = [torch.autograd.grad(value, e.features, retain_graph=True)[0] for value in (loss, expected)]
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-9)

    assert torch.equal(head.concepts, kept)  # backward may still need them
    head.after_step()
    for k in range(5):
        own = primary[targets == k]
        moved = F.normalize(0.7 * before[k] + 0.3 * own.mean(0), dim=0) if len(own) else before[k]
        torch.testing.assert_close(head.concepts[k], moved)
        torch.testing.assert_close(head.sizes[k], 0.7 * sizes[k] + 0.3 * len(own) / len(PRIMARY))


def test_a_small_cluster_gets_half_of_the_largest():
    head = ODCHead(6, 5, min_size=0.5)
    head.sizes.copy_(torch.tensor([0.3, 0.5, 0.01, 0.1, 0.09]))
    before = head.concepts.clone()
    head.loss(*make_batch(num_regions=[0, 0]), [0, 0], NUM_VIEWS)  # no region: nothing else moves
    head.after_step()
    torch.testing.assert_close(head.sizes, torch.tensor([0.3, 0.25, 0.25, 0.1, 0.09]))
    assert all((head.concepts[k] @ before[1] > 0.95) and not torch.equal(head.concepts[k], before[1]) for k in (1, 2))
    torch.testing.assert_close(head.concepts[[0, 3, 4]], before[[0, 3, 4]])
    torch.testing.assert_close(head.concepts.norm(dim=1), torch.ones(5))


def test_a_split_parts_the_regions_of_a_cluster_evenly():
    """However much alike they are: neither half gets all of them."""
    torch.manual_seed(0)
    head = ODCHead(64, 2, min_size=0.5)
    alike = F.normalize(torch.randn(64), dim=0)
    head.concepts.copy_(torch.stack([alike, -alike]))
    head.sizes.copy_(torch.tensor([0.99, 0.01]))
    head._revive()
    z = F.normalize(alike + 0.01 * torch.randn(1000, 64), dim=1)
    assert 0.3 < (z @ head.concepts.T).argmax(1).float().mean() < 0.7


def test_clusters_find_the_directions_that_there_are():
    """Eight directions and eight centroids that begin in one corner: splitting gives each direction its own."""
    torch.manual_seed(0)
    head = ODCHead(16, 8, min_size=0.5, momentum=0.5)
    directions = torch.eye(16)[:8]
    head.concepts.copy_(F.normalize(torch.eye(16)[8:9] + 0.01 * torch.randn(8, 16), dim=1))
    regions = torch.arange(64).reshape(1, 8, 8).repeat(2, 1, 1)
    for _ in range(200):
        own = directions[torch.arange(64) % 8] + 0.05 * torch.randn(2, 64, 16)
        out = head.loss(EmbeddingMap(own.transpose(1, 2).reshape(2, 16, 8, 8), (8, 8)), regions, [64], 2)
        head.after_step()
    assert sorted((directions @ head.concepts.T).argmax(1).tolist()) == list(range(8))
    assert out['loss'] < 0.1


def test_a_collapse_is_told_with_settings_that_the_head_has(monkeypatch):
    head, said = ODCHead(6, 32, monitor_interval=1, monitor_patience=2), {}
    monkeypatch.setattr(head.monitor, '_warn', said.setdefault)
    e, regions = make_batch()
    for _ in range(5):
        head.loss(EmbeddingMap(torch.ones_like(e.features), e.size), regions, NUM_REGIONS, NUM_VIEWS)
    named = [name for name in ('min_size', 'freeze_concepts_iters', 'queue') if name in said['collapse']]
    assert named == ['min_size']


@pytest.mark.parametrize('lengths', [[0.9, 0.5, 0.1, 0.99, 0.7], [1e-3, 30, 1e30, 1e-20, 1]])
def test_centroids_of_a_checkpoint_may_have_any_length(lengths):
    head, other = (ODCHead(6, 5) for _ in range(2))
    state = head.state_dict()
    other.load_state_dict(state | dict(concepts=state['concepts'] * torch.tensor(lengths)[:, None]))
    losses = [each.loss(*make_batch(), NUM_REGIONS, NUM_VIEWS)['loss'] for each in (head, other)]
    torch.testing.assert_close(*losses)
    for each in (head, other):
        each.after_step()
    torch.testing.assert_close(other.concepts, head.concepts)


def test_regions_of_batches_that_accumulate_move_the_centroids_together():
    """Also where a checkpoint comes between the batches, and one of an older mmvice goes on."""
    whole, stopped = (ODCHead(6, 5) for _ in range(2))
    stopped.load_state_dict(whole.state_dict())
    for seed in range(3):
        for head in (whole, stopped):
            head.loss(*make_batch(seed), NUM_REGIONS, NUM_VIEWS)
        resumed = ODCHead(6, 5)
        resumed.load_state_dict(stopped.state_dict())
        stopped = resumed
    for head in (whole, stopped):
        head.after_step()
    assert all(torch.equal(value, stopped.state_dict()[name]) for name, value in whole.state_dict().items())
    assert whole.sizes.std() > 0
    older = {name: value for name, value in whole.state_dict().items() if name != 'seen'}
    stopped.load_state_dict(older)
    assert torch.equal(stopped.seen, torch.zeros(5, 7))


@pytest.mark.parametrize('wrong', [dict(num_concepts=1), dict(temperature=0), dict(momentum=1), dict(reduction='mean')])
def test_bad_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ODCHead(**wrong)
