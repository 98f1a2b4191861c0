"""The network of ViCE: a backbone, a decoder, and the embedding map they give."""

from mmengine.model import BaseModel
from mmseg.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap


class EmbedderMixin:
    """Backbone and decoder of a model, and :meth:`embed`, which turns images into embedding maps (Eq. 2).

    Every model of mmvice keeps them as ``backbone`` and ``decoder``, so that weights move between models under one
    name.
    """

    backbone: nn.Module
    decoder: nn.Module

    def build_embedder(self: BaseModel, backbone: ConfigType, decoder: ConfigType) -> None:
        """Build both parts from their configs.

        Args:
            backbone: Any backbone of MMSegmentation or MMPretrain that returns a pyramid of feature maps.
            decoder: A decoder of :mod:`mmvice.models.decoders`.
        """
        self.backbone = MODELS.build(backbone)
        self.decoder = MODELS.build(decoder)

    @property
    def embed_dims(self) -> int:
        """Number of channels D of an embedding."""
        return self.decoder.embed_dims

    def embed(self, inputs: Tensor) -> EmbeddingMap:
        """Embed normalised images (B, 3, H, W)."""
        return EmbeddingMap(self.decoder(self.backbone(inputs)), inputs.shape[-2:])


def build_preprocessor(config: OptConfigType) -> nn.Module | None:
    """Build a data preprocessor from mmvice's registry, where MMEngine's base model would look in the default scope."""
    return None if config is None else MODELS.build(config)
