"""The monitor judges by what a head gives it: embeddings alone where a method has no concepts."""

import pytest
import torch
import torch.nn.functional as F

from mmvice.models.utils import CollapseMonitor, region_statistics


def watched(alike, give=()):
    """What a monitor warns of in 20 iterations, and its last diagnostics; ``alike`` embeddings point one way."""
    torch.manual_seed(0)
    monitor = CollapseMonitor(4 if 'p' in give else None, interval=1, patience=2)
    for step in range(1, 21):
        z = F.normalize(torch.ones(30, 8) + (0.01 if alike else 100) * torch.randn(30, 8), dim=1)
        guesses = dict(p=(20 * z[:, :4]).softmax(1), q=torch.full((30, 4), 0.25))
        sums = region_statistics(z, 3, **{name: guesses[name] for name in give})
        diagnostics = monitor(torch.tensor(0.5), sums, step)
    return monitor.warned, diagnostics


@pytest.mark.parametrize('give', [(), ('q',), ('p',), ('p', 'q')])
def test_embeddings_that_collapse_are_told_whatever_else_a_head_gives(give):
    assert watched(True, give)[0] == {'collapse'} and watched(False, give)[0] == set()
    named = {'regions_per_image', 'embedding_spread'}
    named |= {'concepts_used', 'concept_perplexity'} if 'p' in give else set()
    named |= {'assignment_entropy'} if 'q' in give else set()
    assert watched(True, give)[1].keys() == named


def test_without_concepts_no_loss_counts_as_stuck(monkeypatch):
    """Any loss may be right for a method that guesses no concepts; the warning speaks of embeddings."""
    monitor, said = CollapseMonitor(interval=1, patience=0), {}
    monkeypatch.setattr(monitor, '_warn', said.setdefault)
    for step in range(1, 4):
        monitor(torch.tensor(1e6), region_statistics(torch.eye(5)[:1].repeat(4, 1), 2), step)
    assert said.keys() == {'collapse'} and said['collapse'].startswith('The embeddings have collapsed')


def test_iterations_without_regions_are_not_judged():
    monitor = CollapseMonitor(interval=1, patience=0)
    for step in range(1, 4):
        out = monitor(torch.tensor(0.0), region_statistics(torch.zeros(0, 5), 2), step)
    assert not monitor.warned and all(value.isfinite() for value in out.values())
