"""A decoder for backbones whose maps all have one stride, as those of Vision Transformers."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.registry import MODELS


@MODELS.register_module()
class SubpixelDecoder(BaseModule):
    """One 1x1 convolution per map, summed, and learned doublings of the resolution.

    A patch of a Vision Transformer is as large as several superpixels, but its vector also tells what is where in the
    patch. Each doubling adds to the bilinear one what a transposed convolution of stride 2 makes of that vector (as in
    the feature pyramid of ViTDet, Li et al., 2022).

    Args:
        in_channels (Sequence[int]): Channels of the backbone's maps.
        embed_dims (int): Channels D of the embedding. Defaults to 128.
        scale (int): How many times finer the output is: 1, 2 or 4. Defaults to 4.
        init_cfg (dict, optional): Initialization config. Defaults to PyTorch's own initialization.

    Raises:
        ValueError: If ``scale`` is another number, or the maps differ in number or size.
    """

    def __init__(
        self, in_channels: Sequence[int], embed_dims: int = 128, scale: int = 4, init_cfg: OptMultiConfig = None
    ) -> None:
        super().__init__(init_cfg)
        if scale not in (1, 2, 4):
            raise ValueError(f'scale must be 1, 2 or 4, got {scale!r}')
        self.embed_dims = embed_dims
        self.in_channels = list(in_channels)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, embed_dims, 1) for channels in in_channels)
        self.doublings = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, embed_dims), nn.GELU(), nn.ConvTranspose2d(embed_dims, embed_dims, 2, stride=2)
            )
            for _ in range(scale // 2)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse maps [(B, C_s, h, w)] into (B, D, scale * h, scale * w)."""
        sizes = {tuple(feature.shape[-2:]) for feature in features}
        if len(features) != len(self.laterals) or len(sizes) != 1:
            raise ValueError(
                f'SubpixelDecoder was built for {len(self.laterals)} maps of one size, but the backbone returned '
                f'{len(features)} maps of the sizes {sorted(sizes)}: use LightFPN for maps of several strides, or make '
                "the backbone's layers and the decoder's in_channels agree"
            )
        fused = sum(lateral(feature) for lateral, feature in zip(self.laterals, features))
        for doubling in self.doublings:
            fused = doubling(fused) + F.interpolate(fused, scale_factor=2, mode='bilinear', align_corners=False)
        return fused
