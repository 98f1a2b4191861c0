"""Bilinear interpolation as small matrices, against PyTorch's upsampling, for any sizes and floating types."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import bilinear_axis, gram_map, gram_map_adjoint, linear_matrix, quadratic_matrix

low, high = st.integers(1, 9), st.integers(1, 40)
floats = st.sampled_from([torch.float32, torch.float64])
maps = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
few = settings(max_examples=60, deadline=None)


def tolerance(dtype):
    return dict(rtol=1e-5, atol=1e-5) if dtype == torch.float32 else dict(rtol=1e-10, atol=1e-12)


def vectors(shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def upsampled(rows, size):
    """(B, H, W, D) of (B, h, w, D)."""
    return F.interpolate(rows.permute(0, 3, 1, 2), size, mode='bilinear', align_corners=False).permute(0, 2, 3, 1)


@few
@given(low, high, floats)
def test_axis_is_that_of_pytorchs_upsampling(in_size, out_size, dtype):
    lower, weight = bilinear_axis(in_size, out_size, 'cpu', dtype)
    assert lower.dtype == torch.int64 and weight.dtype == dtype and lower.shape == weight.shape == (out_size,)
    assert lower.min() >= 0 and lower.max() <= max(in_size - 2, 0) and (lower.diff() >= 0).all()
    assert weight.min() >= 0 and weight.max() <= 1
    values = vectors((in_size,), dtype)
    upper = values[(lower + 1).clamp_max(in_size - 1)]
    expected = F.interpolate(values[None, None], out_size, mode='linear', align_corners=False)[0, 0]
    torch.testing.assert_close((1 - weight) * values[lower] + weight * upper, expected, **tolerance(dtype))


@few
@given(low, high, floats)
def test_matrices_hold_the_weights_and_their_products(in_size, out_size, dtype):
    linear, quadratic = (matrix(in_size, out_size, 'cpu', dtype) for matrix in (linear_matrix, quadratic_matrix))
    assert linear.dtype == quadratic.dtype == dtype
    assert linear.shape == (out_size, in_size) and quadratic.shape == (out_size, 2 * in_size - 1)
    assert (linear >= 0).all() and (quadratic >= 0).all()
    ones = torch.ones(out_size, dtype=dtype)
    torch.testing.assert_close(linear.sum(1), ones)
    torch.testing.assert_close(quadratic.sum(1), ones)  # (a + b)² = a² + 2 a b + b²
    torch.testing.assert_close(quadratic[:, ::2], linear**2)
    torch.testing.assert_close(quadratic[:, 1::2], 2 * linear[:, 1:] * linear[:, :-1])


@few
@given(maps, high, high, floats, st.integers(0, 99))
def test_squared_norms_come_from_the_gram_map(shape, out_height, out_width, dtype, seed):
    rows = vectors(shape, dtype, seed)
    gram = gram_map(rows)
    assert gram.dtype == dtype and gram.shape == (shape[0], 2 * shape[1] - 1, 2 * shape[2] - 1)
    quadratic_y = quadratic_matrix(shape[1], out_height, 'cpu', dtype)
    quadratic_x = quadratic_matrix(shape[2], out_width, 'cpu', dtype)
    expected = upsampled(rows, (out_height, out_width)).square().sum(-1)
    torch.testing.assert_close(quadratic_y @ gram @ quadratic_x.T, expected, **tolerance(dtype))


@few
@given(maps, st.integers(0, 99))
def test_gradient_of_the_gram_map_is_that_of_its_definition(shape, seed):
    rows = vectors(shape, torch.float64, seed).requires_grad_()
    upstream = vectors((shape[0], 2 * shape[1] - 1, 2 * shape[2] - 1), torch.float64, seed + 1)
    (own,) = torch.autograd.grad((gram_map(rows) * upstream).sum(), rows)
    right, below = rows[:, :, 1:], rows[:, 1:]
    gram = torch.zeros_like(upstream)
    gram[:, ::2, ::2] = rows.square().sum(-1)
    gram[:, ::2, 1::2] = (rows[:, :, :-1] * right).sum(-1)
    gram[:, 1::2, ::2] = (rows[:, :-1] * below).sum(-1)
    falling = (rows[:, :-1, :-1] * rows[:, 1:, 1:]).sum(-1)
    gram[:, 1::2, 1::2] = (falling + (rows[:, :-1, 1:] * rows[:, 1:, :-1]).sum(-1)) / 2
    torch.testing.assert_close(gram_map(rows), gram)
    torch.testing.assert_close(own, torch.autograd.grad((gram * upstream).sum(), rows)[0])


@few
@given(maps, high, high, floats, st.integers(0, 99))
def test_adjoint_sums_outer_products_of_upsampled_vectors(shape, out_height, out_width, dtype, seed):
    rows, weights = vectors(shape, dtype, seed), vectors((shape[0], out_height, out_width), dtype, seed + 1)
    quadratic_y = quadratic_matrix(shape[1], out_height, 'cpu', dtype)
    quadratic_x = quadratic_matrix(shape[2], out_width, 'cpu', dtype)
    total = gram_map_adjoint(quadratic_y.T @ weights @ quadratic_x, rows)
    u = upsampled(rows, (out_height, out_width))
    assert total.dtype == dtype
    expected = torch.einsum('bhw,bhwc,bhwd->cd', weights, u, u)
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-3 if dtype == torch.float32 else 1e-9)


@few
@given(maps, floats, st.integers(0, 99))
def test_adjoint_is_the_same_with_gradients_as_without(shape, dtype, seed):
    """Without, the neighbours are summed up before the one product of matrices that is left."""
    rows = vectors(shape, dtype, seed)
    coefficients = vectors((shape[0], 2 * shape[1] - 1, 2 * shape[2] - 1), dtype, seed + 1)
    with_gradients = gram_map_adjoint(coefficients, rows.clone().requires_grad_())
    assert with_gradients.requires_grad
    torch.testing.assert_close(gram_map_adjoint(coefficients, rows), with_gradients.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('sizes', [(0, 3), (3, 0), (-1, 2)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match='sizes must be at least 1, got in_size'):
        bilinear_axis(*sizes, 'cpu', torch.float32)
