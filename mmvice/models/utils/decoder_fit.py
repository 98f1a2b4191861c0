"""Check that a decoder fits its backbone when a model is built, before the first step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_SIDE = 64


@torch.no_grad()
def check_decoder_fits(backbone: nn.Module, decoder: nn.Module, name: str = 'model.decoder') -> None:
    """Run both on one small black image, in evaluation: this draws no random numbers and changes no statistics.

    This takes milliseconds for a ResNet-18, and a quarter of a second for a ResNet-152. It skips a backbone that does
    not accept images of 64x64, for example because of position embeddings of a fixed size.

    Raises:
        ValueError: If the decoder does not accept the backbone's feature maps; the message has the number of maps and
            channels of both sides.
    """
    weight = next(backbone.parameters(), None)
    if weight is None or weight.device.type == 'meta':
        return
    with _evaluation(backbone, decoder):
        try:
            features = backbone(weight.new_zeros(1, 3, _SIDE, _SIDE))
        except (AssertionError, RuntimeError, ValueError):  # of this size; the images of the run may be all right
            return
        try:
            decoder(features)
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            takes = _describe_inputs(decoder)
            raise ValueError(
                f'{name} does not fit the backbone: {type(backbone).__name__} gives {_describe_maps(features)}, '
                f'but {type(decoder).__name__} was configured for {takes or _first_line(error)}; make {name} and '
                "the backbone's depth, out_indices and channels agree"
            ) from error


@contextmanager
def _evaluation(*parts: nn.Module) -> Iterator[None]:
    modes = {module: module.training for part in parts for module in part.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _describe_maps(features: object) -> str:
    maps = [features] if isinstance(features, Tensor) else list(features)
    channels = [feature.shape[1] if isinstance(feature, Tensor) and feature.ndim == 4 else None for feature in maps]
    return f'{len(maps)} feature maps with the channels {channels}'


def _describe_inputs(decoder: nn.Module) -> str:
    """Describe the input channels of a decoder, its neck and its head; empty if they are unknown."""
    names = ('in_channels', 'in_index', 'c1_in_channels')
    parts = {'': decoder, 'neck.': getattr(decoder, 'neck', None), 'head.': getattr(decoder, 'head', None)}
    settings = [
        f'{prefix}{name}={getattr(part, name)}'
        for prefix, part in parts.items()
        for name in names
        if getattr(part, name, None) is not None
    ]
    return ', '.join(settings)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
