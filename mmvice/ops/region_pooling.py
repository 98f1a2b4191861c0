"""Weighted sums of upsampled vectors over regions, without the upsampled map.

The sum over a region of ``c_j u_j`` is ``sum_k a_k f_k`` with ``a_k = sum_j c_j w_jk``: a sparse matrix (regions x
low-resolution pixels) times the low-resolution vectors. Work per pixel does not depend on the number of channels.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .bilinear import bilinear_axis


@lru_cache(maxsize=32)
def _cell_order(in_size: tuple[int, int], out_size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Order of the pixels of an (H, W) map that visits one interpolation cell after the other, and their cells."""
    lower_y, _ = bilinear_axis(in_size[0], out_size[0], 'cpu', torch.float64)
    lower_x, _ = bilinear_axis(in_size[1], out_size[1], 'cpu', torch.float64)
    cells = (lower_y[:, None] * in_size[1] + lower_x[None, :]).flatten()
    order = torch.argsort(cells, stable=True)
    return order.to(device), cells[order].to(device)


def global_region_ids(regions: Tensor, num_regions: list[int]) -> Tensor:
    """Number the regions of a batch consecutively, map after map.

    Args:
        regions: (B, H, W) integers: 0..num_regions[b]-1, negative where a pixel belongs to no region.
        num_regions: B ints.

    Returns:
        Tensor: int64 (B, H, W) in 0..sum(num_regions)-1, -1 where ``regions`` is negative.

    Raises:
        ValueError: If an id is not below its map's ``num_regions`` (on the CPU; a GPU is not held up for
            a look, and such pixels belong to no region there).
    """
    limits = torch.tensor(num_regions, dtype=torch.int64)
    offsets = (limits.cumsum(0) - limits).to(regions.device, non_blocking=True)
    if regions.device.type == 'cpu' and regions.numel():
        largest = regions.flatten(1).amax(1).long()
        for b in torch.nonzero(largest >= limits).flatten().tolist():
            raise ValueError(
                f'regions[{b}] holds id {int(largest[b])}, but num_regions[{b}] is {int(limits[b])}: '
                'ids must lie in 0..num_regions-1, with -1 for pixels of no region'
            )
    outside = (regions < 0) | (regions >= limits.to(regions.device, non_blocking=True)[:, None, None])
    return torch.where(outside, -1, regions.long() + offsets[:, None, None])


def region_sums(rows: Tensor, pixel_weights: Tensor | None, ids: Tensor, num_ids: int, mean: bool) -> Tensor:
    """Sum or mean over regions of the weighted, bilinearly upsampled vectors, computed at low resolution.

    Pixels are visited one interpolation cell after the other; consecutive pixels of one cell and one region share their
    four low-resolution neighbours and are summed first, so that channels enter only in one sparse product at the end.

    Args:
        rows: Low-resolution vectors (B, h, w, D).
        pixel_weights: (B, H, W) weight c_j of every pixel, or None for 1.
        ids: (B, H, W) int64 global region ids, -1 for pixels of no region.
        num_ids: Number of regions R.
        mean: Divide by the number of pixels of each region.

    Returns:
        Tensor: (R, D); zeros for a region without pixels.
    """
    batch, height, width, dims = rows.shape
    if num_ids == 0 or ids.numel() == 0:
        return rows.new_zeros(num_ids, dims) + 0 * rows.sum()
    size = (ids.shape[1], ids.shape[2])
    order, cells = _cell_order((height, width), size, rows.device)

    ids = ids.flatten(1)[:, order]
    starts = torch.ones_like(ids, dtype=torch.bool)
    starts[:, 1:] = (ids[:, 1:] != ids[:, :-1]) | (cells[1:] != cells[:-1])
    starts = starts.flatten()
    run_of_pixel = starts.cumsum(0) - 1
    first = starts.nonzero().flatten()
    run_ids = ids.flatten()[first]

    weights = _corner_weights((height, width), size, rows)[order]
    if pixel_weights is None:
        weights = weights.expand(batch, -1, -1)
    else:
        weights = weights * pixel_weights.flatten(1)[:, order].unsqueeze(-1)
    run_weights = rows.new_zeros(len(first), 4).index_add(0, run_of_pixel, weights.reshape(-1, 4))

    sorted_ids, by_id = run_ids.sort()
    by_id = by_id[int((sorted_ids < 0).sum()) :]
    run_ids, first, run_weights = run_ids[by_id], first[by_id], run_weights[by_id]
    if mean:
        counts = torch.bincount(ids.flatten() + 1, minlength=num_ids + 1)[1:]
        run_weights = run_weights / counts[run_ids].unsqueeze(1).to(rows.dtype)

    pixels = size[0] * size[1]
    corner = first // pixels * (height * width) + cells[first % pixels]
    right = 1 if width > 1 else 0
    below = width if height > 1 else 0
    neighbours = corner.unsqueeze(1) + torch.tensor([0, right, below, below + right], device=corner.device)
    offsets = torch.searchsorted(run_ids, torch.arange(num_ids, device=run_ids.device)) * 4
    return F.embedding_bag(
        neighbours.flatten(),
        rows.reshape(-1, dims),
        offsets,
        mode='sum',
        per_sample_weights=run_weights.flatten(),
    )


def _corner_weights(in_size: tuple[int, int], out_size: tuple[int, int], like: Tensor) -> Tensor:
    """Bilinear weights (H*W, 4) of the upper left, upper right, lower left and lower right neighbour."""
    _, weight_y = bilinear_axis(in_size[0], out_size[0], like.device, like.dtype)
    _, weight_x = bilinear_axis(in_size[1], out_size[1], like.device, like.dtype)
    along_y = torch.stack([1 - weight_y, weight_y], 1)
    along_x = torch.stack([1 - weight_x, weight_x], 1)
    return torch.einsum('ya,xb->yxab', along_y, along_x).reshape(-1, 4)
