"""Features of any magnitude and precision: the same unit embeddings, finite gradients, known values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.structures import EmbeddingMap

SIZE, DIMS = (7, 9), 5
REGIONS = torch.arange(63).reshape(1, *SIZE).div(11, rounding_mode='floor').repeat(2, 1, 1)
WEIGHT = torch.randn(3, DIMS, generator=torch.Generator().manual_seed(9))
PIXELS = torch.tensor([0, 1, 1]), torch.tensor([0, 3, 6]), torch.tensor([8, 4, 0])
OPERATIONS = dict(
    dense=lambda e: e.dense(),
    region_means=lambda e: e.region_means(REGIONS, [6, 6]),
    project=lambda e: e.project(WEIGHT, WEIGHT[:, 0]),
    sample=lambda e: e.sample(*PIXELS),
    moments=lambda e: torch.cat([moment.flatten() for moment in e.moments()]),
)
LENGTHS = dict(norms=lambda e: e.norms(), plain_means=lambda e: e.region_means(REGIONS, [6, 6], normalize_pixels=False))
EVERYTHING = {**OPERATIONS, **LENGTHS}


def make_features(seed=0, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(2, DIMS, 3, 4, generator=generator, dtype=torch.float64) * scale).to(dtype).requires_grad_()


def value_and_gradient(operation, features, seed=0):
    value = operation(EmbeddingMap(features, SIZE))
    upstream = torch.randn(value.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(value)
    return value, torch.autograd.grad((value * upstream).sum(), features)[0]


@pytest.mark.parametrize('name', EVERYTHING)
@settings(max_examples=25, deadline=None)
@given(power=st.integers(-100, 100), seed=st.integers(0, 100))
def test_a_power_of_two_changes_no_bit(name, power, seed):
    features = make_features(seed)
    value, gradient = value_and_gradient(EVERYTHING[name], features)
    scaled = (features.detach() * 2.0**power).requires_grad_()
    own_value, own_gradient = value_and_gradient(EVERYTHING[name], scaled)
    length = 2.0**power if name in LENGTHS else 1.0
    assert torch.equal(own_value, value * length)
    assert torch.equal(own_gradient, gradient / 2.0**power * length)


@pytest.mark.parametrize('name', EVERYTHING)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize('scale', [1e-30, 1e-12, 1e12, 1e30])
def test_any_magnitude_is_finite_and_right(name, dtype, scale):
    features = make_features(dtype=dtype, scale=scale)
    value, gradient = value_and_gradient(EVERYTHING[name], features)
    assert value.isfinite().all() and gradient.isfinite().all() and gradient.abs().max() > 0
    exact = EVERYTHING[name](EmbeddingMap(features.detach().double(), SIZE))
    unit = value.double() / scale if name in LENGTHS else value.double()
    torch.testing.assert_close(unit, exact / scale if name in LENGTHS else exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', OPERATIONS)
def test_images_of_one_batch_may_differ_in_magnitude(name):
    features = make_features().detach()
    mixed = features * torch.tensor([2.0**-90, 2.0**90])[:, None, None, None]
    own, alike = (OPERATIONS[name](EmbeddingMap(f, SIZE)) for f in (mixed, features))
    assert torch.equal(own, alike)


@pytest.mark.parametrize('name', EVERYTHING)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_zero_features_have_no_direction_and_no_gradient_of_it(name, dtype):
    features = torch.zeros(2, DIMS, 3, 4, dtype=dtype, requires_grad=True)
    value, gradient = value_and_gradient(EVERYTHING[name], features)
    expected = WEIGHT[:, 0, None, None].expand(2, -1, *SIZE) if name == 'project' else torch.zeros_like(value)
    assert torch.equal(value, expected) and gradient.isfinite().all()
    assert name == 'plain_means' or torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize('scale', [1e-2, 1.0, 6e3])
@pytest.mark.parametrize('name', EVERYTHING)
def test_half_precision_under_autocast_has_finite_gradients(name, scale):
    features = make_features(dtype=torch.float16, scale=scale)
    with torch.autocast('cpu', dtype=torch.float16):
        value = EVERYTHING[name](EmbeddingMap(features, SIZE))
    gradient = torch.autograd.grad(value.sum(), features)[0]
    assert value.dtype == torch.float32 and gradient.dtype == torch.float16
    assert value.isfinite().all() and gradient.isfinite().all()


def test_identical_features_give_one_embedding_everywhere():
    vector = torch.tensor([3.0, 0.0, -4.0, 0.0, 0.0])
    features = vector[None, :, None, None].expand(2, -1, 3, 4).clone().requires_grad_()
    e, unit = EmbeddingMap(features, SIZE), vector / 5
    torch.testing.assert_close(e.dense(), unit[None, :, None, None].expand(2, -1, *SIZE))
    torch.testing.assert_close(e.region_means(REGIONS, [6, 6]), unit.expand(12, -1))
    torch.testing.assert_close(e.norms(), torch.full((2, *SIZE), 5.0))
    first, second = e.moments()
    torch.testing.assert_close(first, unit)
    torch.testing.assert_close(second, torch.outer(unit, unit))
    total = first.sum() + second.sum() + e.region_means(REGIONS, [6, 6]).sum()
    assert torch.autograd.grad(total, features)[0].isfinite().all()


def test_what_is_not_finite_stays_visible():
    """A NaN that became a zero would train on."""
    for value in (torch.nan, torch.inf):
        features = make_features().detach()
        features[1, 2, 1, 1] = value
        e = EmbeddingMap(features, SIZE)
        means = e.region_means(REGIONS, [6, 6])
        assert means[:6].isfinite().all() and not means[6:].isfinite().all()
        assert not e.project(WEIGHT)[1].isfinite().all()
