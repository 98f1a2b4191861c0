"""Checks of a checkpoint's structure, for code that expects dicts in fixed places."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

FORMER_PROCESS_STATE = 'region_queues'
"""Where checkpoints of mmvice 0.1 have what is now under ``process_state``."""

_MOST_SEEDS = 2**32  # of NumPy's generator, which MMEngine seeds
_HUB = ('log_scalars', 'runtime_info', 'resumed_keys')


def check_structure(checkpoint: Any, source: object) -> None:
    """Check that a checkpoint is a dict, and that its entries with a fixed meaning are dicts.

    Args:
        checkpoint: Content of a file: weights by name, or a dict that has them under ``state_dict``.
        source: Where it comes from, for messages.

    Raises:
        ValueError: If something else is there; the message says what and where.
    """
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{source} holds {_a(checkpoint)} where a dict of weights is expected')
    for name in ('state_dict', 'meta', 'process_state', FORMER_PROCESS_STATE, 'ema_state_dict'):
        _expect(name not in checkpoint or isinstance(checkpoint.get(name), Mapping), source, name, checkpoint, 'a dict')
    weights = checkpoint.get('state_dict', checkpoint)
    strange = [name for name in weights if not isinstance(name, str)]
    if strange:
        raise ValueError(f'{source} holds {_a(strange[0])} where the name of a weight is expected: {strange[0]!r:.50}')
    meta = checkpoint.get('meta', {})
    known = meta.get('dataset_meta')
    _expect(known is None or isinstance(known, Mapping), source, 'dataset_meta', meta, 'a dict')
    for name in ('classes', 'palette'):
        values = (known or {}).get(name)
        _expect(values is None or isinstance(values, (list, tuple, np.ndarray)), source, name, known, 'a list')


def check_training_state(checkpoint: Mapping[str, Any], source: object) -> None:
    """Check the entries that a resumed training needs beside the weights.

    Args:
        checkpoint: One of :func:`check_structure`.
        source: Where it comes from, for messages.

    Raises:
        ValueError: If an entry is missing or of another kind; the message says which, and what to do.
    """
    missing = [name for name in ('meta', 'message_hub', 'optimizer') if name not in checkpoint]
    meta = checkpoint.get('meta', {})
    missing += [f'meta.{name}' for name in ('epoch', 'iter') if 'meta' in checkpoint and name not in meta]
    if missing:
        raise ValueError(missing_state(source, missing))
    for name in ('epoch', 'iter'):
        _expect(_is_count(meta[name]), source, f'meta.{name}', meta, 'a number from 0')
    seed = meta.get('seed')
    in_range = seed is None or _is_count(seed) and seed < _MOST_SEEDS
    _expect(in_range, source, 'meta.seed', meta, f'a number from 0 to {_MOST_SEEDS - 1}')
    hub = checkpoint['message_hub']
    whole = isinstance(hub, Mapping) and all(_is_named(hub.get(name)) for name in _HUB)
    _expect(whole, source, 'message_hub', checkpoint, f'a dict with the dicts {", ".join(_HUB)}')
    for name, curve in hub['log_scalars'].items():
        _expect(not isinstance(curve, HistoryBuffer) or _is_curve(curve), source, name, hub['log_scalars'], 'a curve')
    for name, value in hub['runtime_info'].items():
        if name.startswith('best_score'):
            _expect(isinstance(value, Real) or not value, source, name, hub['runtime_info'], 'a number')
    _expect(isinstance(checkpoint['optimizer'], Mapping), source, 'optimizer', checkpoint, 'a dict')
    schedulers = checkpoint.get('param_schedulers', [])
    lists = list(schedulers.values()) if isinstance(schedulers, Mapping) else [schedulers]
    listed = all(isinstance(part, (list, tuple)) and all(map(_is_named, part)) for part in lists)
    _expect(listed, source, 'param_schedulers', checkpoint, 'a list of dicts')


def check_optimizer_state(state: Any, source: object) -> None:
    """Check the state of one optimizer.

    Raises:
        ValueError: If it is not the state of a PyTorch optimizer.
    """
    groups = state.get('param_groups') if isinstance(state, Mapping) else None
    moments = state.get('state') if isinstance(state, Mapping) else None
    right = (
        isinstance(groups, list)
        and len(groups) > 0
        and all(_is_named(group) and isinstance(group.get('params'), list) for group in groups)
        and all(_is_count(number) for group in groups for number in group['params'])
        and isinstance(moments, Mapping)
        and all(_is_count(number) and _is_named(moment) for number, moment in moments.items())
    )
    if not right:
        raise ValueError(f"{source} holds no state of an optimizer of PyTorch under 'optimizer', so {_ADVICE}")


def missing_state(source: object, names: list[str]) -> str:
    """The sentence that says what a checkpoint lacks to resume a training."""
    return f'{source} has no {", no ".join(names)}, so {_ADVICE}'


_ADVICE = (
    'no training can go on from it: give a checkpoint that a training has saved, or start anew with its weights, by '
    'load_from=FILE without --resume and without resume=True'
)


def _expect(right: bool, source: object, name: str, holder: Mapping[str, Any] | None, kind: str) -> None:
    if not right:
        value = (holder or {}).get(name.rpartition('meta.')[2] if name.startswith('meta.') else name)
        shown = f' ({value!r:.30})' if isinstance(value, (Real, str)) else ''
        raise ValueError(f"{source} holds {_a(value)}{shown} as '{name}', where {kind} is expected")


def _a(value: Any) -> str:
    if value is None:
        return 'None'
    name = type(value).__name__
    return f'an {name}' if name[0] in 'aeio' else f'a {name}'


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 0


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_curve(curve: HistoryBuffer) -> bool:
    parts = [getattr(curve, name, None) for name in ('_log_history', '_count_history')]
    kinds = all(isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in 'biuf' for part in parts)
    return kinds and len(parts[0]) == len(parts[1]) and isinstance(getattr(curve, 'max_length', None), Real)
