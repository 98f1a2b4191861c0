"""The light feature pyramid of the paper's low-resolution models."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.registry import MODELS


@MODELS.register_module()
class LightFPN(BaseModule):
    """One 1x1 convolution per stage, summed from the top down with bilinear upsampling; no 3x3 convolutions (Sec. 4.1).

    The output has the resolution of the first stage (stride 4 for the usual backbones).

    Args:
        in_channels (Sequence[int]): Channels of the backbone's stages, finest first.
        embed_dims (int): Channels D of the embedding. Defaults to 128.
        init_cfg (dict, optional): Initialization config. Defaults to PyTorch's own initialization.

    Raises:
        ValueError: If the backbone's number of stages differs from ``in_channels``.
    """

    def __init__(self, in_channels: Sequence[int], embed_dims: int = 128, init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.in_channels = list(in_channels)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, embed_dims, 1) for channels in in_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse a pyramid [(B, C_s, h_s, w_s)] into (B, D, h_0, w_0)."""
        if len(features) != len(self.laterals):
            raise ValueError(
                f'the backbone returned {len(features)} feature maps, but LightFPN was built for {len(self.laterals)}: '
                "make the backbone's out_indices and the decoder's in_channels agree"
            )
        fused = self.laterals[-1](features[-1])
        for lateral, feature in zip(reversed(self.laterals[:-1]), reversed(features[:-1])):
            fused = lateral(feature) + F.interpolate(
                fused, size=feature.shape[-2:], mode='bilinear', align_corners=False
            )
        return fused
