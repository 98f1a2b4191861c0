"""Inner products of neighbouring vectors: the loops of the CPU against whole-map products and the definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bilinear import vectors

from mmvice.ops import bilinear, gram_map


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 1000))
def test_loops_give_what_products_give(batch, height, width, dims, seed):
    rows = vectors((batch, height, width, dims), seed=seed)
    gram = bilinear._gram_by_loops(rows)
    torch.testing.assert_close(gram, bilinear._gram_by_products(rows))
    upstream = vectors(gram.shape, seed=seed + 1)
    torch.testing.assert_close(
        bilinear._gradient_by_loops(rows, upstream), bilinear._gradient_by_products(rows, upstream)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_an_image_as_networks_lay_it_out_has_the_same(height, width, dims, threads, contiguous):
    rows = vectors((1, height, width, dims))
    features = rows[0].permute(2, 0, 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        gram = bilinear.gram_map_of_image(features.contiguous() if contiguous else features)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(gram, bilinear._gram_by_products(rows)[0])


def test_the_gradient_is_that_of_the_map():
    rows = vectors((2, 3, 4, 5)).requires_grad_()
    assert torch.autograd.gradcheck(gram_map, rows)


def test_rows_that_are_not_contiguous():
    features = vectors((2, 5, 3, 4)).requires_grad_()
    views = features.permute(0, 2, 3, 1), features.permute(0, 2, 3, 1).contiguous()
    upstream = vectors((2, 5, 7))
    grads = [torch.autograd.grad((gram_map(rows) * upstream).sum(), features)[0] for rows in views]
    torch.testing.assert_close(gram_map(views[0]), gram_map(views[1]))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_threads_give_what_one_gives(dtype):
    rows = vectors((3, 5, 6, 40), dtype)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            gram = bilinear._gram_by_loops(rows)
            results.append((gram, bilinear._gradient_by_loops(rows, gram)))
    finally:
        torch.set_num_threads(before)
    assert results[0][0].dtype == dtype
    assert all(torch.equal(a, b) for a, b in zip(*results))
