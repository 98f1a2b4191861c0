"""Colour and place of a pixel, as the features that need no network."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvice.registry import MODELS


@MODELS.register_module()
class ColorPosition(BaseModule):
    """A backbone that learns nothing: the colour of a pixel and where it is, at the resolution of the image.

    What a probe reads from it is what colour and place tell of a class by themselves, the least that an embedder has to
    exceed. Embeddings have unit length, and a direction alone would not tell bright from dark, so a constant channel
    comes last: (r, g, b, x, y, 1) at unit length holds all of r, g, b, x and y, and a linear map of it decides as an
    affine map of them does. The constant is a parameter that does not train, as optimizers refuse a model without any.
    """

    channels = 6
    """Red, green, blue as the preprocessor normalises them, x and y from -1 (left, top) to 1, and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Features of normalised images (B, 3, H, W): one map (B, 6, H, W).

        Raises:
            ValueError: If the images have not three channels.
        """
        if inputs.ndim != 4 or inputs.shape[1] != 3:
            raise ValueError(f'ColorPosition takes colour images (B, 3, H, W), got shape {tuple(inputs.shape)}')
        height, width = inputs.shape[-2:]
        # centres of pixels, so that an image and its resized copy have the same place at the same point
        y, x = ((2 * torch.arange(n, device=inputs.device, dtype=inputs.dtype) + 1) / n - 1 for n in (height, width))
        place = [x.expand(height, width), y[:, None].expand(height, width), self.constant.expand(height, width)]
        return (torch.cat([inputs, torch.stack(place).to(inputs).expand(len(inputs), -1, -1, -1)], 1),)
