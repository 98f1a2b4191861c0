"""Bilinear interpolation along one axis: neighbours and weights."""

from functools import lru_cache

import torch
from torch import Tensor

from mmvice.utils.device import to_device


@lru_cache(maxsize=64)
def _axis(in_size: int, out_size: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # what is kept may be asked for by a training later
        source = (torch.arange(out_size, dtype=torch.float64) + 0.5) * (in_size / out_size) - 0.5
        source = source.clamp_(0, in_size - 1)
        lower = source.floor().clamp_(max=max(in_size - 2, 0))
        return to_device(lower.long(), device), to_device((source - lower).to(dtype), device)


def bilinear_axis(in_size: int, out_size: int, device: torch.device | str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Neighbours and weights of bilinear interpolation along one axis (``align_corners=False``).

    Args:
        in_size: Length ``n`` of the low-resolution axis.
        out_size: Length ``N`` of the output axis; it may be larger or smaller than ``n``.
        device: Device of the result.
        dtype: Floating dtype of the weights.

    Returns:
        ``lower`` (N,) int64 and ``weight`` (N,) in [0, 1]: output j is ``(1 - weight[j]) * x[lower[j]] + weight[j] *
            x[lower[j] + 1]``. For ``n = 1`` every weight is 0, and ``lower + 1`` must be read as ``lower``.

    Example:
        >>> lower, weight = bilinear_axis(2, 4, 'cpu', torch.float64)
        >>> lower.tolist(), weight.tolist()
        ([0, 0, 0, 0], [0.0, 0.25, 0.75, 1.0])
    """
    if in_size < 1 or out_size < 1:
        raise ValueError(f'sizes must be at least 1, got in_size={in_size} and out_size={out_size}')
    return _axis(in_size, out_size, torch.device(device), dtype)
