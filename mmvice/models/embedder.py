"""The network of ViCE: a backbone, a decoder, and the resulting embedding map."""

import inspect
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmseg.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

from .heads.base import head_of
from .utils import check_decoder_fits, layer_depth, try_encoder

_PARTS = ('backbone', 'decoder')


class EmbedderMixin:
    """A model's backbone and decoder, and :meth:`embed`, which turns images into embedding maps (Eq. 2).

    Every model of mmvice names them ``backbone`` and ``decoder``, so weights have the same names in all models.
    """

    backbone: nn.Module
    decoder: nn.Module

    memory_format = torch.contiguous_format
    frozen: tuple[str, ...] = ()

    def build_embedder(
        self: BaseModel,
        backbone: ConfigType,
        decoder: ConfigType,
        channels_last: bool = False,
        compile: bool | dict = False,
        frozen: Sequence[str] = (),
    ) -> None:
        """Build both parts from their configs.

        Args:
            backbone: A backbone of MMSegmentation, MMPretrain or timm that returns feature maps.
            decoder: A decoder of :mod:`mmvice.models.decoders`. Its ``in_channels`` default to the backbone's channels.
            channels_last: Use the channels-last memory format for weights, images and feature maps.
            compile: Run both parts through ``torch.compile``, with these arguments if it is a dict. Names of weights do
                not change.
            frozen: The parts, 'backbone' and 'decoder', that do not learn: no gradients, no graph, evaluation mode.

        Raises:
            ValueError: If backbone and decoder do not fit, or ``frozen`` names another part.
        """
        if not isinstance(frozen, (tuple, list)) or any(part not in _PARTS for part in frozen):
            raise ValueError(
                f"frozen={frozen!r} must be a tuple of parts, each 'backbone' or 'decoder': write "
                f'frozen={(frozen,) if frozen in _PARTS else ("backbone",)!r}, or frozen=() for none'
            )
        self.frozen = tuple(frozen)
        self.backbone = MODELS.build(backbone)
        self.encoder, maps = try_encoder(self.backbone)
        self.decoder = MODELS.build(self._with_channels(decoder))
        check_decoder_fits(self.backbone, self.decoder, maps=maps)
        if channels_last:
            self.memory_format = torch.channels_last
        for part in (self.backbone, self.decoder):
            part.to(memory_format=self.memory_format)
            if compile is not False:
                part.compile(**({} if compile is True else compile))
        self.train(self.training)

    def _with_channels(self, decoder: ConfigType) -> ConfigType:
        """The config of a decoder with the channels of the backbone where it names none."""
        cls = MODELS.get(decoder['type']) if isinstance(decoder['type'], str) else decoder['type']
        wanted = cls is not None and 'in_channels' in inspect.signature(cls.__init__).parameters
        if not wanted or 'in_channels' in decoder:
            return decoder
        if self.encoder is None:
            raise ValueError(
                f'{type(self.backbone).__name__} could not be run on a small image to see what it gives: name the '
                'channels of its maps as model.decoder.in_channels'
            )
        return {**decoder, 'in_channels': self.encoder.out_channels}

    @property
    def embed_dims(self) -> int:
        """Number of channels D of an embedding."""
        return self.decoder.embed_dims

    def train(self: BaseModel, mode: bool = True) -> BaseModel:
        """Switch to training or evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        for name in self.frozen:
            part = getattr(self, name)
            part.eval()
            part.requires_grad_(False)  # backbones of MMSegmentation redo it in train()
        return self

    def embed(self, inputs: Tensor) -> EmbeddingMap:
        """Embed normalised images (B, 3, H, W) of any size.

        The backbone sees them resized to the nearest multiple of its largest stride, so that each of its cells covers
        the same share of the image; the map keeps their own size.
        """
        size, multiple = inputs.shape[-2:], 1 if self.encoder is None else self.encoder.multiple
        fitted = [max((2 * side + multiple) // (2 * multiple), 1) * multiple for side in size]
        if list(size) != fitted:
            inputs = F.interpolate(inputs, fitted, mode='bilinear', align_corners=False)
        inputs = inputs.contiguous(memory_format=self.memory_format)
        with self._graph_unless_frozen('backbone'):
            features = self.backbone(inputs)
        with self._graph_unless_frozen('backbone', 'decoder'):
            return EmbeddingMap(self.decoder(features), size)

    def _graph_unless_frozen(self, *parts: str) -> torch.set_grad_enabled:
        return torch.set_grad_enabled(torch.is_grad_enabled() and not set(parts) <= set(self.frozen))

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """Depth of the layer of a parameter, for MMPretrain's ``LearningRateDecayOptimWrapperConstructor``.

        Returns:
            tuple: The depth, from 0 at the image, and the number of layers; all that is no backbone is the last one.
        """
        part, _, name = param_name.partition('.')
        if part == 'backbone':
            return layer_depth(self.backbone, name)
        first = next((name for name, _ in self.backbone.named_parameters()), None)
        number = 1 if first is None else layer_depth(self.backbone, first)[1]
        return number - 1, number

    def train_step(self: BaseModel, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One optimizer step; it also informs the head of a method.

        In distributed training MMEngine's wrapper makes the step, and :class:`MethodStateHook` informs the head.
        """
        log_vars = super().train_step(data, optim_wrapper)
        if optim_wrapper.should_update():  # else gradients are accumulated, and the optimizer has not stepped
            head = head_of(self)
            if head is not None:
                head.after_step()
        return log_vars

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
