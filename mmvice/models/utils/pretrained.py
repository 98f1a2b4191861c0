"""Loading weights of other projects into a model's backbone, decoder and concepts."""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mmengine.logging import print_log
from mmengine.model import BaseModel, PretrainedInit
from torch import Tensor, nn

from mmvice.models.backbones import TimmEncoder
from mmvice.utils.checkpoint import differing_weights
from mmvice.utils.weight_containers import weights_within
from mmvice.utils.weight_formats import (
    FORMATS,
    FORMATS_FOR_TIMM,
    MMSEG,
    OF_TIMM,
    TIMM,
    USE_TIMM,
    Weights,
    load_checkpoint,
    own_names,
    read_weights,
)

from .position_tables import resize_position_tables
from .timm_weights import timm_weights

EMBEDDING_LAYER = 'decoder.head.conv_seg.'
OUTPUT_NORM = re.compile(r'backbone\.norm\d\.(?:weight|bias)')


def load_pretrained(
    model: BaseModel, location: str | Path, whole: bool = False, backbone_only: bool = False, prefix: str = ''
) -> Weights:
    """Load initial weights of any known format into a model; log which were taken and dropped.

    Args:
        model: A model with ``backbone``, and perhaps a ``decoder`` and a ``head`` with ``concepts``.
        location: A file, a work folder or a URL, see :func:`mmvice.utils.weight_formats.read_weights`.
        whole: Whether the file must have every weight of the decoder too.
        backbone_only: Drop everything in the file except the backbone.
        prefix: Read only the weights whose names begin with it.

    Returns:
        Weights: The loaded weights, and the names and reasons of the others.

    Raises:
        FileNotFoundError, pickle.UnpicklingError: If the file is missing or holds more than weights.
        ValueError: If its format is not known, weights are not accounted for, or they do not fit the model.
    """
    own = model.state_dict()
    fitted = weights_for(model, location, backbone_only, prefix)
    if whole:
        _require_decoder(fitted, own)
    for name in ('backbone', 'decoder', 'head'):
        given = fitted.part(f'{name}.')
        if given:
            state = {**own, **given}
            part = {key.removeprefix(f'{name}.'): v for key, v in state.items() if key.startswith(f'{name}.')}
            getattr(model, name).load_state_dict(part)
    message = f'Loaded {_parts(fitted)} from {fitted.source} ({fitted.format.name}); {fitted.account()}'
    print_log(message, logger='current', level=logging.INFO)
    return fitted


def weights_for(model: BaseModel, location: str | Path, backbone_only: bool = False, prefix: str = '') -> Weights:
    """The weights that a model takes from a file, under the model's names.

    What follows from the size of the images, such as position embeddings, is resized.

    Args, Raises: as of :func:`load_pretrained`.
    """
    backbone = model.backbone
    if isinstance(backbone, TimmEncoder):
        given = timm_weights(read_weights(location, FORMATS_FOR_TIMM, prefix), backbone)
    else:
        formats = (*FORMATS, own_names(backbone.state_dict()))
        given = resize_position_tables(read_weights(location, formats, prefix), backbone)
    if not given.weights:
        raise ValueError(f'{given.source} has no weights of a backbone or decoder')
    if backbone_only:
        _drop(given, 'parts that are no backbone', [key for key in given.weights if not key.startswith('backbone.')])
    return fit_weights(given, model.state_dict(), _network(backbone))


def initialize(model: BaseModel, init_weights: Callable[[], None], pretrained: str | None) -> Weights | None:
    """Initialise a model, and its backbone from a file where ``pretrained`` or an ``init_cfg`` names one.

    MMEngine takes from the file of an ``init_cfg`` what happens to fit, and leaves the rest random. Here all of the
    backbone must come from it, in any known format.

    Args:
        model: A model with a ``backbone``.
        init_weights: MMEngine's way to initialise it.
        pretrained: Initial weights as of :func:`load_pretrained`; they go before the backbone's ``init_cfg``.

    Returns:
        Weights, optional: What was loaded, as of :func:`load_pretrained`.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a file does not fit.
    """
    if pretrained is not None and '://' not in str(pretrained) and not Path(pretrained).expanduser().exists():
        raise FileNotFoundError(
            f'there is no {pretrained}, which model.pretrained names: put the weights there, or name another file or '
            'work folder (--cfg-options model.pretrained=PATH; None for random weights)'
        )
    named = _take_pretrained(model.backbone)
    if pretrained is not None:
        model.backbone.init_cfg = None
    _check_init_cfgs(model)
    init_weights()
    if pretrained is not None:
        return load_pretrained(model, pretrained)
    if named is not None:
        return load_pretrained(model, named['checkpoint'], backbone_only=True, prefix=named.get('prefix') or '')
    return None


def _take_pretrained(module: nn.Module) -> dict | None:
    """Take the config that names a checkpoint out of a module's ``init_cfg``."""
    cfgs = getattr(module, 'init_cfg', None) or []
    cfgs = [cfgs] if isinstance(cfgs, dict) else list(cfgs)
    named = [cfg for cfg in cfgs if _is_pretrained(cfg)]
    if not named:
        return None
    module.init_cfg = [cfg for cfg in cfgs if not _is_pretrained(cfg)] or None
    return named[-1]


def _is_pretrained(cfg: Mapping) -> bool:
    return cfg['type'] in ('Pretrained', PretrainedInit)


def _check_init_cfgs(model: BaseModel) -> None:
    """Refuse a checkpoint in an ``init_cfg`` of another part than the backbone that has other weights than the part."""
    for name, module in model.named_modules():
        cfgs = getattr(module, 'init_cfg', None) or []
        for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
            if not _is_pretrained(cfg):
                continue
            given, _ = weights_within(load_checkpoint(cfg['checkpoint']), cfg['checkpoint'])
            prefix = (cfg.get('prefix') or '').rstrip('.')
            if prefix:
                given = {k.removeprefix(f'{prefix}.'): v for k, v in given.items() if k.startswith(f'{prefix}.')}
            differences = differing_weights(module.state_dict(), given)
            if differences:
                raise ValueError(
                    f'{cfg["checkpoint"]}, which {f"{name}." if name else "model."}init_cfg names, does not fit that '
                    f'{type(module).__name__}:\n  {differences}'
                )


def fit_weights(given: Weights, own: Mapping[str, Tensor], network: str = '') -> Weights:
    """The given weights that a model takes: all of its backbone, and all of decoder and concepts if given.

    A decode head of MMSegmentation is taken if the model's decoder has one with the same layers. Its classifier becomes
    the embedding layer if it has D outputs.

    Args:
        given: Weights under mmvice's names.
        own: State dict of the model.
        network: What to call the model's backbone in messages.

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
    elif any(value.shape != own['head.concepts'].shape for value in fitted.part('head.concepts').values()):
        _drop(fitted, 'concepts of another number or size', ['head.concepts'])
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
            f'{_advice(fitted, wanted, network)}:\n  {differences}'
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


def _network(backbone: nn.Module) -> str:
    return f"timm's {backbone.name}" if isinstance(backbone, TimmEncoder) else type(backbone).__name__


def _advice(fitted: Weights, wanted: Mapping[str, Tensor], network: str) -> str:
    """Advice for weights that do not fit."""
    of_timm = any(OF_TIMM.match(key) for key in fitted.weights)
    if of_timm and not any(OF_TIMM.match(key.replace('backbone.model.', 'backbone.')) for key in wanted):
        return f'; {USE_TIMM}'
    stems = [any(key.startswith('backbone.stem.') for key in keys) for keys in (fitted.weights, wanted)]
    if fitted.part('backbone.') and stems[0] != stems[1]:
        kinds = ("a plain stem (type='ResNet')", "a deep stem (type='ResNetV1c')")
        return f' (the file has {kinds[stems[0]]}, the config {kinds[stems[1]]})'
    if fitted.format is TIMM:
        return f', where it is {network}'
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
