"""The assignment against the textbook iteration in exact arithmetic, for scores of any magnitude and any shape."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import sinkhorn_knopp

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 9))
SEEDS = st.integers(0, 1000)


def textbook(scores, epsilon, iterations):
    """Scaling of probabilities (Cuturi 2013), with numbers of 80 digits and of any exponent."""
    n, concepts = scores.shape
    with mpmath.workdps(80):
        q = [[mpmath.exp(mpmath.mpf(s) / mpmath.mpf(epsilon)) for s in row] for row in scores.double().tolist()]
        for _ in range(iterations):
            for k in range(concepts):
                total = sum(q[i][k] for i in range(n)) * concepts
                for i in range(n):
                    q[i][k] /= total
            for i in range(n):
                total = sum(q[i]) * n
                q[i] = [value / total for value in q[i]]
        return torch.tensor([[float(value * n) for value in row] for row in q], dtype=torch.float64)


def make_scores(shape, seed, scale, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return ((torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1) * scale).to(dtype)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, seed=SEEDS, power=st.integers(-30, 30), epsilon=st.sampled_from([0.05, 0.5]))
def test_three_iterations_equal_the_textbook_at_any_magnitude(shape, seed, power, epsilon):
    scores = make_scores(shape, seed, 10.0**power)
    q = sinkhorn_knopp(scores, epsilon=epsilon)
    torch.testing.assert_close(q, textbook(scores, epsilon, 3), rtol=1e-6, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    shape=SHAPES,
    seed=SEEDS,
    power=st.integers(-30, 2),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_scores_in_low_precision_are_only_as_wrong_as_fp32_is(shape, seed, power, dtype):
    scores = make_scores(shape, seed, 10.0**power, dtype)
    rounding = 20 * 10.0**power * torch.finfo(torch.float32).eps  # of scores / epsilon
    torch.testing.assert_close(
        sinkhorn_knopp(scores).double(), textbook(scores, 0.05, 3), rtol=0, atol=1e-6 + 10 * rounding
    )


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 30)),
    seed=SEEDS,
    power=st.floats(-38, 36),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
    iterations=st.integers(0, 10),
)
def test_rows_are_distributions_whatever_the_scores(shape, seed, power, dtype, iterations):
    scores = make_scores(shape, seed, 10.0 ** min(power, 4.8 if dtype == torch.float16 else 36), dtype)
    q = sinkhorn_knopp(scores, iterations=iterations)
    assert q.isfinite().all() and (q >= 0).all()
    torch.testing.assert_close(q.sum(1), torch.ones_like(q[:, 0]), rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=SEEDS,
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
)
def test_concepts_share_the_samples_equally_also_when_there_are_fewer_samples(shape, seed, dtype):
    n, concepts = shape
    q = sinkhorn_knopp(make_scores(shape, seed, 1.0, dtype), epsilon=0.5, iterations=300).double()
    torch.testing.assert_close(q.sum(0), torch.full((concepts,), n / concepts, dtype=torch.float64), rtol=1e-4, atol=0)


@pytest.mark.parametrize('value', [0.0, -1e30, 1e30, 1e-30])
def test_identical_samples_are_spread_over_all_concepts(value):
    row = torch.tensor([value, value / 2, -value, value])
    torch.testing.assert_close(sinkhorn_knopp(row.expand(7, 4)), torch.full((7, 4), 0.25))


@pytest.mark.parametrize('scale', [1e-30, 1.0, 1e30])
def test_a_single_sample_belongs_to_all_concepts_alike(scale):
    scores = make_scores((1, 9), 3, scale, torch.float32)
    torch.testing.assert_close(sinkhorn_knopp(scores), torch.full((1, 9), 1 / 9))


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, seed=SEEDS, power=st.integers(-3, 3))
def test_what_all_samples_score_alike_for_a_concept_does_not_matter(shape, seed, power):
    scores = make_scores(shape, seed, 1.0)
    shifts = make_scores((1, shape[1]), seed + 1, 10.0**power)
    torch.testing.assert_close(sinkhorn_knopp(scores + shifts), sinkhorn_knopp(scores), rtol=1e-7, atol=1e-9)
