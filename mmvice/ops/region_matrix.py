"""The sparse matrix (regions x low-resolution pixels) of region sums, on the CPU.

Its entry for region i and low-resolution pixel k is ``a_ik = sum_j c_j w_jk`` over the pixels j of the region, where
w_jk is the bilinear weight and c_j a weight of the pixel. For each k, the loop visits all pixels around k. Every entry
is therefore complete after one visit, without sorting.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.utils.jit import jit, share_out

from .axis import bilinear_axis


def region_matrix(
    pixel_weights: Tensor, ids: Tensor, in_size: tuple[int, int], num_ids: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Entries of the matrix, region by region, in the format of ``F.embedding_bag``.

    Args:
        pixel_weights: (B, H, W) weight c_j of every pixel, on the CPU; gradients flow back to it.
        ids: (B, H, W) int64 global region ids, each of which occurs in one map only; -1 for pixels of no region.
        in_size: Low resolution (h, w).
        num_ids: Number of regions R.

    Returns:
        Values (n,) of the entries; their columns, int32 (n,), among the B * h * w low-resolution pixels; and the first
        entry of every region, int32 (R,).

    Example:
        >>> ids = torch.tensor([[[0, 0, -1, 1]]])  # a row of four pixels over a row of two
        >>> values, columns, starts = region_matrix(torch.ones(1, 1, 4), ids, (1, 2), 2)
        >>> values.tolist(), columns.tolist(), starts.tolist()
        ([1.75, 0.25, 1.0], [0, 1, 1], [0, 2])
    """
    axes = []
    for low, full in zip(in_size, ids.shape[1:]):
        lower, weight = (part.numpy() for part in bilinear_axis(low, full, 'cpu', pixel_weights.dtype))
        axes += [np.searchsorted(lower, np.arange(low + 1)), weight]
    where = (ids.contiguous().numpy(), *axes)
    threads = min(torch.get_num_threads(), len(ids))
    counts = np.zeros(num_ids + 1, np.int32)
    share_out(partial(_count, *where, counts[1:]), 0, len(ids), threads)
    starts = counts.cumsum(dtype=np.int32)
    columns = np.empty(starts[-1], np.int32)
    values = _Values.apply(pixel_weights, partial(_pass_on, *where, starts, columns), len(columns), threads)
    return values, torch.from_numpy(columns), torch.from_numpy(starts[:-1])


class _Values(torch.autograd.Function):
    """Values of the entries from the weights of the pixels."""

    @staticmethod
    def forward(ctx, pixel_weights: Tensor, pass_on: partial, num_entries: int, threads: int) -> Tensor:
        weights = pixel_weights.detach().contiguous()
        values = weights.new_zeros(num_entries)
        share_out(partial(pass_on, weights.numpy(), values.numpy(), False), 0, len(weights), threads)
        ctx.pass_on, ctx.shape, ctx.threads = pass_on, weights.shape, threads
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple:
        out = grad.new_zeros(ctx.shape)
        share_out(partial(ctx.pass_on, out.numpy(), grad.contiguous().numpy(), True), 0, len(out), ctx.threads)
        return out, None, None, None


@jit
def _count(ids, y_first, y_weight, x_first, x_weight, counts, first, last):
    """Count the entries of every region in maps ``first`` to ``last - 1``.

    ``y_first[k]`` is the first row of pixels whose lower neighbour is at least k; ``y_weight`` is the upper weight.
    """
    height, width = len(y_first) - 1, len(x_first) - 1
    one = y_weight.dtype.type(1)
    last_seen = np.full(len(counts), -1, np.int64)
    for here in range(first * height * width, last * height * width):
        b, k_y, k_x = here // (height * width), here // width % height, here % width
        for y in range(y_first[max(k_y - 1, 0)], y_first[k_y + 1]):
            share_y = y_weight[y] if y < y_first[k_y] else one - y_weight[y]
            for x in range(x_first[max(k_x - 1, 0)], x_first[k_x + 1]):
                share_x = x_weight[x] if x < x_first[k_x] else one - x_weight[x]
                i = ids[b, y, x]
                if i >= 0 and share_y * share_x > 0 and last_seen[i] != here:
                    last_seen[i] = here
                    counts[i] += 1


@jit
def _pass_on(ids, y_first, y_weight, x_first, x_weight, starts, columns, pixels, values, backward, first, last):
    """Add the weighted ``pixels`` (B, H, W) to the ``values`` of the entries, or the reverse if backward.

    The order of entries is that of :func:`_count`. Their columns are written.
    """
    height, width = len(y_first) - 1, len(x_first) - 1
    one = y_weight.dtype.type(1)
    last_seen, entry = np.full(len(starts), -1, np.int64), starts - np.int32(1)
    for here in range(first * height * width, last * height * width):
        b, k_y, k_x = here // (height * width), here // width % height, here % width
        for y in range(y_first[max(k_y - 1, 0)], y_first[k_y + 1]):
            share_y = y_weight[y] if y < y_first[k_y] else one - y_weight[y]
            for x in range(x_first[max(k_x - 1, 0)], x_first[k_x + 1]):
                share_x = x_weight[x] if x < x_first[k_x] else one - x_weight[x]
                share = share_y * share_x
                i = ids[b, y, x]
                if not (i >= 0 and share > 0):
                    continue
                if last_seen[i] != here:
                    last_seen[i] = here
                    entry[i] += 1
                    columns[entry[i]] = here
                if backward:
                    pixels[b, y, x] += share * values[entry[i]]
                else:
                    values[entry[i]] += share * pixels[b, y, x]
