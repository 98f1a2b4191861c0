"""Marginals and extreme scores."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import sinkhorn_knopp


def test_marginals():
    torch.manual_seed(0)
    q = sinkhorn_knopp(torch.randn(60, 7, dtype=torch.float64).clamp(-1, 1), epsilon=0.5, iterations=200)
    torch.testing.assert_close(q.sum(1), torch.ones(60, dtype=torch.float64))
    torch.testing.assert_close(q.sum(0) / 60, torch.full((7,), 1 / 7, dtype=torch.float64), rtol=1e-6, atol=0)


def test_equals_the_textbook_iteration():
    torch.manual_seed(0)
    scores = torch.randn(20, 5, dtype=torch.float64).clamp(-1, 1)
    q = torch.exp(scores / 0.05)
    for _ in range(3):
        q = q / q.sum(0, keepdim=True) / 5
        q = q / q.sum(1, keepdim=True) / 20
    torch.testing.assert_close(sinkhorn_knopp(scores), q * 20)


@pytest.mark.parametrize('scale', [0.0, 1e-8, 1e4, 1e30])
def test_scores_of_any_magnitude(scale):
    torch.manual_seed(0)
    q = sinkhorn_knopp(torch.randn(30, 6) * scale)
    assert q.isfinite().all()
    torch.testing.assert_close(q.sum(1), torch.ones(30))
    if scale == 0:
        torch.testing.assert_close(q, torch.full((30, 6), 1 / 6))


@pytest.mark.parametrize('rows', [0, 1])
def test_few_rows(rows):
    q = sinkhorn_knopp(torch.randn(rows, 4))
    assert q.shape == (rows, 4) and q.isfinite().all()


def test_half_precision_is_done_in_fp32():
    scores = torch.randn(10, 4).half()
    torch.testing.assert_close(sinkhorn_knopp(scores), sinkhorn_knopp(scores.float()))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r'scores must be \(n, K\)'):
        sinkhorn_knopp(torch.zeros(3))
    with pytest.raises(ValueError, match='epsilon must be positive, got 0'):
        sinkhorn_knopp(torch.zeros(3, 2), epsilon=0)
    with pytest.raises(ValueError, match='iterations'):
        sinkhorn_knopp(torch.zeros(3, 2), iterations=-1)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 20), st.integers(1, 8)),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    epsilon=st.floats(0.02, 2),
    iterations=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_any_shape_and_type(shape, dtype, epsilon, iterations, seed):
    """Rows are distributions, in fp32 or fp64, whatever the order of rows and columns and whatever is added to all."""
    generator = torch.Generator().manual_seed(seed)
    scores = (2 * torch.rand(shape, generator=generator) - 1).to(dtype).requires_grad_()
    before = scores.detach().clone()
    q = sinkhorn_knopp(scores, epsilon, iterations)
    assert q.shape == shape and q.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert not q.requires_grad and torch.equal(scores, before)
    assert (q >= 0).all()
    torch.testing.assert_close(q.sum(1), torch.ones(shape[0], dtype=q.dtype))
    rows, columns = (torch.randperm(number, generator=generator) for number in shape)
    permuted = sinkhorn_knopp(before[rows][:, columns], epsilon, iterations)
    torch.testing.assert_close(permuted, q[rows][:, columns], rtol=1e-3, atol=1e-5)
    shifted = sinkhorn_knopp(before.double() + 3, epsilon, iterations)
    torch.testing.assert_close(shifted, q.double(), rtol=1e-3, atol=1e-5)
    if shape[1] == 1:
        assert (q == 1).all()
    if iterations == 0:
        torch.testing.assert_close(q, (before.to(q.dtype) / epsilon).softmax(1))
