"""A decoder without weights: the concatenated stages of a backbone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmvice.ops import unit_vectors
from mmvice.registry import MODELS


@MODELS.register_module()
class HypercolumnDecoder(BaseModule):
    """Hypercolumns: the features of all stages of a backbone at each position, concatenated (Hariharan et al., 2015).

    It has no weights, so a dense probe measures only the backbone, with any pretraining.

    Features of different stages differ by orders of magnitude. Without normalisation, the stage with the largest values
    would dominate the direction of the concatenated vector. The vector of every stage is therefore normalised to unit
    length at every position, as in ParseNet (Liu et al., 2015). Each stage then contributes the same share ``1 / number
    of stages`` to an inner product. The lengths within a stage are lost. The normalisation uses no statistics of images
    or batches, so a pixel's embedding does not depend on the rest of its image.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's stages, finest first.
        in_index (Sequence[int], optional): Stages to use, counted from 0, or negative from the end. Defaults to None:
            all.

    Raises:
        ValueError: If ``in_index`` names a stage twice or one that does not exist, or the backbone's stages differ from
            ``in_channels``.
    """

    def __init__(self, in_channels: Sequence[int], in_index: Sequence[int] | None = None) -> None:
        super().__init__()
        self.in_channels = list(in_channels)
        count = len(self.in_channels)
        asked = list(range(count)) if in_index is None else list(in_index)
        if not asked or any(not -count <= i < count for i in asked) or len({i % count for i in asked}) < len(asked):
            raise ValueError(
                f'in_index={in_index} must name some of the {count} stages of in_channels={self.in_channels}, each '
                f'once: 0 to {count - 1}, or negative from the end'
            )
        self.in_index = sorted(i % count for i in asked)

    @property
    def embed_dims(self) -> int:
        """Channels D of an embedding: the sum over the stages."""
        return sum(self.in_channels[i] for i in self.in_index)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Stack a pyramid [(B, C_s, h_s, w_s)] into (B, D, h, w), the size of the finest of the chosen stages."""
        channels = [feature.shape[1] for feature in features]
        if channels != self.in_channels:
            raise ValueError(
                f'the backbone gives {len(channels)} feature maps with the channels {channels}, but HypercolumnDecoder '
                f'was built for in_channels={self.in_channels}: make the two agree'
            )
        chosen = [features[i] for i in self.in_index]
        size = tuple(max(feature.shape[axis] for feature in chosen) for axis in (-2, -1))
        return torch.cat([unit_vectors(_resize(feature, size), dim=1) for feature in chosen], 1)


def _resize(feature: Tensor, size: tuple[int, int]) -> Tensor:
    feature = feature.to(torch.promote_types(feature.dtype, torch.float32))  # lengths overflow in fp16
    if tuple(feature.shape[-2:]) == size:
        return feature
    return F.interpolate(feature, size=size, mode='bilinear', align_corners=False)
