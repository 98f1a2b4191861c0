"""What every registered head of a method must do, whatever its objective: mmvice/models/heads/base.py says it."""

import copy
import inspect
from inspect import isabstract

import pytest
import torch
from test_dense_swav_head import NUM_REGIONS, NUM_VIEWS, make_batch

from mmvice.models import BaseMethodHead, heads
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

CLASSES = [getattr(heads, name) for name in heads.__all__]
NAMES = [c.__name__ for c in CLASSES if isinstance(c, type) and issubclass(c, BaseMethodHead) and not isabstract(c)]


@pytest.fixture(params=NAMES)
def head(request):
    torch.manual_seed(0)
    return MODELS.build(dict(type=request.param, embed_dims=6))


def total(head, *batch):
    """What MMEngine minimises."""
    return sum(value for name, value in head.loss(*batch).items() if 'loss' in name)


def batch_of(seed):
    return *make_batch(seed), NUM_REGIONS, NUM_VIEWS


def step(head, seed):
    loss = total(head, *batch_of(seed))
    head.after_step()
    return loss.detach()


def test_the_loss_trains_embeddings(head):
    e, *rest = batch_of(0)
    loss = total(head, e, *rest)
    loss.backward()
    assert loss.isfinite() and e.features.grad.isfinite().all() and e.features.grad.abs().sum() > 0
    head.after_step()


def test_the_order_of_images_does_not_matter(head):
    e, regions, *_ = batch_of(0)
    maps = (2 * NUM_VIEWS + torch.arange(len(NUM_REGIONS) * NUM_VIEWS)) % len(regions)  # the last image first
    turned = EmbeddingMap(e.features[maps], e.size), regions[maps], NUM_REGIONS[-1:] + NUM_REGIONS[:-1], NUM_VIEWS
    other = copy.deepcopy(head)
    torch.testing.assert_close(total(head, *batch_of(0)), total(other, *turned), rtol=1e-6, atol=1e-9)


def test_a_batch_without_regions_changes_no_weight(head):
    e, regions = make_batch(num_regions=[0, 0])
    loss = total(head, e, regions, [0, 0], NUM_VIEWS)
    loss.backward()
    assert loss.isfinite() and not e.features.grad.any()
    assert all(p.grad is None or not p.grad.any() for p in head.parameters())


def test_evaluation_leaves_the_state_alone(head):
    before = {name: value.clone() for name, value in head.eval().state_dict().items()}
    head.loss(*batch_of(0))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_a_resumed_head_goes_on_bit_for_bit(head):
    for seed in range(3):
        step(head, seed)
    torch.manual_seed(1)
    resumed = MODELS.build(dict(type=type(head).__name__, embed_dims=6))
    resumed.load_state_dict(copy.deepcopy(head.state_dict()))
    for seed in range(3, 6):
        assert torch.equal(step(head, seed), step(resumed, seed))
    after = resumed.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in head.state_dict().items())


def test_concepts_are_unit_rows_or_none(head):
    step(head, 0)
    concepts = head.unit_concepts()
    assert concepts is None or concepts.shape[1] == 6
    assert concepts is None or torch.allclose(concepts.norm(dim=1), torch.ones(len(concepts)))


def test_what_a_head_tells_of_itself_exists(head):
    names = {name for name, _ in (*head.named_buffers(), *head.named_modules(), *head.named_parameters())}
    assert names >= {*head.process_state, *head.training_state}
    arguments = inspect.signature(type(head)).parameters
    assert arguments.keys() >= {*head.settings_in_steps, *head.settings_per_process}
