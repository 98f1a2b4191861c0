"""Candidates for a faster step compute what the step computes, as far as a CPU shows."""

import pytest
import torch
from mmpretrain.engine.optimizers.lars import LARS
from torch.nn import Parameter

from benchmarks.gpu.candidates import ADAMW, LARSWithoutWaiting

SHAPES = [(16, 3, 7, 7), (64,), (32, 16, 3, 3), (), (5,), (128, 128)]
OF_PAPER = dict(lr=0.32, momentum=0.9, weight_decay=1e-6, eta=0.001)


@pytest.mark.parametrize(
    ('used', 'candidate', 'settings', 'of_candidate'),
    [
        (LARS, LARSWithoutWaiting, OF_PAPER, {}),
        (LARS, LARSWithoutWaiting, dict(OF_PAPER, weight_decay=0.1, momentum=0.5), {}),
        (LARS, LARSWithoutWaiting, dict(OF_PAPER, eta=0.02, lr=5.0), {}),
        (torch.optim.AdamW, torch.optim.AdamW, ADAMW, dict(fused=True)),
    ],
)
def test_weights_after_steps_are_those_of_the_optimizer_in_use(used, candidate, settings, of_candidate):
    """Also where weights or gradients are zero or missing, and for learning rates that change."""
    torch.manual_seed(0)
    ours = [Parameter(torch.randn(shape)) for shape in SHAPES]
    ours[4].data.zero_()
    others = [Parameter(each.detach().clone()) for each in ours]
    optimizers = used(ours, **settings), candidate(others, **settings, **of_candidate)
    for step in range(12):
        for place, (a, b) in enumerate(zip(ours, others, strict=True)):
            a.grad = torch.randn_like(a) * (0 if place == step % 6 else 10.0 ** (step - 8))
            a.grad = None if place == 1 and step in (0, 5) else a.grad
            b.grad = None if a.grad is None else a.grad.clone()
        for optimizer in optimizers:
            optimizer.param_groups[0]['lr'] = settings['lr'] / (1 + step)
            optimizer.step()
        for a, b in zip(ours, others, strict=True):
            if candidate is LARSWithoutWaiting:
                assert torch.equal(a, b)
            else:
                torch.testing.assert_close(a, b)
