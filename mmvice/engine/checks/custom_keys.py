"""Learning rates for parameters that do not exist are told of before the first step."""

import difflib
import logging

from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

_EXAMPLES = 3


def warn_of_unused_keys(runner: Runner) -> None:
    """Warn of ``optim_wrapper.paramwise_cfg.custom_keys`` that no parameter has in its name.

    MMEngine's constructors of optimizers pass over such a key in silence: with ``backone=dict(lr_mult=0.1)`` the
    backbone learns at full speed. It is no error, as configs of OpenMMLab share keys among models some of which lack
    the parameter (``absolute_pos_embed`` of a Swin Transformer).
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
    """The names of parameters as MMEngine compares them: one of the model itself has a dot before it."""
    return [name if '.' in name else f'.{name}' for name, _ in model.named_parameters()]


def _like(key: str, names: list[str]) -> list[str]:
    """Some names: those with parts that resemble the key, else from all over the model."""
    parts = {part: name for name in reversed(names) for part in _parts(name)}
    near = difflib.get_close_matches(key, parts, n=_EXAMPLES)
    examples = [parts[part] for part in near] or names[:: -(-len(names) // _EXAMPLES)]
    return list(dict.fromkeys(examples))


def _parts(name: str) -> list[str]:
    """The modules on the way to a parameter, each by itself and with those before it, and the parameter."""
    words = name.strip('.').split('.')
    return [*words, *('.'.join(words[:end]) for end in range(2, len(words) + 1))]
