"""The network of ViCE: a backbone, a decoder, and the resulting embedding map."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmseg.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

from .utils import check_decoder_fits


class EmbedderMixin:
    """A model's backbone and decoder, and :meth:`embed`, which turns images into embedding maps (Eq. 2).

    Every model of mmvice names them ``backbone`` and ``decoder``, so weights have the same names in all models.
    """

    backbone: nn.Module
    decoder: nn.Module

    memory_format = torch.contiguous_format

    def build_embedder(
        self: BaseModel,
        backbone: ConfigType,
        decoder: ConfigType,
        channels_last: bool = False,
        compile: bool | dict = False,
    ) -> None:
        """Build both parts from their configs.

        Args:
            backbone: Any backbone of MMSegmentation or MMPretrain that returns a pyramid of feature maps.
            decoder: A decoder of :mod:`mmvice.models.decoders`.
            channels_last: Use the channels-last memory format for weights, images and feature maps.
            compile: Run both parts through ``torch.compile``, with these arguments if it is a dict. Names of weights do
                not change.
        """
        self.backbone = MODELS.build(backbone)
        self.decoder = MODELS.build(decoder)
        check_decoder_fits(self.backbone, self.decoder)
        if channels_last:
            self.memory_format = torch.channels_last
        for part in (self.backbone, self.decoder):
            part.to(memory_format=self.memory_format)
            if compile is not False:
                part.compile(**({} if compile is True else compile))

    @property
    def embed_dims(self) -> int:
        """Number of channels D of an embedding."""
        return self.decoder.embed_dims

    def embed(self, inputs: Tensor) -> EmbeddingMap:
        """Embed normalised images (B, 3, H, W)."""
        inputs = inputs.contiguous(memory_format=self.memory_format)
        return EmbeddingMap(self.decoder(self.backbone(inputs)), inputs.shape[-2:])

    def embed_sizes(self, inputs: Tensor | Sequence[Tensor]) -> list[tuple[list[int], EmbeddingMap]]:
        """Embed images of any sizes; images of the same size form one batch.

        Args:
            inputs: Normalised images (B, 3, H, W), or a list of (3, H, W).

        Returns:
            list: For every size, the indices of its images in the batch, and their embeddings.
        """
        if isinstance(inputs, Tensor):
            return [(list(range(len(inputs))), self.embed(inputs))]
        places: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(inputs):
            places.setdefault(image.shape, []).append(place)
        return [(own, self.embed(torch.stack([inputs[place] for place in own]))) for own in places.values()]


def build_preprocessor(config: OptConfigType) -> nn.Module | None:
    """Build a data preprocessor from mmvice's registry; MMEngine's base model would use the default scope."""
    return None if config is None else MODELS.build(config)
