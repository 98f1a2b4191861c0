"""Weighted sums of upsampled vectors over regions, without the upsampled map.

The sum over a region of ``c_j u_j`` is ``sum_k a_k f_k`` with ``a_k = sum_j c_j w_jk``: a sparse matrix (regions x
low-resolution pixels) times the low-resolution vectors. Work per pixel does not depend on the number of channels.

The number of entries of that matrix depends on the regions. The CPU counts them (:mod:`mmvice.ops.region_matrix`).
Counting on a GPU would make the host wait, so a GPU uses the kernels of :mod:`mmvice.ops.cell_kernels`, which need no
matrix. If Triton cannot compile for the GPU, pixels of one cell and one region are summed first. The arrays then have
one entry for each pixel. Remaining entries are skipped.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.utils.device import to_device
from mmvice.utils.triton import use_kernels

from .axis import bilinear_axis
from .region_matrix import region_matrix

_SPARE_BAG = 256  # unused entries that are summed, as zeros, into one spare row


@lru_cache(maxsize=32)
def _cell_order(in_size: tuple[int, int], out_size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Order of the pixels of an (H, W) map by interpolation cells, and their cells."""
    with torch.inference_mode(False):  # kept for trainings, too
        lower_y, _ = bilinear_axis(in_size[0], out_size[0], 'cpu', torch.float64)
        lower_x, _ = bilinear_axis(in_size[1], out_size[1], 'cpu', torch.float64)
        cells = (lower_y[:, None] * in_size[1] + lower_x[None, :]).flatten()
        order = torch.argsort(cells, stable=True)
        return to_device(order, device), to_device(cells[order], device)


def global_region_ids(regions: Tensor, num_regions: list[int]) -> Tensor:
    """Number the regions of a batch consecutively over the maps.

    Args:
        regions: (B, H, W) integers: 0..num_regions[b]-1, negative where a pixel belongs to no region.
        num_regions: B ints.

    Returns:
        Tensor: int64 (B, H, W) in 0..sum(num_regions)-1, -1 where ``regions`` is negative.

    Raises:
        ValueError: If an id is not below its map's ``num_regions``, on the CPU. On a GPU the check would make the host
            wait; such pixels belong to no region there.
    """
    limits = torch.tensor(num_regions, dtype=torch.int64)
    if regions.device.type == 'cpu' and regions.numel():
        largest = regions.flatten(1).amax(1).long()
        for b in torch.nonzero(largest >= limits).flatten().tolist():
            raise ValueError(
                f'regions[{b}] holds id {int(largest[b])}, but num_regions[{b}] is {int(limits[b])}: '
                'ids must lie in 0..num_regions-1, with -1 for pixels of no region'
            )
    limits, offsets = to_device(torch.stack([limits, limits.cumsum(0) - limits]), regions.device)[:, :, None, None]
    return torch.where((regions < 0) | (regions >= limits), -1, regions.long() + offsets)


def region_sums(
    rows: Tensor,
    pixel_weights: Tensor | None,
    ids: Tensor,
    num_ids: int,
    mean: bool,
    count_entries: bool | None = None,
) -> Tensor:
    """Sum or mean over regions of the weighted, bilinearly upsampled vectors, computed at low resolution.

    Args:
        rows: Low-resolution vectors (B, h, w, D).
        pixel_weights: (B, H, W) weight c_j of every pixel, or None for 1.
        ids: (B, H, W) int64 global region ids, each of which occurs in one map only; -1 for pixels of no region.
        num_ids: Number of regions R.
        mean: Divide by the number of pixels of each region.
        count_entries: Count the entries on the host, for a sparse matrix of minimal size. This is only possible on the
            CPU, where it is the default. The results are equal up to rounding.

    Returns:
        Tensor: (R, D); zeros for a region without pixels.
    """
    if num_ids == 0 or ids.numel() == 0:
        return rows.new_zeros(num_ids, rows.shape[-1]) + 0 * rows.sum()
    if count_entries is None:
        count_entries = rows.device.type == 'cpu'
    if count_entries:
        weights = rows.new_ones(ids.shape) if pixel_weights is None else pixel_weights
        values, columns, starts = region_matrix(weights, ids, rows.shape[1:3], num_ids)
        flat = rows.reshape(-1, rows.shape[-1])
        sums = F.embedding_bag(columns, flat, starts, mode='sum', per_sample_weights=values)
    elif use_kernels(rows):
        from .cell_kernels import cell_region_sums  # imports Triton

        weights = rows.new_ones(ids.shape) if pixel_weights is None else pixel_weights
        sums = cell_region_sums(rows, weights, ids, num_ids)
    else:
        sums = sums_of_runs(rows, pixel_weights, ids, num_ids)
    if not mean:
        return sums
    counts = (_count_ids if count_entries else _count_ids_unasked)(ids.flatten(), num_ids).clamp_min(1)
    return sums / counts.unsqueeze(1).to(sums.dtype)


def sums_of_runs(rows: Tensor, pixel_weights: Tensor | None, ids: Tensor, num_ids: int) -> Tensor:
    """The sums (R, D) of :func:`region_sums`, by arrays whose length does not depend on the regions."""
    return _sparse_product(rows, *runs_of_cells(rows, pixel_weights, ids), num_ids)


def runs_of_cells(rows: Tensor, pixel_weights: Tensor | None, ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of runs, which are consecutive pixels of one interpolation cell and one region.

    Pixels are visited cell by cell. Arguments are those of :func:`region_sums`.

    Returns:
        Weights (n, 4) of the cell's four vectors for every run; index (n,) of the upper left vector among the B * h *
            w; the region (n,) of every run; bool (n,), True for the runs that exist, which come first. n is the number
            of pixels.
    """
    batch, height, width, _ = rows.shape
    size = (ids.shape[1], ids.shape[2])
    order, cells = _cell_order((height, width), size, rows.device)
    weights = _corner_weights((height, width), size, rows)[order]
    if pixel_weights is None:
        weights = weights.expand(batch, -1, -1)
    else:
        weights = weights * pixel_weights.flatten(1)[:, order].unsqueeze(-1)
    ids = ids.flatten(1)[:, order]
    first, run_of_pixel, used = _runs(ids, cells)
    entries = rows.new_zeros(len(first) + 1, 4).index_add(0, run_of_pixel, weights.reshape(-1, 4))[1:]
    pixels = size[0] * size[1]
    corners = first // pixels * (height * width) + cells[first % pixels]
    return entries, corners, ids.flatten()[first], used


def _runs(ids: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Consecutive pixels of one region and one cell.

    Args:
        ids: Region ids (B, P) in the order of visiting; runs with a negative id are left out.
        cells: Cells (P,) in that order.

    Returns:
        First pixel (B * P,) of every run, with zeros after the last one; number (B * P,) of every pixel's run from 1
            on, 0 for no run; bool (B * P,), True for the runs that exist.
    """
    inside = ids >= 0
    starts = inside.clone()
    starts[:, 1:] &= (ids[:, 1:] != ids[:, :-1]) | (cells[1:] != cells[:-1])
    starts, inside = starts.flatten(), inside.flatten()
    count = starts.cumsum(0)
    run_of_pixel = torch.where(inside, count, 0)
    position = torch.arange(len(starts), device=ids.device)
    first = torch.zeros(len(starts) + 1, dtype=torch.int64, device=ids.device)
    first = first.scatter(0, torch.where(starts, count, 0), position)[1:]
    return first, run_of_pixel, position < count[-1]


def _count_ids(ids: Tensor, num_ids: int) -> Tensor:
    """How often each of the ids 0..num_ids-1 occurs; -1 is not counted."""
    return torch.bincount(ids + 1, minlength=num_ids + 1)[1:]


def _count_ids_unasked(ids: Tensor, num_ids: int) -> Tensor:
    """:func:`_count_ids` without ``bincount``, which would wait for a GPU to get the largest id."""
    return ids.new_zeros(num_ids + 1).scatter_add(0, ids + 1, torch.ones_like(ids))[1:]


def _sparse_product(
    rows: Tensor, entries: Tensor, corners: Tensor, regions: Tensor, used: Tensor, num_regions: int
) -> Tensor:
    """Sums (R, D) over regions of weighted low-resolution vectors.

    Args:
        rows: (B, h, w, D).
        entries: (n, 4) weights of the four neighbours.
        corners: (n,) upper left neighbour among the B * h * w vectors, ascending over the entries that are used.
        regions: (n,) region of every entry.
        used: bool (n,), the entries that count, which come first.
        num_regions: Number of regions R.
    """
    flat = rows.reshape(-1, rows.shape[-1])
    _, height, width, _ = rows.shape
    right, below = int(width > 1), width * int(height > 1)
    steps = (0, right, below, below + right)
    by_region, order = _spread_unused(regions, num_regions, used).sort(stable=True)
    neighbours = torch.stack([corners[order] + step for step in steps], 1)
    sums = _bag_sums(flat.detach(), neighbours, entries[order], by_region, num_regions)
    corners = _spread_unused(corners, len(flat), used)
    return _VectorGradient.apply(sums, flat, entries.detach(), corners, regions, steps) if flat.requires_grad else sums


class _VectorGradient(torch.autograd.Function):
    """Returns the sums unchanged; its backward pass gives the gradient of the vectors: the transposed product.

    The entries are in the order of their corners, so they need no sorting. The gradient of ``embedding_bag`` would also
    process unused entries, and needs D numbers for every ten of them.
    """

    @staticmethod
    def forward(
        ctx,
        sums: Tensor,
        flat: Tensor,
        entries: Tensor,
        corners: Tensor,
        regions: Tensor,
        steps: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(entries, corners, regions)
        ctx.steps, ctx.num_vectors = steps, len(flat)
        return sums.view_as(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple:
        entries, corners, regions = ctx.saved_tensors
        out, grad = None, grad.contiguous()
        for step, weights in zip(ctx.steps, entries.unbind(1)):
            share = _bag_sums(grad, regions.unsqueeze(1), weights, corners, ctx.num_vectors)
            if out is None:
                out = share
            else:
                out[step:] += share[: len(share) - step]
        return grad, out, None, None, None, None


def _spread_unused(bags: Tensor, num_bags: int, used: Tensor) -> Tensor:
    """Put unused entries into spare bags after the others, a few in each.

    On a GPU, one block processes one bag. A single bag for all unused entries would take by far the longest.
    """
    spare = torch.arange(len(bags), device=bags.device) // _SPARE_BAG
    return torch.where(used, bags, num_bags + spare)


def _bag_sums(vectors: Tensor, indices: Tensor, weights: Tensor, bags: Tensor, num_bags: int) -> Tensor:
    """Weighted sums of vectors (num_bags, D), bag by bag.

    Args:
        vectors: (m, D).
        indices: (n, k) of vectors; values in spare bags do not matter.
        weights: n * k weights.
        bags: (n,) bag of every entry, ascending; bags from ``num_bags`` on are spare ones, whose entries are ignored.
        num_bags: Number of bags to return.
    """
    total, padding = num_bags + len(bags) // _SPARE_BAG + 1, len(vectors)
    vectors = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
    indices = torch.where((bags < num_bags).unsqueeze(1), indices, padding)
    starts = torch.searchsorted(bags, torch.arange(total, device=bags.device), out_int32=True) * indices.shape[1]
    sums = F.embedding_bag(
        indices.flatten().int(),
        vectors,
        starts,
        mode='sum',
        per_sample_weights=weights.flatten(),
        padding_idx=padding,
    )
    return sums[:num_bags]


def _corner_weights(in_size: tuple[int, int], out_size: tuple[int, int], like: Tensor) -> Tensor:
    """Bilinear weights (H*W, 4) of the upper left, upper right, lower left and lower right neighbour."""
    _, weight_y = bilinear_axis(in_size[0], out_size[0], like.device, like.dtype)
    _, weight_x = bilinear_axis(in_size[1], out_size[1], like.device, like.dtype)
    along_y = torch.stack([1 - weight_y, weight_y], 1)
    along_x = torch.stack([1 - weight_x, weight_x], 1)
    return torch.einsum('ya,xb->yxab', along_y, along_x).reshape(-1, 4)
