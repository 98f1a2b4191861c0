"""Where training frameworks keep the weights inside a checkpoint."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# VISSL nests the last three but one; DeepSpeed writes the last.
CONTAINERS = ('state_dict', 'model_state_dict', 'classy_state_dict', 'base_model', 'model', 'module')
# timm, DeiT and ConvNeXt write averaged weights beside the others; timm's own loader takes them, in this order.
AVERAGED = {'state_dict_ema': 'state_dict', 'model_ema': 'model'}
# DINO and its successors train a student, and evaluate the teacher, its average.
BRANCHES = ('teacher', 'student')


def weights_within(checkpoint: Any, source: str) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """The weights inside the usual nestings, with the keys of nested dicts and lists joined by dots.

    A file of teacher and student has both, under ``teacher.`` and ``student.``.

    Returns:
        tuple: The weights, and the names of those that were left out, by reason.

    Raises:
        ValueError: If there are two containers of weights, or something else than tensors in one.
    """
    dropped = {}
    while isinstance(checkpoint, Mapping):
        averaged = next((name for name in AVERAGED if isinstance(checkpoint.get(name), Mapping)), None)
        branches = {name: checkpoint[name] for name in BRANCHES if isinstance(checkpoint.get(name), Mapping)}
        inside = [name for name in CONTAINERS if isinstance(checkpoint.get(name), Mapping)]
        if averaged:
            plain = AVERAGED[averaged]
            if plain in inside:
                inside.remove(plain)
                dropped['weights before averaging'] = list(_flatten({plain: checkpoint[plain]}, source))
            inside.append(averaged)
        if branches:
            inside.append(' and '.join(branches))
        if len(inside) > 1:
            raise ValueError(f'{source} has weights under {" and ".join(inside)}: save only one of them')
        if branches or not inside:
            return _flatten(branches or checkpoint, source), dropped
        checkpoint = checkpoint[inside[0]]
    raise ValueError(f'{source} holds a {type(checkpoint).__name__} where a dict of weights is expected')


def _flatten(nested: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    flat, others, stack = {}, [], [('', nested)]
    while stack:
        prefix, value = stack.pop()
        if isinstance(value, (list, tuple)):
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            stack.extend((f'{prefix}.{key}' if prefix else str(key), item) for key, item in reversed(value.items()))
        elif not isinstance(value, Tensor):
            others.append(f'{prefix}: {type(value).__name__}')
        elif prefix in flat:
            raise ValueError(f'{source} has two weights of the name {prefix}')
        else:
            flat[prefix] = value
    if others:
        raise ValueError(f'{source} has more than tensors among its weights:\n  {shorten(others)}')
    return flat


def shorten(lines: list[str], most: int = 10) -> str:
    """The first of some lines, and how many more there are."""
    rest = [f'and {len(lines) - most} more'] if len(lines) > most else []
    return '\n  '.join([*lines[:most], *rest])
