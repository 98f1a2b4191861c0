"""Check that a decoder fits its backbone when a model is built, before the first step."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .encoder import try_encoder
from .evaluation import evaluation


@torch.no_grad()
def check_decoder_fits(
    backbone: nn.Module, decoder: nn.Module, name: str = 'model.decoder', maps: Sequence[Tensor] | None = None
) -> None:
    """Run a decoder on the maps of a small image, in evaluation: this draws no random numbers, changes no statistics.

    Args:
        backbone: The backbone.
        decoder: The decoder, or a decode head of MMSegmentation.
        name: Its name in the message.
        maps: The maps of :func:`try_encoder`; None calls it.

    Raises:
        ValueError: If the decoder does not accept the backbone's feature maps; the message has the number of maps and
            channels of both sides.
    """
    maps = try_encoder(backbone)[1] if maps is None else maps
    if maps is None or maps[0].device.type == 'meta':
        return
    with evaluation(decoder):
        try:
            decoder(maps)
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            takes = _describe_inputs(decoder)
            channels = [one.shape[1] for one in maps]
            raise ValueError(
                f'{name} does not fit the backbone: {type(backbone).__name__} gives {len(maps)} feature maps with the '
                f'channels {channels}, but {type(decoder).__name__} was configured for {takes or _first_line(error)}; '
                f"make {name} and the backbone's depth, out_indices and channels agree, or leave in_channels out"
            ) from error


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
