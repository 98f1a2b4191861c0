"""Warnings about learning rates that do not act as expected, before the first step."""

import difflib
import logging
from collections.abc import Iterable

from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmvice.models import EmbedderMixin

_EXAMPLES = 3


def warn_of_unused_keys(runner: Runner) -> None:
    """Warn of ``optim_wrapper.paramwise_cfg.custom_keys`` that are part of no parameter's name.

    MMEngine's optimizer constructors silently ignore such a key: with ``backone=dict(lr_mult=0.1)`` the backbone learns
    at the full rate. It is not an error, since configs of OpenMMLab share keys among models, and some models lack the
    parameter (``absolute_pos_embed`` of a Swin Transformer).
    """
    keys = _keys(runner)
    names = _names(getattr(runner.model, 'module', runner.model))
    for key in keys:
        if not any(key in name for name in names):
            print_log(
                f"optim_wrapper.paramwise_cfg.custom_keys: '{key}' is part of no parameter's name, so it changes "
                f'nothing; names here are like {", ".join(_like(key, names))}',
                logger='current',
                level=logging.WARNING,
            )


def warn_of_moving_statistics(runner: Runner) -> None:
    """Warn of a learning rate of 0 over norms that go on moving their statistics in every step.

    With ``backbone=dict(lr_mult=0)`` the weights of a ResNet stay as they are, and its features drift all the same. The
    model is put into training mode, which tells of each norm whether it moves.
    """
    keys = _keys(runner)
    if not any(settings.get('lr_mult', 1) == 0 for settings in keys.values()):
        return
    model = getattr(runner.model, 'module', runner.model)
    model.train()
    moving: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, _NormBase) and module.training and module.running_mean is not None:
            key = _key_of(f'{name}.weight', keys)
            if key is not None and keys[key].get('lr_mult', 1) == 0:
                moving.setdefault(key, []).append(name)
    for key, norms in moving.items():
        parts = dict.fromkeys(name.partition('.')[0] for name in norms)
        frozen = tuple(part for part in parts if part in ('backbone', 'decoder'))
        advice = (
            f'model.frozen={frozen} keeps them too'
            if frozen and isinstance(model, EmbedderMixin)
            else 'norm_eval=True of a backbone keeps them too'
        )
        several = len(norms) > 1
        print_log(
            f"optim_wrapper.paramwise_cfg.custom_keys: '{key}' has lr_mult=0, but {len(norms)} "
            f'{"norms" if several else "norm"} under it, such as {norms[0]}, still {"move" if several else "moves"} '
            f'{"their" if several else "its"} running statistics in every step: {advice}',
            logger='current',
            level=logging.WARNING,
        )


def _keys(runner: Runner) -> dict[str, dict]:
    optim_wrapper = runner.cfg.get('optim_wrapper') or {}
    return (optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}


def _key_of(name: str, keys: Iterable[str]) -> str | None:
    """The key whose settings MMEngine gives to a parameter: the longest that its name has."""
    return next((key for key in sorted(sorted(keys), key=len, reverse=True) if key in name), None)


def _names(model: nn.Module) -> list[str]:
    """The names of parameters as MMEngine compares them: the model's own parameters begin with a dot."""
    return [name if '.' in name else f'.{name}' for name, _ in model.named_parameters()]


def _like(key: str, names: list[str]) -> list[str]:
    """Some names: those with parts similar to the key, else from the whole model."""
    parts = {part: name for name in reversed(names) for part in _parts(name)}
    near = difflib.get_close_matches(key, parts, n=_EXAMPLES)
    examples = [parts[part] for part in near] or names[:: -(-len(names) // _EXAMPLES)]
    return list(dict.fromkeys(examples))


def _parts(name: str) -> list[str]:
    """The modules on the path of a parameter, each alone and with its prefix, and the parameter."""
    words = name.strip('.').split('.')
    return [*words, *('.'.join(words[:end]) for end in range(2, len(words) + 1))]
