"""Colour and position of a pixel as features, without a network."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvice.registry import MODELS


@MODELS.register_module()
class ColorPosition(BaseModule):
    """A backbone without learning: the colour and position of every pixel, at the resolution of the image.

    It is a baseline: an embedder should give a better probe than colour and position alone. Embeddings have unit
    length, and a direction alone cannot distinguish bright from dark. The last channel is therefore constant: (r, g, b,
    x, y, 1) at unit length still determines r, g, b, x and y. A linear map of it gives the same classes as an affine
    map of them. The constant is a frozen parameter, since optimizers refuse a model without parameters.
    """

    channels = 6
    """Red, green, blue as the preprocessor normalises them, x and y from -1 (left, top) to 1, and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Features of normalised images (B, 3, H, W): one map (B, 6, H, W).

        Raises:
            ValueError: If the images do not have three channels.
        """
        if inputs.ndim != 4 or inputs.shape[1] != 3:
            raise ValueError(f'ColorPosition takes colour images (B, 3, H, W), got shape {tuple(inputs.shape)}')
        height, width = inputs.shape[-2:]
        # centres of pixels, so that an image and its resized copy have the same place at the same point
        y, x = ((2 * torch.arange(n, device=inputs.device, dtype=inputs.dtype) + 1) / n - 1 for n in (height, width))
        place = [x.expand(height, width), y[:, None].expand(height, width), self.constant.expand(height, width)]
        return (torch.cat([inputs, torch.stack(place).to(inputs).expand(len(inputs), -1, -1, -1)], 1),)
