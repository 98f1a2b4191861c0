"""Batch norm over the batches of two processes against batch norm over their union."""

import pytest
import torch
from processes import process_group, run_processes
from torch import nn

from mmvice.models.utils import CPUSyncBatchNorm

COUNTS = [(3, 1), (4, 0), (2, 2)]
OPTIONS = dict(
    default={}, cumulative=dict(momentum=None), plain=dict(affine=False), untracked=dict(track_running_stats=False)
)


def batch(dtype=torch.float64, size=(2, 3)):
    generator = torch.Generator().manual_seed(0)
    x = 5 + 2 * torch.randn(4, 6, *size, generator=generator, dtype=torch.float64)
    upstream = torch.randn(4, 6, *size, generator=generator, dtype=torch.float64)
    return x.to(dtype), upstream.to(dtype)


def run(norm, own, x, upstream):
    """Two steps in training, one in evaluation; everything that comes out, named."""
    torch.manual_seed(1)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    results = {}
    for step in range(2):
        values = (x * (step + 1))[own].requires_grad_()
        out = norm(values)
        gradients = torch.autograd.grad((out * upstream[own]).sum(), [values, *norm.parameters()])
        results |= {f'{step}.out': out.detach(), f'{step}.grad of the input': gradients[0]}
        results |= {f'{step}.grad of parameter {i}': gradient for i, gradient in enumerate(gradients[1:])}
    results |= {f'state {name}': value for name, value in norm.state_dict().items()}
    if norm.track_running_stats:  # else evaluation takes the statistics of its own batch, as in torch
        results['eval'] = norm.eval()(x[own])
    return results


def in_two_processes():
    results = {}
    with process_group() as rank:
        for counts in COUNTS:
            own = slice(0, counts[0]) if rank == 0 else slice(counts[0], 4)
            for name, options in OPTIONS.items():
                results[counts, name] = run(CPUSyncBatchNorm(6, **options).double(), own, *batch())
        own = slice(0, 3) if rank == 0 else slice(3, 4)
        results['bfloat16'] = run(CPUSyncBatchNorm(6), own, *batch(torch.bfloat16))
        results['vectors'] = run(CPUSyncBatchNorm(6).double(), own, *(value[..., 0, 0] for value in batch()))
        with pytest.raises(ValueError, match='more than one value per channel, got 1 in all processes'):
            CPUSyncBatchNorm(6)(torch.zeros(1 - rank, 6, 1, 1))
    return results


def join(parts, name):
    if name.startswith('state'):
        torch.testing.assert_close(*[part[name] for part in parts], rtol=0, atol=0)
        return parts[0][name]
    if 'parameter' in name:  # DistributedDataParallel joins these
        return sum(part[name] for part in parts)
    return torch.cat([part[name] for part in parts])


def test_two_processes_equal_one():
    parts = run_processes(in_two_processes, 2)
    expected = {
        **{
            (counts, name): run(nn.BatchNorm2d(6, **OPTIONS[name]).double(), slice(4), *batch())
            for counts in COUNTS
            for name in OPTIONS
        },
        'vectors': run(nn.BatchNorm1d(6).double(), slice(4), *(value[..., 0, 0] for value in batch())),
        'bfloat16': run(nn.BatchNorm2d(6), slice(4), *batch(torch.bfloat16)),
    }
    assert parts[0].keys() == expected.keys()
    for case, one in expected.items():
        tolerance = dict(rtol=2e-2, atol=2e-2) if case == 'bfloat16' else dict(rtol=1e-11, atol=1e-12)
        assert parts[0][case].keys() == parts[1][case].keys() == one.keys()
        for name, value in one.items():
            joint = join([part[case] for part in parts], name)
            torch.testing.assert_close(joint, value, **tolerance, msg=lambda text: f'{case}, {name}: {text}')  # noqa: B023


def test_its_state_is_that_of_the_norm_it_stands_for():
    state = {name: value.shape for name, value in nn.SyncBatchNorm(6).state_dict().items()}
    assert {name: value.shape for name, value in CPUSyncBatchNorm(6).state_dict().items()} == state


def test_one_process_has_plain_batch_norm():
    results = [run(norm.double(), slice(4), *batch()) for norm in (CPUSyncBatchNorm(6), nn.BatchNorm2d(6))]
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())
    with pytest.raises(ValueError, match=r'at least 2 dimensions \(N, C, ...\), got shape \(6,\)'):
        CPUSyncBatchNorm(6)(torch.zeros(6))
