"""Sums over regions at low resolution, against the upsampled map, for any sizes and types."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.ops import global_region_ids, region_sums

integers = st.sampled_from([torch.int8, torch.int16, torch.int32, torch.int64])
maps = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@settings(max_examples=80, deadline=None)
@given(
    shape=maps,
    size=sizes,
    num_ids=st.integers(0, 6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    weighted=st.booleans(),
    mean=st.booleans(),
    count_entries=st.sampled_from([None, True, False]),
    seed=st.integers(0, 99),
)
def test_region_sums_are_those_of_the_upsampled_map(shape, size, num_ids, dtype, weighted, mean, count_entries, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(shape, dtype=dtype, generator=generator)
    weights = torch.randn((shape[0], *size), dtype=dtype, generator=generator) if weighted else None
    ids = torch.randint(-1, num_ids, (shape[0], *size), generator=generator)
    home = torch.randint(shape[0], (num_ids + 1,), generator=generator)  # an id occurs in one map only
    ids = torch.where(home[ids] == torch.arange(shape[0])[:, None, None], ids, -1)
    sums = region_sums(rows, weights, ids, num_ids, mean, count_entries)
    assert sums.dtype == dtype and sums.shape == (num_ids, shape[3])

    pixels = F.interpolate(rows.permute(0, 3, 1, 2), size, mode='bilinear', align_corners=False).permute(0, 2, 3, 1)
    pixels = pixels * (1 if weights is None else weights.unsqueeze(-1))
    for i in range(num_ids):
        own = pixels[ids == i]
        expected = own.sum(0) / (max(len(own), 1) if mean else 1)
        torch.testing.assert_close(sums[i], expected, rtol=1e-4, atol=1e-4 if dtype == torch.float32 else 1e-10)


@settings(max_examples=60, deadline=None)
@given(
    num_regions=st.lists(st.integers(0, 5), min_size=1, max_size=4), size=sizes, dtype=integers, seed=st.integers(0, 99)
)
def test_regions_of_a_batch_are_numbered_map_after_map(num_regions, size, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    regions = torch.stack([torch.randint(-1, count, size, generator=generator) for count in num_regions]).to(dtype)
    ids = global_region_ids(regions, num_regions)
    assert ids.dtype == torch.int64 and ids.shape == regions.shape
    start = 0
    for own, numbered, count in zip(regions.long(), ids, num_regions):
        assert torch.equal(numbered, torch.where(own < 0, -1, own + start))
        start += count
    too_few = [*num_regions[:-1], int(regions[-1].max())]
    if too_few[-1] >= 0:
        with pytest.raises(ValueError, match=rf'regions\[{len(num_regions) - 1}\] holds id {too_few[-1]}, but'):
            global_region_ids(regions, too_few)
