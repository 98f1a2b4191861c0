"""The implicit embedding map against its materialised form."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import region_sums
from mmvice.structures import EmbeddingMap

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 23), st.integers(1, 23))


def materialised_means(dense, regions, num_regions):
    """Region means by the definition: a boolean mask and a mean for each region."""
    means = []
    for b, count in enumerate(num_regions):
        for i in range(count):
            mask = regions[b] == i
            means.append(dense[b][:, mask].sum(1) / mask.sum().clamp_min(1))
    return torch.stack(means) if means else dense.new_zeros(0, dense.shape[1])


def make_map(size, batch=2, dims=5, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    height, width, out_height, out_width = size
    features = torch.randn(batch, dims, height, width, dtype=dtype, requires_grad=True)
    return EmbeddingMap(features, (out_height, out_width))


@settings(max_examples=60, deadline=None)
@given(size=SIZES, seed=st.integers(0, 1000))
def test_region_means_and_gradients_equal_the_materialised_form(size, seed):
    e = make_map(size, seed=seed)
    regions = torch.randint(-1, 4, (2, *e.size))
    num_regions = [4, 6]  # ids 4 and 5 of the second map stay empty
    implicit = e.region_means(regions, num_regions)
    explicit = materialised_means(e.dense(), regions, num_regions)
    upstream = torch.randn_like(implicit)
    implicit_grad = torch.autograd.grad((implicit * upstream).sum(), e.features, retain_graph=True)[0]
    explicit_grad = torch.autograd.grad((explicit * upstream).sum(), e.features)[0]
    torch.testing.assert_close(implicit, explicit, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(implicit_grad, explicit_grad, rtol=1e-7, atol=1e-10)
    assert (implicit[-2:] == 0).all()


@settings(max_examples=60, deadline=None)
@given(size=SIZES, seed=st.integers(0, 1000), num_ids=st.integers(1, 9), mean=st.booleans(), weighted=st.booleans())
def test_a_gpus_way_to_region_sums_gives_those_of_the_cpu(size, seed, num_ids, mean, weighted):
    """The arrays of fixed length, whose unused entries are passed over, against those that are just long enough."""
    e = make_map(size, seed=seed)
    rows = e.features.detach().permute(0, 2, 3, 1).contiguous().requires_grad_()
    weights = torch.rand(2, *e.size, dtype=torch.float64, requires_grad=True) if weighted else None
    ids = torch.randint(-1, num_ids, (2, *e.size))
    ids[1] = torch.where(ids[1] < 0, -1, ids[1] + num_ids)  # an id belongs to one map
    inputs = [rows, weights] if weighted else [rows]
    upstream = torch.randn(2 * num_ids, 5, dtype=torch.float64)
    results = []
    for count_entries in (True, False):
        sums = region_sums(rows, weights, ids, 2 * num_ids, mean, count_entries)
        results.append((sums, *torch.autograd.grad((sums * upstream).sum(), inputs)))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(size=SIZES, seed=st.integers(0, 1000))
def test_norms_project_sample_argmax_and_moments_equal_the_materialised_form(size, seed):
    e = make_map(size, seed=seed)
    dense = e.dense()
    weight, bias = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = torch.einsum('cd,bdhw->bchw', weight, dense) + bias[:, None, None]
    torch.testing.assert_close(e.project(weight, bias), expected, rtol=1e-9, atol=1e-11)
    upsampled = F.interpolate(e.features, e.size, mode='bilinear', align_corners=False)
    torch.testing.assert_close(e.norms(), upsampled.norm(dim=1), rtol=1e-7, atol=1e-9)
    assert torch.equal(e.argmax(weight), (expected - bias[:, None, None]).argmax(1))
    assert torch.equal(e.argmax(weight, bias), expected.argmax(1))

    batch, y, x = (torch.randint(n, (50,)) for n in (2, *e.size))
    torch.testing.assert_close(e.sample(batch, y, x), dense[batch, :, y, x], rtol=1e-9, atol=1e-11)

    rows = dense.permute(0, 2, 3, 1).reshape(-1, 5)
    first, second = e.moments()
    torch.testing.assert_close(first, rows.mean(0), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(second, rows.T @ rows / len(rows), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('size', [(4, 6, 17, 23), (1, 2, 1, 1)])
def test_regions_without_any_pixel_give_zeros_and_zero_gradients(size):
    e = make_map(size)
    means = e.region_means(torch.full((2, *e.size), -1), [2, 3])
    means.sum().backward()
    assert torch.equal(means, torch.zeros(5, 5, dtype=torch.float64)) and (e.features.grad == 0).all()


def test_project_gradient_equals_the_materialised_form():
    e = make_map((4, 6, 17, 23))
    weight = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 3, 17, 23, dtype=torch.float64)
    implicit = torch.autograd.grad((e.project(weight) * upstream).sum(), (e.features, weight), retain_graph=True)
    explicit = torch.einsum('cd,bdhw->bchw', weight, e.dense())
    explicit = torch.autograd.grad((explicit * upstream).sum(), (e.features, weight))
    torch.testing.assert_close(implicit, explicit)


def test_means_of_upsampled_features_is_the_variant_of_the_reference_code():
    e = make_map((4, 6, 17, 23))
    regions = torch.randint(-1, 4, (2, 17, 23))
    upsampled = F.interpolate(e.features, e.size, mode='bilinear', align_corners=False)
    expected = materialised_means(upsampled, regions, [4, 4])
    torch.testing.assert_close(e.region_means(regions, [4, 4], normalize_pixels=False), expected)


def test_one_pixel_regions_are_the_embeddings_themselves():
    e = make_map((3, 4, 12, 16), batch=1)
    regions = torch.arange(12 * 16).reshape(1, 12, 16)
    means = e.region_means(regions, [12 * 16])
    torch.testing.assert_close(means, e.dense()[0].flatten(1).T)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_low_precision_features_are_pooled_in_fp32(dtype):
    e = make_map((4, 6, 16, 24), dtype=torch.float32)
    low = EmbeddingMap(e.features.detach().to(dtype), e.size)
    exact = EmbeddingMap(e.features.detach().to(dtype).double(), e.size)
    regions = torch.randint(-1, 4, (2, 16, 24))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        means, scores = low.region_means(regions, [4, 4]), low.project(torch.eye(5))
        assert low.norms().dtype == means.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(means.double(), exact.region_means(regions, [4, 4]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores.double(), exact.project(torch.eye(5).double()), rtol=1e-5, atol=1e-6)


def test_cancelling_and_zero_features_stay_finite():
    features = torch.zeros(1, 2, 2, 2)
    features[0, :, 0, 0], features[0, :, 0, 1] = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    features.requires_grad_()
    e = EmbeddingMap(features, (6, 9))
    means = e.region_means(torch.zeros(1, 6, 9, dtype=torch.int32), [1])
    means.sum().backward()
    assert means.isfinite().all() and features.grad.isfinite().all()
    assert e.project(torch.eye(2)).abs().max() <= 1 + 1e-4


def test_gradients_are_kept_after_a_look_without_gradients():
    e = make_map((4, 6, 8, 12))
    regions = torch.zeros(2, 8, 12, dtype=torch.long)
    with torch.no_grad():
        e.norms(), e.region_means(regions, [1, 1])
    fresh = EmbeddingMap(e.features, e.size)
    upstream = torch.randn(2, 5, dtype=torch.float64)
    grads = [torch.autograd.grad((m.region_means(regions, [1, 1]) * upstream).sum(), e.features)[0] for m in (e, fresh)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('layout', ['channels_last', 'transposed', 'sliced', 'expanded'])
def test_any_memory_layout_gives_the_same(layout):
    features = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    other = dict(
        channels_last=lambda: features.contiguous(memory_format=torch.channels_last),
        transposed=lambda: features.transpose(2, 3).contiguous().transpose(2, 3),
        sliced=lambda: torch.cat([features, features], 1)[:, :5],
        expanded=lambda: features[:, :, :1].expand(-1, -1, 4, -1),
    )[layout]()
    assert layout == 'sliced' or not other.is_contiguous()
    plain = other.contiguous()
    regions, upstream = torch.randint(-1, 4, (2, 17, 23)), torch.randn(8, 5, dtype=torch.float64)
    results = []
    for value in (plain, other):
        value = value.detach().requires_grad_()
        e = EmbeddingMap(value, (17, 23))
        means = e.region_means(regions, [4, 4])
        gradient = torch.autograd.grad((means * upstream).sum(), value)[0]
        results.append((means, gradient, e.argmax(upstream), e.dense(), e.sample(*torch.tensor([[1], [16], [22]]))))
    for a, b in zip(*results):
        torch.testing.assert_close(b, a)


def test_all_of_one_map_together_has_the_gradient_of_the_materialised_form():
    e = make_map((4, 6, 17, 23))
    regions = torch.randint(-1, 4, (2, 17, 23))
    weight = torch.randn(3, 5, dtype=torch.float64)
    pixels = torch.tensor([[0, 1, 1], [0, 16, 5], [22, 3, 4]])
    dense = e.dense()
    upsampled = F.interpolate(e.features, e.size, mode='bilinear', align_corners=False)
    rows = dense.permute(0, 2, 3, 1).reshape(-1, 5)
    implicit = (
        e.region_means(regions, [4, 4]),
        e.project(weight),
        e.sample(*pixels),
        e.norms(),
        *e.moments(),
        e.region_means(regions, [4, 4], normalize_pixels=False),
    )
    explicit = (
        materialised_means(dense, regions, [4, 4]),
        torch.einsum('cd,bdhw->bchw', weight, dense),
        dense[pixels[0], :, pixels[1], pixels[2]],
        upsampled.norm(dim=1),
        rows.mean(0),
        rows.T @ rows / len(rows),
        materialised_means(upsampled, regions, [4, 4]),
    )
    upstream = [torch.randn_like(value) for value in implicit]
    torch.testing.assert_close(
        torch.autograd.grad(implicit, e.features, upstream), torch.autograd.grad(explicit, e.features, upstream)
    )


def test_what_was_asked_for_under_inference_mode_hinders_no_training():
    """Sizes that no other test has, as matrices are kept for each."""
    features = torch.randn(2, 5, 5, 8, dtype=torch.float64)
    regions = torch.randint(-1, 4, (2, 19, 31))
    with torch.inference_mode():
        used = EmbeddingMap(features, (19, 31))
        expected = used.region_means(regions, [4, 4]), *used.moments(), used.norms(), used.argmax(torch.eye(5).double())
        region_sums(features.permute(0, 2, 3, 1), None, regions, 4, False, count_entries=False)
    features.requires_grad_()
    for e in (used, EmbeddingMap(features, (19, 31))):
        found = e.region_means(regions, [4, 4]), *e.moments(), e.norms(), e.argmax(torch.eye(5).double())
        torch.testing.assert_close(found, expected)
        torch.autograd.grad(sum(value.sum() for value in found[:-1]), features)
    rows = features.permute(0, 2, 3, 1)
    ids = torch.where(regions < 0, regions, regions + torch.tensor([0, 4])[:, None, None])
    region_sums(rows, None, ids, 8, True, count_entries=False).sum().backward()


def test_backward_may_be_repeated_where_the_graph_is_retained():
    e = make_map((4, 6, 17, 23))
    regions = torch.randint(-1, 4, (2, 17, 23))
    total = e.region_means(regions, [4, 4]).square().sum() + e.project(torch.eye(5).double())[:, 0].sum()
    first, second = (torch.autograd.grad(total, e.features, retain_graph=True)[0] for _ in range(2))
    again = torch.autograd.grad(e.region_means(regions, [4, 4]).square().sum(), e.features, retain_graph=True)[0]
    fresh = EmbeddingMap(e.features, e.size).region_means(regions, [4, 4]).square().sum()
    assert torch.equal(first, second)
    torch.testing.assert_close(again, torch.autograd.grad(fresh, e.features)[0])


def test_threads_give_what_one_gives():
    features, regions = torch.randn(5, 8, 9, 7), torch.randint(-1, 6, (5, 33, 29))
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 7):
            torch.set_num_threads(count)
            value = features.clone().requires_grad_()
            e = EmbeddingMap(value, (33, 29))
            means = e.region_means(regions, [6] * 5)
            results.append((means, torch.autograd.grad(means.square().sum(), value)[0], e.norms()))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


@pytest.mark.parametrize('regions', ['numpy', torch.uint16, torch.float32, torch.bool])
def test_regions_that_are_no_tensor_of_ids_are_named(regions):
    e = make_map((2, 2, 4, 4))
    zeros = torch.zeros(2, 4, 4)
    value = zeros.numpy() if regions == 'numpy' else zeros.to(regions)
    with pytest.raises(TypeError, match=r'regions must be a tensor of ids, int64.*got (a torch|ndarray)'):
        e.region_means(value, [1, 1])


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_ids_of_any_width_give_the_same(dtype):
    e = make_map((2, 2, 4, 4))
    regions = torch.randint(0, 3, (2, 4, 4))
    assert torch.equal(e.region_means(regions.to(dtype), [3, 3]), e.region_means(regions, [3, 3]))


def test_a_batch_of_no_maps_gives_nothing():
    e = EmbeddingMap(torch.zeros(0, 5, 2, 2), (4, 4))
    assert e.region_means(torch.zeros(0, 4, 4, dtype=torch.long), []).shape == (0, 5)
    assert e.dense().shape == (0, 5, 4, 4) and e.argmax(torch.eye(5)).shape == (0, 4, 4)
    assert all((moment == 0).all() for moment in e.moments())


def test_bad_input_is_named():
    e = make_map((2, 2, 4, 4))
    regions = torch.zeros(2, 4, 4, dtype=torch.long)
    for count in (3, [1.5, 1], None):
        with pytest.raises(TypeError, match='num_regions must be one int for each map, got'):
            e.region_means(regions, count)
    with pytest.raises(ValueError, match=r'int >= 0 for each of 2 maps, got \[1, -1\]'):
        e.region_means(regions, [1, -1])
    for size in (24, (4.5, 4), 'ab'):
        with pytest.raises(TypeError, match=r'size must be \(H, W\), two ints, got'):
            EmbeddingMap(e.features, size)
    for method in (e.project, e.argmax):
        with pytest.raises(TypeError, match='weight must be a tensor, got list'):
            method([[1.0] * 5])
        with pytest.raises(TypeError, match='bias must be a tensor, got ndarray'):
            method(torch.zeros(3, 5), torch.zeros(3).numpy())
    for pixel in ((0, -1, 0), (0, 4, 0), (2, 0, 0), (0, 0, 4)):
        with pytest.raises(IndexError, match=r'must lie in 0\.\.[13], got'):
            e.sample(*torch.tensor(pixel)[:, None])
    for size in ((4,), (4, 0), (4, 4, 4)):
        with pytest.raises(ValueError, match=r'size must be \(H, W\) with H, W >= 1, got'):
            EmbeddingMap(e.features, size)
    with pytest.raises(ValueError, match=r'regions\[1\] holds id 0, but num_regions\[1\] is 0'):
        e.region_means(regions, [1, 0])
    with pytest.raises(ValueError, match='shape'):
        e.region_means(regions[:, :3], [1, 1])
    with pytest.raises(ValueError, match='one int >= 0 for each of 2 maps'):
        e.region_means(regions, [1])
    for method in (e.project, e.argmax):
        with pytest.raises(ValueError, match=r'weight must be \(C, 5\)'):
            method(torch.zeros(3, 4))
        with pytest.raises(ValueError, match='C >= 1'):
            method(torch.zeros(0, 5))
        with pytest.raises(ValueError, match=r'bias must be \(3,\)'):
            method(torch.zeros(3, 5), torch.zeros(4))
    with pytest.raises(TypeError, match='floating'):
        EmbeddingMap(torch.zeros(1, 1, 1, 1, dtype=torch.long), (1, 1))
    with pytest.raises(ValueError, match='features must be'):
        EmbeddingMap(torch.zeros(1, 1, 1), (1, 1))
