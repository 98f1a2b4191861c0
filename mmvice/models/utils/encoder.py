"""What mmvice knows of a backbone: the maps it gives, the images it takes, and the depth of its layers."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .evaluation import evaluation

_SIDES = (64, 224, 256)  # what has windows may take no smaller maps than these


@dataclass(frozen=True)
class EncoderInfo:
    """What a backbone tells of itself.

    Attributes:
        out_channels: Channels of each map, finest first.
        strides: Pixels between neighbouring cells of each map.
        patch_size: Side of the patches that the image is cut into, None for none.
        mean, std: Normalisation that its weights were trained with, RGB from 0 to 255; None where it is not known.
    """

    out_channels: tuple[int, ...]
    strides: tuple[int, ...]
    patch_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def multiple(self) -> int:
        """What the sides of an image are multiples of, so that each map has whole cells only.

        Strides that do not divide each other, as of a network that does not pad, count by the largest.
        """
        largest, common = max(self.strides), math.lcm(*self.strides, self.patch_size or 1)
        return common if common <= 2 * largest else largest


@torch.no_grad()
def try_encoder(backbone: nn.Module) -> tuple[EncoderInfo | None, Sequence[Tensor] | None]:
    """Run a backbone on a small black image, in evaluation: no random number is drawn, no statistic changes.

    Milliseconds for a ResNet-18, a quarter of a second for a ResNet-152.

    Returns:
        tuple: What the backbone tells of itself, and its maps. Both are None for a backbone without weights. For one
        that takes no image of about 64x64, 224x224 or 256x256 the maps are None, and so is the first unless the
        backbone has attributes ``out_channels`` and ``strides``.

    Raises:
        ValueError: If the backbone gives other things than feature maps (B, C, h, w).
    """
    weight = next(backbone.parameters(), None)
    if weight is None:
        return None, None
    patch = _patch_size(backbone)
    normalization = {key: getattr(backbone, key, None) for key in ('mean', 'std')}
    for side in _SIDES:
        side = math.ceil(side / (patch or 1)) * (patch or 1)
        try:
            with evaluation(backbone):
                maps = backbone(weight.new_zeros(1, 3, side, side))
            break
        except (AssertionError, RuntimeError, ValueError):  # of this size; the images of the run may be all right
            continue
    else:
        told = getattr(backbone, 'out_channels', None)
        return (EncoderInfo(told, backbone.strides, patch, **normalization) if told else None), None
    maps = [maps] if isinstance(maps, Tensor) else list(maps)
    if any(not isinstance(one, Tensor) or one.ndim != 4 for one in maps):
        raise ValueError(
            f'{type(backbone).__name__} must give feature maps (B, C, h, w), got {_describe(maps)}: choose its '
            "spatial output, such as out_type='featmap' of MMPretrain's Vision Transformers"
        )
    told = getattr(backbone, 'strides', None) if hasattr(backbone, 'out_channels') else None
    strides = told if told and len(told) == len(maps) else tuple(round(side / one.shape[-1]) for one in maps)
    return EncoderInfo(tuple(one.shape[1] for one in maps), tuple(strides), patch, **normalization), maps


def _patch_size(backbone: nn.Module) -> int | None:
    """The side of the patches that a backbone of timm, MMPretrain or MMSegmentation cuts an image into."""
    embedding = getattr(backbone, 'patch_embed', None)
    if embedding is None:
        return getattr(backbone, 'patch_size', None)
    first = next((module for module in embedding.modules() if isinstance(module, nn.Conv2d)), None)
    return None if first is None else first.stride[0]


def _describe(maps: Sequence[object]) -> str:
    return ', '.join(str(tuple(one.shape)) if isinstance(one, Tensor) else type(one).__name__ for one in maps)


# A block of ResNets, Swin and Vision Transformers, ConvNeXt, and of most others, also behind the name of a wrapper; a
# list of features of timm has stages_0 where the network has stages.0
_BLOCK = re.compile(r'(?<!\w)(?:layer|stage|block)s?[._]?\d+(?:\.blocks)?(?:\.\d+)*(?=\.)')


def layer_depth(backbone: nn.Module, name: str) -> tuple[int, int]:
    """Depth of the layer of a backbone's parameter, and the number of layers with one for what comes after it.

    A backbone with a ``get_layer_depth`` of its own is asked, as MMPretrain does. Where there is none, or it does not
    know this network, the stem is layer 0, and each block of the others one layer, in the order of their names.

    Args:
        backbone: The backbone.
        name: Name of the parameter in the backbone.
    """
    if hasattr(backbone, 'get_layer_depth'):
        try:
            depth, number = backbone.get_layer_depth(f'backbone.{name}', 'backbone.')
        except NotImplementedError:  # as of MMPretrain's ResNet-18
            pass
        else:
            return depth, number
    names = [key for key, _ in backbone.named_parameters()]
    blocks = [match and match.group() for match in map(_BLOCK.search, names)]
    layers = list(dict.fromkeys(filter(None, blocks)))
    stem = blocks[0] is None
    depths = {block: depth for depth, block in enumerate(layers, start=stem)}
    deepest = max(depths.values(), default=0)
    place = names.index(name)
    if blocks[place] is None:
        return (deepest if any(blocks[:place]) else 0), deepest + 2
    return depths[blocks[place]], deepest + 2
