"""The schedule of the paper: warm-up, half a cosine, and their ends."""

import math

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmvice.engine import WarmupCosineLR


def rates(steps, lr=0.32, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = WarmupCosineLR(optimizer, end=steps, **kwargs)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


def test_the_authors_rates():
    """0.02 to 0.32 over 2 % of the steps, then down to 0.00032."""
    found = rates(10_000)
    assert found[0] == pytest.approx(0.02)
    assert found[100] == pytest.approx(0.02 + 0.3 / 2)
    assert max(found) == found[200] == pytest.approx(0.32)
    assert found[-1] == pytest.approx(0.00032)
    assert found[200 + 9799 // 2] == pytest.approx(0.16016, rel=1e-3)
    assert all(a < b for a, b in zip(found[:200], found[1:201]))
    assert all(a > b for a, b in zip(found[200:], found[201:]))


def test_equals_mmengines_two_schedulers_up_to_a_step():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.32)
    chain = [
        LinearLR(optimizer, start_factor=0.0625, by_epoch=False, begin=0, end=200),
        CosineAnnealingLR(optimizer, eta_min_ratio=0.001, by_epoch=False, begin=200, end=10_000),
    ]
    for expected in rates(10_000):
        assert math.isclose(optimizer.param_groups[0]['lr'], expected, rel_tol=0.01, abs_tol=1e-5)
        optimizer.step()
        for scheduler in chain:
            scheduler.step()


@pytest.mark.parametrize('steps', [1, 2, 3, 60])
def test_short_runs(steps):
    found = rates(steps)
    assert len(found) == steps and all(0 < rate <= 0.32 for rate in found)


def test_resumed_in_the_middle():
    whole = rates(50, warmup_ratio=0.2)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.32)
    first = WarmupCosineLR(optimizer, end=50, warmup_ratio=0.2)
    for _ in range(20):
        optimizer.step()
        first.step()
    second = WarmupCosineLR(optimizer, end=50, warmup_ratio=0.2)
    second.load_state_dict(first.state_dict())
    for expected in whole[21:]:
        optimizer.step()
        second.step()
        assert optimizer.param_groups[0]['lr'] == expected


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(end=10, warmup_ratio=1.0), 'warmup_ratio'),
        (dict(end=10, start_factor=0.0), 'start_factor'),
        (dict(end=10, end_factor=-1.0), 'end_factor'),
        (dict(), 'needs end'),
    ],
)
def test_bad_arguments(kwargs, message):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match=message):
        WarmupCosineLR(optimizer, **kwargs)
