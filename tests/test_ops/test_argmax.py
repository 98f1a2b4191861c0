"""The best row at every pixel against that of enlarged maps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import bilinear_argmax
from mmvice.ops.argmax import _by_parts
from mmvice.structures import EmbeddingMap

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 7), st.integers(1, 90), st.integers(1, 23))


def enlarged_scores(features, weight, bias, size):
    """Scores (B, C, H, W) of the enlarged vectors, by the definition."""
    upsampled = F.interpolate(features, size, mode='bilinear', align_corners=False)
    scores = torch.einsum('cd,bdhw->bchw', weight, upsampled)
    return scores if bias is None else scores + bias[:, None, None] * upsampled.norm(dim=1, keepdim=True)


def unit_scores(features, weight, bias, size):
    """Scores (B, C, H, W) of the unit embeddings, where a vector under 1e-12 has no direction."""
    return EmbeddingMap(features, size).project(weight, bias)


def make_case(size, count, smooth, bias, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    height, width, *out_size = size
    features = torch.randn(2, 5, height, width, dtype=dtype)
    if smooth:  # one winner in most cells
        features = features * 0.05 + torch.randn(2, 5, 1, 1, dtype=dtype)
    weight = torch.randn(count, 5, dtype=dtype)
    return features, weight, torch.randn(count, dtype=dtype) if bias else None, tuple(out_size)


@settings(max_examples=80, deadline=None)
@given(size=SIZES, count=st.integers(1, 150), smooth=st.booleans(), bias=st.booleans(), seed=st.integers(0, 1000))
def test_it_is_the_argmax_of_the_enlarged_scores(size, count, smooth, bias, seed):
    case = make_case(size, count, smooth, bias, seed=seed)
    expected = enlarged_scores(*case).argmax(1)
    assert torch.equal(bilinear_argmax(*case), expected)
    assert torch.equal(_by_parts(*case), expected)  # as on a GPU


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('smooth', [True, False])
def test_fp32_scores_are_the_best_within_rounding(smooth, bias):
    case = make_case((31, 9, 120, 33), 200, smooth, bias, torch.float32)
    scores = enlarged_scores(*(value.double() if isinstance(value, torch.Tensor) else value for value in case))
    for winners in (bilinear_argmax(*case), _by_parts(*case)):
        behind = scores.amax(1) - scores.gather(1, winners.unsqueeze(1)).squeeze(1)
        assert winners.dtype == torch.int64 and behind.max() < 1e-5


def test_threads_give_what_one_gives():
    case = make_case((40, 9, 163, 33), 70, False, True)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            results.append(bilinear_argmax(*case))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize('function', [bilinear_argmax, _by_parts])
def test_of_equal_rows_the_first_counts(function):
    features, weight, bias, size = make_case((4, 6, 16, 24), 40, False, True)
    twice, biases = torch.cat([weight, weight, weight]), torch.cat([bias, bias, bias])
    assert torch.equal(function(features, twice, biases, size), function(features, weight, bias, size))
    assert (function(features, torch.zeros_like(weight), None, size) == 0).all()


def test_vectors_that_cancel_between_pixels():
    """Between opposite features the length goes through zero, and with it the say of the bias."""
    features = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64).reshape(1, 2, 1, 2)
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    for middle in (0.5, 1.5):
        case = features, weight, torch.tensor([0.0, 0.0, middle], dtype=torch.float64), (3, 400)
        assert torch.equal(bilinear_argmax(*case), enlarged_scores(*case).argmax(1))


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('size', [(33, 45), (6, 5), (3, 2)])
def test_without_a_direction_the_bias_decides(size, bias):
    """Zero vectors among others, beside each other too, and vectors that cancel exactly."""
    features, weight, biases, _ = make_case((5, 6, *size), 40, False, bias)
    features[0, :, 1:4, 2:5] = 0
    features[1, :, 2, 3] = -features[1, :, 2, 2]
    features[1, :, 3, 3] = features[1, :, 2, 2] * 1e-14
    case = features, weight, biases, size
    expected = unit_scores(*case).argmax(1)
    for function in (bilinear_argmax, _by_parts):
        assert torch.equal(function(*case), expected)
    nothing = torch.zeros_like(features)
    winner = int(biases.argmax()) if bias else 0
    assert (bilinear_argmax(nothing, weight, biases, size) == winner).all()
    assert (_by_parts(nothing, weight, biases, size) == winner).all()


@settings(max_examples=60, deadline=None)
@given(size=SIZES, count=st.integers(1, 60), zeros=st.integers(0, 3), seed=st.integers(0, 1000))
def test_it_is_the_argmax_of_the_scores_of_unit_vectors(size, count, zeros, seed):
    features, weight, bias, size = make_case(size, count, False, True, seed=seed)
    features *= (torch.randint(4, (2, 1, *features.shape[2:])) >= zeros).double()
    expected = unit_scores(features, weight, bias, size).argmax(1)
    assert torch.equal(bilinear_argmax(features, weight, bias, size), expected)
    assert torch.equal(_by_parts(features, weight, bias, size), expected)


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_features_that_are_not_finite_still_give_an_index(value):
    features, weight, bias, size = make_case((4, 6, 16, 24), 9, False, True)
    features[0, 2, 1, 1] = value
    winners = bilinear_argmax(features, weight, bias, size)
    assert winners.min() >= 0 and winners.max() < 9
    assert torch.equal(winners[1], bilinear_argmax(features[1:], weight, bias, size)[0])
