"""Unit vectors of vectors of any length."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import reciprocal_power_of_two, unit_vectors

FINITE = st.floats(0, 2.0**127, width=32, allow_subnormal=True)


@given(FINITE)
def test_the_factor_is_a_power_of_two_and_brings_the_value_to_one(value):
    factor = reciprocal_power_of_two(torch.tensor(value))
    assert torch.frexp(factor).mantissa == 0.5
    if value == 0:
        assert factor == 1
    elif 2.0**-126 <= value < 2.0**126:
        assert 0.5 <= value * float(factor) < 1
    assert (torch.tensor(value) * factor).isfinite()


@settings(deadline=None)
@given(seed=st.integers(0, 1000), power=st.integers(-100, 100), dims=st.integers(1, 9))
def test_length_is_one_and_powers_of_two_change_no_bit(seed, power, dims):
    vectors = torch.randn(5, dims, generator=torch.Generator().manual_seed(seed))
    unit = unit_vectors(vectors)
    torch.testing.assert_close(unit, F.normalize(vectors, dim=1))
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(5))
    assert torch.equal(unit_vectors(vectors * 2.0**power), unit)


@pytest.mark.parametrize('length', [1e-37, 1e-30, 1.0, 1e30, 1e37])
def test_any_length(length):
    torch.testing.assert_close(unit_vectors(torch.tensor([0.6, -0.8]) * length), torch.tensor([0.6, -0.8]))


def test_gradient_is_that_of_the_definition():
    vectors = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_vectors, vectors)
    upstream = torch.randn(4, 5, dtype=torch.float64)
    own, expected = (
        torch.autograd.grad((f(vectors) * upstream).sum(), vectors)[0] for f in (unit_vectors, F.normalize)
    )
    torch.testing.assert_close(own, expected)


def test_a_zero_vector_has_no_direction_and_no_gradient():
    vectors = torch.zeros(2, 3, requires_grad=True)
    unit = unit_vectors(vectors)
    unit.sum().backward()
    assert torch.equal(unit, torch.zeros(2, 3)) and torch.equal(vectors.grad, torch.zeros(2, 3))


@pytest.mark.parametrize('shape', [(0, 3), (3, 0)])
def test_nothing_gives_nothing(shape):
    assert unit_vectors(torch.zeros(shape)).shape == shape


def test_what_is_not_finite_stays_visible():
    assert unit_vectors(torch.tensor([torch.nan, 1.0])).isnan().all()
    assert not unit_vectors(torch.tensor([torch.inf, 1.0])).isfinite().all()
