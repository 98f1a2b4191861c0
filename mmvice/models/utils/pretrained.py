"""Loading weights of other projects into a model's backbone, decoder and concepts."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor

from mmvice.utils.checkpoint import differing_weights
from mmvice.utils.weight_formats import MMSEG, Weights, read_weights

EMBEDDING_LAYER = 'decoder.head.conv_seg.'
OUTPUT_NORM = re.compile(r'backbone\.norm\d\.(?:weight|bias)')


def load_pretrained(model: BaseModel, location: str | Path, whole: bool = False) -> Weights:
    """Load initial weights of any known format into a model; log which were taken and dropped.

    Args:
        model: A model with ``backbone`` and ``decoder``, and perhaps a ``head`` with ``concepts``.
        location: A file, a work folder or a URL, see :func:`mmvice.utils.weight_formats.read_weights`.
        whole: Whether the file must have every weight of the decoder too.

    Returns:
        Weights: The loaded weights, and the names and reasons of the others.

    Raises:
        FileNotFoundError, pickle.UnpicklingError: If the file is missing or holds more than weights.
        ValueError: If its format is not known, weights are not accounted for, or they do not fit the model.
    """
    own = model.state_dict()
    fitted = fit_weights(read_weights(location), own)
    if whole:
        _require_decoder(fitted, own)
    for name in ('backbone', 'decoder', 'head'):
        prefix = f'{name}.'
        given = fitted.part(prefix)
        if given:
            state = {**own, **given}
            part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            getattr(model, name).load_state_dict(part)
    message = f'Loaded {_parts(fitted)} from {fitted.source} ({fitted.format.name}); {fitted.account()}'
    print_log(message, logger='current', level=logging.INFO)
    return fitted


def fit_weights(given: Weights, own: Mapping[str, Tensor]) -> Weights:
    """The given weights that a model takes: all of its backbone, and all of decoder and concepts if given.

    A decode head of MMSegmentation is taken if the model's decoder has one with the same layers. Its classifier becomes
    the embedding layer if it has D outputs.

    Args:
        given: Weights under mmvice's names.
        own: State dict of the model.

    Returns:
        Weights: Those that the model does not need are in ``dropped``. Its own unchanged weights are in ``kept``.

    Raises:
        ValueError: If a weight is missing, unused or of another shape; the message lists them.
    """
    fitted = Weights(given.source, given.format, dict(given.weights), {k: list(v) for k, v in given.dropped.items()})
    _drop(fitted, 'batch counters', [key for key in fitted.weights if _is_counter(key) and key not in own])
    if given.format is MMSEG:
        _fit_decode_head(fitted, own)
    if not any(key.startswith('decoder.') for key in own):
        _drop(fitted, "decoder, as the config's has no weights", list(fitted.part('decoder.')))
    if 'head.concepts' not in own:
        _drop(fitted, 'concepts, which this model does not have', list(fitted.part('head.concepts')))
    prefixes = tuple(prefix for prefix in ('backbone.', 'decoder.', 'head.concepts') if fitted.part(prefix))
    prefixes = prefixes if 'backbone.' in prefixes else ('backbone.', *prefixes)
    wanted = {key: value for key, value in own.items() if key.startswith(prefixes)}
    if given.format.may_lack_output_norms:
        _drop(fitted, 'output norm', [key for key in fitted.weights if OUTPUT_NORM.match(key) and key not in own])
        if fitted.part('backbone.'):
            _keep(fitted, 'output norms', [key for key in wanted if OUTPUT_NORM.match(key)])
    _keep(fitted, 'batch counters', [key for key in wanted if _is_counter(key)])
    kept = {key for keys in fitted.kept.values() for key in keys}
    wanted = {key: value for key, value in wanted.items() if key not in kept}
    differences = differing_weights(wanted, fitted.weights)
    if differences:
        raise ValueError(
            f'{given.source} does not fit the {_parts(fitted)} of this config; use the ones it was pretrained with'
            f'{_advice(fitted, wanted)}:\n  {differences}'
        )
    return fitted


def _fit_decode_head(fitted: Weights, own: Mapping[str, Tensor]) -> None:
    if _decoder_layers(fitted.weights) != _decoder_layers(own):
        _drop(
            fitted, "neck and decode head, which are not those of the config's decoder", list(fitted.part('decoder.'))
        )
        return
    layer = fitted.part(EMBEDDING_LAYER)
    target = {key: value.shape for key, value in own.items() if key.startswith(EMBEDDING_LAYER)}
    if {key: value.shape for key, value in layer.items()} != target:
        _drop(fitted, 'classifier', list(layer))
        _keep(fitted, 'embedding layer', list(target))


def _decoder_layers(weights: Mapping[str, Tensor]) -> set[str]:
    return {key for key in weights if key.startswith('decoder.') and not key.startswith(EMBEDDING_LAYER)} - {
        key for key in weights if _is_counter(key)
    }


def _is_counter(key: str) -> bool:
    """Whether it is a norm's counter of batches, which no forward pass needs and old files lack."""
    return key.endswith('.num_batches_tracked')


def _drop(fitted: Weights, reason: str, keys: list[str]) -> None:
    for key in keys:
        del fitted.weights[key]
    if keys:
        fitted.dropped.setdefault(reason, []).extend(keys)


def _keep(fitted: Weights, reason: str, keys: list[str]) -> None:
    keys = [key for key in keys if key not in fitted.weights]
    if keys:
        fitted.kept.setdefault(reason, []).extend(keys)


def _parts(fitted: Weights) -> str:
    *first, last = list(fitted.counts()) or ['backbone']
    return f'{", ".join(first)} and {last}' if first else last


def _advice(fitted: Weights, wanted: Mapping[str, Tensor]) -> str:
    """Advice for weights that do not fit."""
    stems = [any(key.startswith('backbone.stem.') for key in keys) for keys in (fitted.weights, wanted)]
    if fitted.part('backbone.') and stems[0] != stems[1]:
        kinds = ("a plain stem (type='ResNet')", "a deep stem (type='ResNetV1c')")
        return f' (the file has {kinds[stems[0]]}, the config {kinds[stems[1]]})'
    backbone = {key: value for key, value in wanted.items() if key.startswith('backbone.')}
    if len(wanted) > len(backbone) and not differing_weights(backbone, fitted.part('backbone.')):
        return ', or its backbone alone, which tools/model_converters/to_mmseg.py --backbone-only writes'
    return ''


def _require_decoder(fitted: Weights, own: Mapping[str, Tensor]) -> None:
    has_decoder = any(key.startswith('decoder.') for key in own)
    if has_decoder and not fitted.part('decoder.'):
        raise ValueError(
            f"{fitted.source} ({fitted.format.name}) has no weights for this config's decoder: embeddings would come "
            'from random decoder weights. Pretrain a ViCE model that starts from it (model.pretrained), and use that '
            "model's checkpoint"
        )
    if 'embedding layer' in fitted.kept:
        raise ValueError(
            f'{fitted.source} ({fitted.format.name}) has a classifier in place of the embedding layer: embeddings '
            'would come from random weights of that layer. Pretrain a ViCE model that starts from it '
            "(model.pretrained), and use that model's checkpoint"
        )
