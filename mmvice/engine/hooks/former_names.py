"""Names of hooks in earlier versions of mmvice."""

import logging
from collections.abc import Iterable
from typing import Any

from mmengine.logging import print_log

from mmvice.utils.config_types import type_name

_NEW_NAMES = {
    'FiniteLossHook': 'CheckInvalidLossHook',
    'FittingClassesHook': 'NumClassCheckHook',
    **dict.fromkeys(
        [
            *('FittingCustomKeysHook', 'FittingDecoderHook', 'FittingSamplerHook', 'FittingScheduleHook'),
            *('FittingStateHook', 'FittingWeightsHook', 'OccurringClassesHook', 'RegionQueueHook'),
        ]
    ),
}
"""Today's name; None for a check that every run has without being told."""


def renewed(hooks: dict[str, Any] | Iterable[Any] | None) -> Any:
    """Hooks of a config under their current names, with a warning for each former name.

    Args:
        hooks: ``default_hooks`` or ``custom_hooks``.
    """
    if isinstance(hooks, dict):
        return {name: new for name, hook in hooks.items() for new in _renewed(hook)}
    return hooks if hooks is None else [new for hook in hooks for new in _renewed(hook)]


def _renewed(hook: Any) -> list[Any]:
    former = type_name(hook) if isinstance(hook, dict) else ''
    if former not in _NEW_NAMES:
        return [hook]
    name = _NEW_NAMES[former]
    advice = f'is called {name} now: rename it' if name else 'is part of every run now: take it out'
    print_log(f'{former} of this config {advice}', logger='current', level=logging.WARNING)
    return [{**hook, 'type': name}] if name else []
