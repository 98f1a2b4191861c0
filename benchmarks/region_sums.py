"""Sums over regions of weighted, bilinearly upsampled vectors: every form that is worth a try on a GPU.

Each takes low-resolution vectors (B, h, w, D), weights (B, H, W) of the pixels, their global region ids (B, H, W), with
-1 for none, and the number of regions of each map; gradients flow back to vectors and weights. In use on a GPU is
:func:`triton_cells`, and :func:`static_bags` where Triton cannot compile for it.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.ops import bilinear_axis
from mmvice.ops.region_pooling import runs_of_cells, sums_of_runs

Sums = Callable[[Tensor, Tensor, Tensor, Sequence[int]], Tensor]


def materialised(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """The slow side: the upsampled map, ``index_add``."""
    pixels = F.interpolate(rows.permute(0, 3, 1, 2), ids.shape[1:], mode='bilinear', align_corners=False)
    pixels = (pixels * weights.unsqueeze(1)).permute(0, 2, 3, 1).flatten(0, 2)
    sums = rows.new_zeros(sum(num_regions) + 1, rows.shape[-1])
    return sums.index_add(0, ids.flatten() + 1, pixels)[1:]


def static_bags(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """``embedding_bag`` over arrays as long as there are pixels: nothing is read back."""
    return sums_of_runs(rows, weights, ids, sum(num_regions))


def counted_bags(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """``embedding_bag`` over as many entries as there are; the host waits for their number."""
    indices, values, regions = _entries(rows, weights, ids)
    regions, order = regions.sort(stable=True)
    starts = torch.searchsorted(regions, torch.arange(sum(num_regions), device=ids.device))
    flat = rows.reshape(-1, rows.shape[-1])
    return F.embedding_bag(indices[order], flat, starts, mode='sum', per_sample_weights=values[order])


def csr_product(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """Sparse matrix times vectors, by the library of the device; the host waits for the number of entries."""
    indices, values, regions = _entries(rows, weights, ids)
    return _CsrProduct.apply(values, rows.reshape(-1, rows.shape[-1]), regions, indices, sum(num_regions))


class _CsrProduct(torch.autograd.Function):
    """``A @ vectors`` from the entries of A; backward ``A.T @ grad`` and inner products of ``grad`` and vectors."""

    @staticmethod
    def forward(ctx, values: Tensor, vectors: Tensor, rows: Tensor, columns: Tensor, num_rows: int) -> Tensor:
        ctx.save_for_backward(values, vectors, rows, columns)
        return _csr(rows, columns, values, (num_rows, len(vectors))) @ vectors

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple:
        values, vectors, rows, columns = ctx.saved_tensors
        to_vectors = _csr(columns, rows, values, (len(vectors), len(grad))) @ grad
        products = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            grad.contiguous(), vectors, columns, columns[:1], rows, 0
        )
        return products, to_vectors, None, None, None


def _csr(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """A matrix with those entries, of which several may be at one place."""
    rows, order = rows.sort(stable=True)
    starts = torch.searchsorted(rows, torch.arange(size[0] + 1, device=rows.device), out_int32=True)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Sparse CSR tensor support')
        return torch.sparse_csr_tensor(starts, columns[order].int(), values[order], size, check_invariants=False)


def segment_reduction(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """A vector for each run, sorted by region, ``torch.segment_reduce``; the host waits for the number of runs."""
    vectors, regions = _run_vectors(rows, weights, ids)
    regions, order = regions.sort(stable=True)
    starts = torch.searchsorted(regions, torch.arange(sum(num_regions) + 1, device=ids.device))
    return torch.segment_reduce(vectors[order], 'sum', offsets=starts, axis=0, initial=0, unsafe=True)


def atomics_of_runs(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """A vector for each run, ``index_add``; the host waits for the number of runs."""
    vectors, regions = _run_vectors(rows, weights, ids)
    return rows.new_zeros(sum(num_regions), rows.shape[-1]).index_add(0, regions, vectors)


def dense_matrix(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """A full matrix (regions x low-resolution pixels) for each map, filled by ``index_add``, times the vectors.

    Its memory grows with the largest number of regions of a map times the number of low-resolution pixels.
    """
    batch, height, width, dims = rows.shape
    most, cells = max(num_regions), height * width
    counts = torch.tensor(num_regions).pin_memory() if ids.is_cuda else torch.tensor(num_regions)
    starts = (counts.cumsum(0) - counts).to(ids.device, non_blocking=True)[:, None, None]
    maps = torch.arange(batch, device=ids.device)[:, None, None] * most
    line = torch.where(ids < 0, batch * most, maps + ids - starts)
    (y, share_y), (x, share_x) = (
        bilinear_axis(low, full, rows.device, rows.dtype) for low, full in zip((height, width), ids.shape[1:])
    )
    matrix = rows.new_zeros((batch * most + 1) * cells)
    for down, part_y in ((0, 1 - share_y), (1, share_y)):
        for across, part_x in ((0, 1 - share_x), (1, share_x)):
            column = (y + down).clamp_max(height - 1)[:, None] * width + (x + across).clamp_max(width - 1)
            values = weights * (part_y[:, None] * part_x)
            matrix = matrix.index_add_(0, (line * cells + column).flatten(), values.flatten())
    matrix = matrix[: batch * most * cells].view(batch, most, cells)
    sums = (matrix @ rows.reshape(batch, cells, dims)).flatten(0, 1)
    wanted = torch.cat([b * most + torch.arange(count) for b, count in enumerate(num_regions)])
    return sums[wanted.pin_memory().to(ids.device, non_blocking=True) if ids.is_cuda else wanted]


def triton_cells(rows: Tensor, weights: Tensor, ids: Tensor, num_regions: Sequence[int]) -> Tensor:
    """A Triton program for each interpolation cell, with atomics; nothing is sorted, counted or read back."""
    from mmvice.ops.cell_kernels import cell_region_sums

    return cell_region_sums(rows, weights, ids, sum(num_regions))


FORMS: dict[str, Sums] = {
    form.__name__: form
    for form in (
        materialised,
        static_bags,
        counted_bags,
        csr_product,
        segment_reduction,
        atomics_of_runs,
        dense_matrix,
        triton_cells,
    )
}


def _counted_runs(rows: Tensor, weights: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[int, ...]]:
    """Weights (n, 4), upper left vectors (n,) and regions (n,) of the runs; how far the four vectors are from it."""
    *arrays, used = runs_of_cells(rows, weights, ids)
    count = int(used.sum())
    right, below = int(rows.shape[2] > 1), rows.shape[2] * int(rows.shape[1] > 1)
    entries, corners, regions = (array[:count] for array in arrays)
    return entries, corners, regions, (0, right, below, below + right)


def _entries(rows: Tensor, weights: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors (4n,), weights (4n,) and regions (4n,)."""
    entries, corners, regions, steps = _counted_runs(rows, weights, ids)
    vectors = torch.stack([corners + step for step in steps], 1)
    return vectors.flatten(), entries.flatten(), regions.repeat_interleave(4)


def _run_vectors(rows: Tensor, weights: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The sum (n, D) of every run, and its region."""
    entries, corners, regions, steps = _counted_runs(rows, weights, ids)
    flat = rows.reshape(-1, rows.shape[-1])
    return sum(flat[corners + step] * part.unsqueeze(1) for step, part in zip(steps, entries.unbind(1))), regions
