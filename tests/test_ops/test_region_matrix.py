"""The sparse matrix of region sums against its definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import linear_matrix
from mmvice.ops.region_matrix import region_matrix

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 23), st.integers(1, 23))


def make_case(size, maps=2, each=4, seed=0):
    torch.manual_seed(seed)
    ids = torch.randint(-1, each, (maps, *size[2:]))
    ids += torch.where(ids < 0, 0, each * torch.arange(maps)[:, None, None])
    weights = torch.rand(maps, *size[2:], dtype=torch.float64, requires_grad=True)
    return weights, ids, size[:2], maps * each


def by_definition(weights, ids, in_size, num_ids):
    """Dense (R, B * h * w): for every region the weighted interpolation weights of its pixels, added up."""
    linear = [linear_matrix(n, m, 'cpu', torch.float64) for n, m in zip(in_size, ids.shape[1:])]
    masks = torch.stack([ids == i for i in range(num_ids)]) * weights
    return torch.einsum('rbyx,yk,xl->rbkl', masks, *linear).flatten(1)


def as_dense(entries, shape):
    values, columns, starts = entries
    rows = torch.searchsorted(starts, torch.arange(len(values), dtype=torch.int32), right=True) - 1
    return torch.zeros(shape, dtype=values.dtype).index_put((rows, columns.long()), values, accumulate=True)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, seed=st.integers(0, 1000))
def test_it_is_the_matrix_and_its_gradient(size, seed):
    case = make_case(size, seed=seed)
    expected = by_definition(*case)
    entries = region_matrix(*case)
    found = as_dense(entries, expected.shape)
    torch.testing.assert_close(found, expected)
    assert len(entries[0]) == (expected != 0).sum()  # no entry twice, and none that is zero
    upstream = torch.randn_like(expected)
    grads = [torch.autograd.grad((matrix * upstream).sum(), case[0])[0] for matrix in (found, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('threads', [2, 3, 8])
def test_threads_give_what_one_gives(threads):
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            case = make_case((5, 6, 19, 23), maps=5)
            entries = region_matrix(*case)
            (grad,) = torch.autograd.grad((entries[0] * torch.arange(len(entries[0]))).sum(), case[0])
            results.append((*entries, grad))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))
