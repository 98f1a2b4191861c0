"""Normalising vectors of any length: no square overflows or underflows, and a zero vector has no gradient."""

import math

import torch
from torch import Tensor

SMALLEST_SQUARE = 1e-24
"""Squared length, relative to the largest square beside it, up to which a vector counts as zero."""

SAFE_MAGNITUDES = 2.0**-10, 2.0**16
"""Largest value of a map with which fp32 has room for squares and inverse cubes of lengths; fp16 ends there."""


def reciprocal_power_of_two(largest: Tensor) -> Tensor:
    """Powers of two that scale values of this magnitude to 0.5 to 1.

    Multiplying by a power of two does not round. Results of scaled values therefore have the same bits as those of
    unscaled values, unless the latter overflow or underflow.

    Args:
        largest: Magnitudes of any shape, at least 0, in fp32 or fp64.

    Returns:
        Tensor: Of the same shape and dtype, without gradient; 1 for a magnitude of 0.

    Example:
        >>> reciprocal_power_of_two(torch.tensor([0.75, 6., 0., 1e-30])).tolist()
        [1.0, 0.125, 1.0, 6.338253001141147e+29]
    """
    limit = math.frexp(torch.finfo(largest.dtype).max)[1] - 2  # the power of two that has a reciprocal, too
    exponent = torch.frexp(largest.detach()).exponent.clamp(-limit, limit)
    return torch.ldexp(torch.ones_like(largest), -exponent)


def safe_scale(largest: Tensor) -> Tensor:
    """Powers of two to scale values before they are squared and divided by their length.

    Args:
        largest: Magnitudes of any shape, at least 0, in fp32 or fp64.

    Returns:
        Tensor: 1 for magnitudes in :data:`SAFE_MAGNITUDES`, else :func:`reciprocal_power_of_two`.

    Example:
        >>> safe_scale(torch.tensor([0.75, 6., 2.**20])).tolist()
        [1.0, 1.0, 4.76837158203125e-07]
    """
    smallest, greatest = SAFE_MAGNITUDES
    unsafe = (largest < smallest) | (largest > greatest)
    return torch.where(unsafe, reciprocal_power_of_two(largest), 1)


def largest_magnitude(values: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Largest absolute value along ``dim``, which is kept with length 1; no gradient."""
    values = values.detach()
    return torch.maximum(values.amax(dim, keepdim=True), -values.amin(dim, keepdim=True))


def inverse_lengths(squares: Tensor) -> Tensor:
    """``1 / sqrt(squares)``; zeros, without gradient, up to :data:`SMALLEST_SQUARE`. A NaN stays one."""
    return torch.where(squares <= SMALLEST_SQUARE, 0, squares.clamp_min(SMALLEST_SQUARE).rsqrt())


def unit_vectors(vectors: Tensor, dim: int = -1) -> Tensor:
    """Normalise vectors along ``dim`` to unit length; a zero vector stays zero and gets no gradient.

    ``F.normalize`` has three faults that this function avoids. It shortens vectors below 1e-12. It turns vectors above
    1e19 (in fp32) into zeros. It gives a zero vector a gradient of 1e12 times the incoming one, which overflows in
    fp16.

    Args:
        vectors: Of any shape, in fp32 or fp64.
        dim: Dimension of the coordinates.

    Example:
        >>> unit_vectors(torch.tensor([[3e-30, 4e-30], [3e30, 4e30], [0., 0.]])).round(decimals=4)
        tensor([[0.6000, 0.8000],
                [0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    if not vectors.shape[dim] or not vectors.numel():
        return vectors.clone()
    scaled = vectors * reciprocal_power_of_two(largest_magnitude(vectors, dim))
    return scaled * inverse_lengths(scaled.square().sum(dim, keepdim=True))
