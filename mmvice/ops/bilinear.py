"""Bilinear upsampling as small matrices, to compute quadratic forms of upsampled vectors at low resolution.

With ``align_corners=False`` a pixel's upsampled vector is ``u = sum_k w_k f_k`` over at most four low-resolution
neighbours. Each weight is the product of a weight along y and a weight along x. Everything below follows from that.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.utils.device import to_device
from mmvice.utils.jit import jit, share_out
from mmvice.utils.triton import use_kernels

from .axis import bilinear_axis


@lru_cache(maxsize=64)
def _matrices(in_size: int, out_size: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        lower, weight = bilinear_axis(in_size, out_size, 'cpu', torch.float64)
        rows = torch.arange(out_size)
        linear = torch.zeros(out_size, in_size, dtype=torch.float64)
        quadratic = torch.zeros(out_size, 2 * in_size - 1, dtype=torch.float64)
        linear[rows, lower] = 1 - weight
        quadratic[rows, 2 * lower] = (1 - weight) ** 2
        if in_size > 1:
            linear[rows, lower + 1] = weight
            quadratic[rows, 2 * lower + 1] = 2 * weight * (1 - weight)
            quadratic[rows, 2 * lower + 2] = weight**2
        return to_device(linear.to(dtype), device), to_device(quadratic.to(dtype), device)


def linear_matrix(in_size: int, out_size: int, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Bilinear interpolation along one axis as a matrix (N, n)."""
    return _matrices(in_size, out_size, torch.device(device), dtype)[0]


def quadratic_matrix(in_size: int, out_size: int, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Products of the two interpolation weights along one axis as a matrix (N, 2n - 1).

    Column ``2k`` has the squared weight of neighbour k. Column ``2k + 1`` has twice the product of the weights of k and
    k + 1. ``quadratic_y @ gram_map @ quadratic_x.T`` is then the squared norm of every upsampled vector.
    """
    return _matrices(in_size, out_size, torch.device(device), dtype)[1]


def gram_map(rows: Tensor) -> Tensor:
    """Inner products between every low-resolution vector and its neighbours, interleaved in one map.

    Args:
        rows: Low-resolution vectors (B, h, w, D).

    Returns:
        Tensor: (B, 2h - 1, 2w - 1). Entry (2y, 2x) is the product of the vector at (y, x) with itself. An odd column
            has the product with the right neighbour, an odd row that with the lower neighbour. An entry with odd row
            and column is the mean of the products of the two diagonals.

    Example:
        >>> gram_map(torch.tensor([[1., 0.], [1., 1.]]).reshape(1, 1, 2, 2)).tolist()
        [[[1.0, 1.0, 2.0]]]
    """
    return _GramMap.apply(rows)


def gram_map_of_image(features: Tensor) -> Tensor:
    """:func:`gram_map` (2h - 1, 2w - 1) of one image's features (D, h, w) on the CPU, in a network's layout.

    No gradient flows back.
    """
    features = features.detach().contiguous()
    _, height, width = features.shape
    gram = features.new_empty(2 * height - 1, 2 * width - 1)
    share_out(partial(_fill_gram_of_image, features.numpy(), gram.numpy()), 0, height, torch.get_num_threads())
    return gram


def linear_map(features: Tensor, weight: Tensor) -> Tensor:
    """``weight @ features`` at every pixel: (B, C, h, w) from (B, D, h, w) and (C, D).

    On the CPU this is a convolution. On a GPU, a convolution would round its inputs to TF32 by default.
    """
    if features.is_cuda:
        return (weight @ features.flatten(2)).unflatten(2, features.shape[2:])
    return F.conv2d(features, weight[:, :, None, None])


def squared_lengths(gram: Tensor, size: Sequence[int]) -> Tensor:
    """Squared lengths |u_j|^2 of the upsampled vectors, from the inner products of neighbours.

    If the four neighbours cancel, rounding may give any value below ``eps * sum_k w_k^2 |f_k|^2``. Four times this
    bound is the smallest result. It limits the length of a normalised vector to about 1.

    Args:
        gram: (B, 2h - 1, 2w - 1), see :func:`gram_map`; gradients flow back to it.
        size: Upsampled size (H, W).

    Returns:
        Tensor: (B, H, W).
    """
    y, x = (quadratic_matrix((low + 1) // 2, full, gram.device, gram.dtype) for low, full in zip(gram.shape[1:], size))
    squared = y @ gram @ x.T
    with torch.no_grad():
        own = y[:, ::2] @ gram[:, ::2, ::2] @ x[:, ::2].T
    return torch.maximum(squared, own * floor_of_squares(own.dtype))


def floor_of_squares(dtype: torch.dtype) -> float:
    """Smallest squared length of an upsampled vector, relative to that of its neighbours without cancellation."""
    return 4 * torch.finfo(dtype).eps


def gram_map_adjoint(coefficients: Tensor, rows: Tensor) -> Tensor:
    """Sum of outer products of neighbouring vectors, weighted by a map laid out like :func:`gram_map`.

    Args:
        coefficients: (B, 2h - 1, 2w - 1).
        rows: (B, h, w, D).

    Returns:
        Tensor: Symmetric (D, D). With ``coefficients = quadratic_y.T @ c @ quadratic_x`` it is the sum over all pixels
            of ``c_j u_j u_j^T``, computed without upsampled vectors.
    """
    if not (torch.is_grad_enabled() and (coefficients.requires_grad or rows.requires_grad)):
        return _adjoint_in_one_product(coefficients.detach(), rows.detach())
    falling = coefficients[:, 1::2, 1::2] / 2
    total = _outer(coefficients[:, ::2, ::2], rows, rows)
    total = total + _outer(coefficients[:, ::2, 1::2], rows[:, :, :-1], rows[:, :, 1:])
    total = total + _outer(coefficients[:, 1::2, ::2], rows[:, :-1], rows[:, 1:])
    total = total + _outer(falling, rows[:, :-1, :-1], rows[:, 1:, 1:])
    total = total + _outer(falling, rows[:, :-1, 1:], rows[:, 1:, :-1])
    return (total + total.T) / 2


def _adjoint_in_one_product(coefficients: Tensor, rows: Tensor) -> Tensor:
    """Sum the neighbours of every vector first, to need only one of the five matrix products."""
    dims = rows.shape[-1]
    total = rows.reshape(-1, dims).T @ _gram_gradient(rows, coefficients.to(rows.dtype)).reshape(-1, dims) / 2
    return (total + total.T) / 2


class _GramMap(torch.autograd.Function):
    """On the CPU, loops read the vectors once; other devices use products of whole maps."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        if rows.device.type == 'cpu':
            return _gram_by_loops(rows)
        if use_kernels(rows):
            from .cell_kernels import cell_gram_map  # imports Triton

            return cell_gram_map(rows)
        return _gram_by_products(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        return _gram_gradient(rows, grad)


def _gram_gradient(rows: Tensor, grad: Tensor) -> Tensor:
    if rows.device.type == 'cpu':
        return _gradient_by_loops(rows, grad)
    if use_kernels(rows):
        from .cell_kernels import cell_gram_gradient  # imports Triton

        return cell_gram_gradient(rows, grad)
    return _gradient_by_products(rows, grad)


def _gram_by_products(rows: Tensor) -> Tensor:
    batch, height, width, _ = rows.shape
    gram = rows.new_empty(batch, 2 * height - 1, 2 * width - 1)
    gram[:, ::2, ::2] = _dot(rows, rows)
    gram[:, ::2, 1::2] = _dot(rows[:, :, :-1], rows[:, :, 1:])
    gram[:, 1::2, ::2] = _dot(rows[:, :-1], rows[:, 1:])
    falling = _dot(rows[:, :-1, :-1], rows[:, 1:, 1:])
    rising = _dot(rows[:, :-1, 1:], rows[:, 1:, :-1])
    gram[:, 1::2, 1::2] = (falling + rising) / 2
    return gram


def _gradient_by_products(rows: Tensor, grad: Tensor) -> Tensor:
    """Adds into one buffer; autograd would pad every slice to full size."""
    grad = grad.unsqueeze(-1)
    out = rows * (2 * grad[:, ::2, ::2])
    _add_products(out[:, :, :-1], out[:, :, 1:], rows[:, :, :-1], rows[:, :, 1:], grad[:, ::2, 1::2])
    _add_products(out[:, :-1], out[:, 1:], rows[:, :-1], rows[:, 1:], grad[:, 1::2, ::2])
    diagonal = grad[:, 1::2, 1::2] / 2
    _add_products(out[:, :-1, :-1], out[:, 1:, 1:], rows[:, :-1, :-1], rows[:, 1:, 1:], diagonal)
    _add_products(out[:, :-1, 1:], out[:, 1:, :-1], rows[:, :-1, 1:], rows[:, 1:, :-1], diagonal)
    return out


def _gram_by_loops(rows: Tensor) -> Tensor:
    batch, height, width, _ = rows.shape
    gram = rows.new_empty(batch, 2 * height - 1, 2 * width - 1)
    fill = partial(_fill_gram, rows.detach().contiguous().numpy(), gram.numpy())
    share_out(fill, 0, batch * height, torch.get_num_threads())
    return gram


def _gradient_by_loops(rows: Tensor, grad: Tensor) -> Tensor:
    out = torch.empty(rows.shape, dtype=rows.dtype)
    fill = partial(_fill_gradient, rows.detach().contiguous().numpy(), grad.contiguous().numpy(), out.numpy())
    share_out(fill, 0, len(rows) * rows.shape[1], torch.get_num_threads())
    return out


@partial(jit, fastmath={'reassoc', 'contract'})  # dot products in any order of summands
def _fill_gram(rows, gram, first, last):
    """:func:`gram_map` of rows (B, h, w, D), for the image rows ``first`` to ``last - 1`` of the B * h."""
    _, height, width, dims = rows.shape
    for line in range(first, last):
        b, y = line // height, line % height
        y_below = min(y + 1, height - 1)
        for x in range(width):
            x_right = min(x + 1, width - 1)
            own, right = rows[b, y, x], rows[b, y, x_right]
            below, beyond = rows[b, y_below, x], rows[b, y_below, x_right]
            square = across = down = diagonals = rows.dtype.type(0)
            for k in range(dims):
                square += own[k] * own[k]
                across += own[k] * right[k]
                down += own[k] * below[k]
                diagonals += own[k] * beyond[k] + right[k] * below[k]
            gram[b, 2 * y, 2 * x] = square
            if x + 1 < width:
                gram[b, 2 * y, 2 * x + 1] = across
            if y + 1 < height:
                gram[b, 2 * y + 1, 2 * x] = down
                if x + 1 < width:
                    gram[b, 2 * y + 1, 2 * x + 1] = diagonals / rows.dtype.type(2)


@jit
def _fill_gram_of_image(features, gram, first, last):
    """:func:`gram_map` of one image's features (D, h, w), for its rows ``first`` to ``last - 1``."""
    dims, height, width = features.shape
    sums = np.zeros((4, last - first, width), gram.dtype)  # with itself, right, below, and along both diagonals
    for k in range(dims):
        for y in range(first, last):
            row, below = features[k, y], features[k, min(y + 1, height - 1)]
            squares, across, down, diagonals = sums[:, y - first]
            for x in range(width - 1):
                squares[x] += row[x] * row[x]
                across[x] += row[x] * row[x + 1]
                down[x] += row[x] * below[x]
                diagonals[x] += row[x] * below[x + 1] + row[x + 1] * below[x]
            squares[width - 1] += row[width - 1] * row[width - 1]
            down[width - 1] += row[width - 1] * below[width - 1]
    odd = slice(2 * first + 1, min(2 * last, len(gram)), 2)
    between = min(last, height - 1) - first
    gram[2 * first : 2 * last : 2, ::2] = sums[0]
    gram[2 * first : 2 * last : 2, 1::2] = sums[1, :, :-1]
    gram[odd, ::2] = sums[2, :between]
    gram[odd, 1::2] = sums[3, :between, :-1] / gram.dtype.type(2)


@jit
def _fill_gradient(rows, grad, out, first, last):
    """Gradient of :func:`gram_map` with respect to its rows, for the image rows ``first`` to ``last - 1``."""
    _, height, width, dims = rows.shape
    two = rows.dtype.type(2)
    for line in range(first, last):
        b, y = line // height, line % height
        for x in range(width):
            here = out[b, y, x]
            own, weight = rows[b, y, x], two * grad[b, 2 * y, 2 * x]
            for k in range(dims):
                here[k] = weight * own[k]
            for y_other in range(max(y - 1, 0), min(y + 2, height)):
                for x_other in range(max(x - 1, 0), min(x + 2, width)):
                    if y_other == y and x_other == x:
                        continue
                    other, weight = rows[b, y_other, x_other], grad[b, y + y_other, x + x_other]
                    if y_other != y and x_other != x:
                        weight /= two
                    for k in range(dims):
                        here[k] += weight * other[k]


def _add_products(out_a: Tensor, out_b: Tensor, a: Tensor, b: Tensor, weight: Tensor) -> None:
    out_a.addcmul_(b, weight)
    out_b.addcmul_(a, weight)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _outer(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    dims = a.shape[-1]
    return (a * weight.unsqueeze(-1)).reshape(-1, dims).T @ b.reshape(-1, dims)
