"""Position embeddings and tables of relative positions for images or windows of another size."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvice.utils.weight_formats import Weights

_EMBEDDINGS = ('pos_embed', 'absolute_pos_embed')
_TABLE = 'relative_position_bias_table'


def resize_position_tables(given: Weights, backbone: nn.Module) -> Weights:
    """Resize what belongs to places of an image or a window to the size that a backbone has.

    The backbones of MMPretrain and MMSegmentation are Vision Transformers and Swin Transformers. Resizing is bicubic,
    as theirs is. Where two sizes are no grids, the weight stays as it is.

    Args:
        given: Weights under mmvice's names.
        backbone: The backbone that is to take them.

    Returns:
        Weights: The same, with resized ones in place.
    """
    for name, own in backbone.state_dict().items():
        name = f'backbone.{name}'
        value = given.weights.get(name)
        if value is None or value.shape == own.shape:
            continue
        last = name.rpartition('.')[2]
        if last == _TABLE and value.ndim == 2 and value.shape[1] == own.shape[1]:
            given.weights[name] = _resize_table(value, own)
            index = name.replace(_TABLE, 'relative_position_index')
            if index in given.weights:  # it follows from the size of the window
                given.weights[index] = backbone.state_dict()[index.removeprefix('backbone.')]
        if last in _EMBEDDINGS and value.ndim == 3 and value.shape[2] == own.shape[2]:
            given.weights[name] = _resize_embedding(value, own, backbone)
    return given


def _resize_table(value: Tensor, own: Tensor) -> Tensor:
    sides = math.isqrt(len(value)), math.isqrt(len(own))
    if (sides[0] ** 2, sides[1] ** 2) != (len(value), len(own)):
        return value
    return _resize(value, (sides[0],) * 2, (sides[1],) * 2)


def _resize_embedding(value: Tensor, own: Tensor, backbone: nn.Module) -> Tensor:
    grid = getattr(getattr(backbone, 'patch_embed', None), 'init_out_size', None)
    side = math.isqrt(own.shape[1])
    grid = tuple(grid) if grid else (side, side)  # MMSegmentation's does not tell it where images are square
    extra = own.shape[1] - math.prod(grid)
    side = math.isqrt(max(value.shape[1] - extra, 0))
    if side**2 != value.shape[1] - extra or not 0 <= extra < min(own.shape[1], value.shape[1]):
        return value
    return torch.cat((value[:, :extra], _resize(value[0, extra:], (side, side), grid)[None]), 1)


def _resize(value: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Resize rows (h * w, C) of a grid."""
    grid = value.T.reshape(1, -1, *size)
    return F.interpolate(grid, new_size, mode='bicubic', align_corners=False).flatten(2)[0].T.contiguous()
