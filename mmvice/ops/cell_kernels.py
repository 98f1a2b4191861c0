"""Triton kernels for a GPU: region sums and inner products of neighbours, one program for each interpolation cell.

A cell is the square between four low-resolution vectors. All its pixels are weighted sums of these four, which a
program loads once. The kernels therefore need no sorting, no counting and no array with an entry for each pixel.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.utils.device import to_device

from .axis import bilinear_axis


def cell_region_sums(rows: Tensor, pixel_weights: Tensor, ids: Tensor, num_ids: int) -> Tensor:
    """Sums (R, D) over regions of the weighted, bilinearly upsampled vectors.

    Args:
        rows: Low-resolution vectors (B, h, w, D); gradients flow back to them.
        pixel_weights: (B, H, W) weight of every pixel, of the same dtype; gradients flow back to them.
        ids: (B, H, W) integer region ids in 0..R-1; negative for pixels of no region.
        num_ids: Number of regions R.
    """
    return _CellRegionSums.apply(rows, pixel_weights, ids, num_ids)


class _CellRegionSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, pixel_weights: Tensor, ids: Tensor, num_ids: int) -> Tensor:
        rows, pixel_weights, ids = rows.contiguous(), pixel_weights.contiguous(), ids.contiguous()
        ctx.save_for_backward(rows, pixel_weights, ids)
        sums = rows.new_zeros(num_ids, rows.shape[-1])
        grid, arguments = _cells(rows, ids)
        _sum_cell[grid](rows, pixel_weights, ids, sums, **arguments)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple:
        rows, pixel_weights, ids = ctx.saved_tensors
        rows_grad, weights_grad = torch.zeros_like(rows), torch.zeros_like(pixel_weights)
        grid, arguments = _cells(rows, ids)
        _pass_back_cell[grid](rows, pixel_weights, ids, grad.contiguous(), rows_grad, weights_grad, **arguments)
        return rows_grad, weights_grad, None, None


def _cells(rows: Tensor, ids: Tensor) -> tuple[tuple[int], dict]:
    """The grid of programs, and the arguments that describe cells."""
    batch, height, width, dims = rows.shape
    full_height, full_width = ids.shape[1:]
    block = triton.next_power_of_2(dims)
    cells_y, cells_x = max(height - 1, 1), max(width - 1, 1)
    arguments = dict(
        y_first=_first_pixels(height, full_height, rows.device),
        x_first=_first_pixels(width, full_width, rows.device),
        y_weight=bilinear_axis(height, full_height, rows.device, rows.dtype)[1],
        x_weight=bilinear_axis(width, full_width, rows.device, rows.dtype)[1],
        height=height,
        width=width,
        cells_y=cells_y,
        cells_x=cells_x,
        full_height=full_height,
        full_width=full_width,
        dims=dims,
        BLOCK=block,
        num_warps=_warps(block),
    )
    return (batch * cells_y * cells_x,), arguments


@lru_cache(maxsize=64)
def _first_pixels(in_size: int, out_size: int, device: torch.device) -> Tensor:
    """First pixel of every cell along one axis, and the number of pixels."""
    with torch.inference_mode(False):  # kept for trainings, too
        lower, _ = bilinear_axis(in_size, out_size, 'cpu', torch.float64)
        return to_device(torch.searchsorted(lower, torch.arange(max(in_size - 1, 1) + 1)), device)


def _warps(block: int) -> int:
    return min(max(block // 256, 1), 8)


@triton.jit
def _corners(cell, height, width, cells_y, cells_x, dims, BLOCK: tl.constexpr):
    """Map, row and column of a cell, and the offsets of its four vectors; a map of one row or column repeats some."""
    batch, y, x = (cell // (cells_x * cells_y)).to(tl.int64), cell // cells_x % cells_y, cell % cells_x
    right, below = tl.where(width > 1, dims, 0), tl.where(height > 1, width * dims, 0)
    first = ((batch * height + y) * width + x) * dims + tl.arange(0, BLOCK)
    return batch, y, x, first, first + right, first + below, first + below + right


@triton.jit
def _sum_cell(
    rows, pixel_weights, ids, sums, y_first, x_first, y_weight, x_weight,
    height, width, cells_y, cells_x, full_height, full_width, dims, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sum pixel by pixel; add the sum to its region when the next pixel belongs to another region."""
    batch, y, x, at_a, at_b, at_c, at_d = _corners(tl.program_id(0), height, width, cells_y, cells_x, dims, BLOCK)
    channels = tl.arange(0, BLOCK)
    mask = channels < dims
    a, b = tl.load(rows + at_a, mask, 0.0), tl.load(rows + at_b, mask, 0.0)
    c, d = tl.load(rows + at_c, mask, 0.0), tl.load(rows + at_d, mask, 0.0)
    region = tl.full((), -1, tl.int64)
    total = tl.zeros((BLOCK,), rows.dtype.element_ty)
    for row in range(tl.load(y_first + y), tl.load(y_first + y + 1)):
        share_y = tl.load(y_weight + row)
        for column in range(tl.load(x_first + x), tl.load(x_first + x + 1)):
            share_x = tl.load(x_weight + column)
            pixel = (batch * full_height + row) * full_width + column
            here = tl.load(ids + pixel).to(tl.int64)
            if here != region:
                tl.atomic_add(sums + region * dims + channels, total, mask & (region >= 0), sem='relaxed')
                total = tl.zeros((BLOCK,), rows.dtype.element_ty)
                region = here
            upper, lower = a + share_x * (b - a), c + share_x * (d - c)
            total += tl.load(pixel_weights + pixel) * (upper + share_y * (lower - upper))
    tl.atomic_add(sums + region * dims + channels, total, mask & (region >= 0), sem='relaxed')


@triton.jit
def _pass_back_cell(
    rows, pixel_weights, ids, grad, rows_grad, weights_grad, y_first, x_first, y_weight, x_weight,
    height, width, cells_y, cells_x, full_height, full_width, dims, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of the weights, which are inner products, and of the four vectors."""
    batch, y, x, at_a, at_b, at_c, at_d = _corners(tl.program_id(0), height, width, cells_y, cells_x, dims, BLOCK)
    channels = tl.arange(0, BLOCK)
    mask = channels < dims
    a, b = tl.load(rows + at_a, mask, 0.0), tl.load(rows + at_b, mask, 0.0)
    c, d = tl.load(rows + at_c, mask, 0.0), tl.load(rows + at_d, mask, 0.0)
    region = tl.full((), -1, tl.int64)
    mean = tl.zeros((BLOCK,), rows.dtype.element_ty)
    to_a, to_b, to_c, to_d = mean, mean, mean, mean
    for row in range(tl.load(y_first + y), tl.load(y_first + y + 1)):
        share_y = tl.load(y_weight + row)
        for column in range(tl.load(x_first + x), tl.load(x_first + x + 1)):
            share_x = tl.load(x_weight + column)
            pixel = (batch * full_height + row) * full_width + column
            here = tl.load(ids + pixel).to(tl.int64)
            if here != region:
                mean = tl.load(grad + here * dims + channels, mask & (here >= 0), 0.0)
                region = here
            upper, lower = a + share_x * (b - a), c + share_x * (d - c)
            tl.store(weights_grad + pixel, tl.sum(mean * (upper + share_y * (lower - upper))))
            share = tl.load(pixel_weights + pixel) * mean
            to_a += (1 - share_y) * (1 - share_x) * share
            to_b += (1 - share_y) * share_x * share
            to_c += share_y * (1 - share_x) * share
            to_d += share_y * share_x * share
    tl.atomic_add(rows_grad + at_a, to_a, mask, sem='relaxed')
    tl.atomic_add(rows_grad + at_b, to_b, mask, sem='relaxed')
    tl.atomic_add(rows_grad + at_c, to_c, mask, sem='relaxed')
    tl.atomic_add(rows_grad + at_d, to_d, mask, sem='relaxed')


def cell_gram_map(rows: Tensor) -> Tensor:
    """:func:`mmvice.ops.gram_map` (B, 2h - 1, 2w - 1) of rows (B, h, w, D), without gradients."""
    rows = rows.contiguous()
    batch, height, width, dims = rows.shape
    gram = rows.new_empty(batch, 2 * height - 1, 2 * width - 1)
    block = triton.next_power_of_2(dims)
    _gram_cell[(batch * height * width,)](rows, gram, height, width, dims, BLOCK=block, num_warps=_warps(block))
    return gram


def cell_gram_gradient(rows: Tensor, grad: Tensor) -> Tensor:
    """Gradient (B, h, w, D) of the rows from that of their gram map."""
    rows = rows.contiguous()
    batch, height, width, dims = rows.shape
    out, block = torch.empty_like(rows), triton.next_power_of_2(dims)
    grid, warps = (batch * height * width,), _warps(block)
    _pass_back_gram[grid](rows, grad.contiguous(), out, height, width, dims, BLOCK=block, num_warps=warps)
    return out


@triton.jit
def _gram_cell(rows, gram, height, width, dims, BLOCK: tl.constexpr):
    """The four entries of a vector, its right neighbour, the one below and the diagonal one."""
    vector = tl.program_id(0)
    batch, y, x = (vector // (width * height)).to(tl.int64), vector // width % height, vector % width
    channels = tl.arange(0, BLOCK)
    mask, right, below = channels < dims, x + 1 < width, y + 1 < height
    at = rows + ((batch * height + y) * width + x) * dims + channels
    a, b = tl.load(at, mask, 0.0), tl.load(at + dims, mask & right, 0.0)
    c = tl.load(at + width * dims, mask & below, 0.0)
    d = tl.load(at + width * dims + dims, mask & right & below, 0.0)
    to = gram + (batch * (2 * height - 1) + 2 * y) * (2 * width - 1) + 2 * x
    tl.store(to, tl.sum(a * a))
    tl.store(to + 1, tl.sum(a * b), right)
    tl.store(to + 2 * width - 1, tl.sum(a * c), below)
    tl.store(to + 2 * width, tl.sum(a * d + b * c) / 2, right & below)


@triton.jit
def _pass_back_gram(rows, grad, out, height, width, dims, BLOCK: tl.constexpr):
    """A vector contributes to nine entries, each with one of its neighbours."""
    vector = tl.program_id(0)
    batch, y, x = (vector // (width * height)).to(tl.int64), vector // width % height, vector % width
    channels = tl.arange(0, BLOCK)
    mask = channels < dims
    at = ((batch * height + y) * width + x) * dims + channels
    entry = grad + (batch * (2 * height - 1) + 2 * y) * (2 * width - 1) + 2 * x
    total = 2 * tl.load(entry) * tl.load(rows + at, mask, 0.0)
    for step in tl.static_range(1, 9):
        down, across = (step + 4) % 9 // 3 - 1, (step + 4) % 9 % 3 - 1
        inside = (y + down >= 0) & (y + down < height) & (x + across >= 0) & (x + across < width)
        weight = tl.load(entry + down * (2 * width - 1) + across, inside, 0.0)
        neighbour = tl.load(rows + at + (down * width + across) * dims, mask & inside, 0.0)
        total += neighbour * (weight / 2 if down * across != 0 else weight)
    tl.store(out + at, total, mask)
