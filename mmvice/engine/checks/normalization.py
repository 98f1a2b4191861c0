"""Images that are not normalised as the weights of the encoder expect are told of."""

import logging
from collections.abc import Iterator

from mmengine.logging import print_log
from torch import Tensor, nn

from mmvice.models import EmbedderMixin

_ROUNDING = 0.5  # grey levels


def warn_of_other_normalization(model: nn.Module) -> None:
    """Warn of a mean, a standard deviation or an order of colours that the encoder's weights were not trained with.

    Nothing is said where the encoder does not tell what it expects.

    Args:
        model: The model; other models than those of mmvice are passed over.
    """
    model = getattr(model, 'module', model)
    encoder = getattr(model, 'encoder', None)
    if not isinstance(model, EmbedderMixin) or encoder is None or not encoder.mean or not encoder.std:
        return
    for difference in _differences(model.data_preprocessor, encoder.mean, encoder.std):
        print_log(
            f'model.data_preprocessor {difference}: the weights of {getattr(model.backbone, "name", "the backbone")} '
            f'were trained on RGB images with mean={_written(encoder.mean)}, std={_written(encoder.std)}, '
            'bgr_to_rgb=True; for others name the tag, such as vit_small_patch16_224.dino or .mae',
            logger='current',
            level=logging.WARNING,
        )


def _differences(preprocessor: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> Iterator[str]:
    if not getattr(preprocessor, '_enable_normalize', False):
        yield 'does not normalise images'
    else:
        for name, expected in (('mean', mean), ('std', std)):
            given = getattr(preprocessor, name).flatten().tolist()
            if len(given) != len(expected) or any(abs(a - b) > _ROUNDING for a, b in zip(given, expected)):
                yield f'has {name}={_written(given)}'
    if not getattr(preprocessor, '_channel_conversion', False):
        yield 'leaves images in BGR order (bgr_to_rgb=False)'


def _written(values: tuple[float, ...] | list[float] | Tensor) -> str:
    return f'[{", ".join(f"{value:.7g}" for value in values)}]'
