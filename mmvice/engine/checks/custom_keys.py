"""Warnings about learning rates for parameters that do not exist, before the first step."""

import difflib
import logging

from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

_EXAMPLES = 3


def warn_of_unused_keys(runner: Runner) -> None:
    """Warn of ``optim_wrapper.paramwise_cfg.custom_keys`` that are part of no parameter's name.

    MMEngine's optimizer constructors silently ignore such a key: with ``backone=dict(lr_mult=0.1)`` the backbone learns
    at the full rate. It is not an error, since configs of OpenMMLab share keys among models, and some models lack the
    parameter (``absolute_pos_embed`` of a Swin Transformer).
    """
    optim_wrapper = runner.cfg.get('optim_wrapper') or {}
    keys = (optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = _names(getattr(runner.model, 'module', runner.model))
    for key in keys:
        if not any(key in name for name in names):
            print_log(
                f"optim_wrapper.paramwise_cfg.custom_keys: '{key}' is part of no parameter's name, so it changes "
                f'nothing; names here are like {", ".join(_like(key, names))}',
                logger='current',
                level=logging.WARNING,
            )


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
