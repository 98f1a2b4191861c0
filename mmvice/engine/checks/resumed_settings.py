"""Settings of optimizers and schedules that have changed since a checkpoint: a run that goes on takes them from its
config."""

import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import Runner
from torch.optim import Optimizer, RMSprop

from mmvice.utils.counts import counted
from mmvice.utils.recorded_config import recorded_setting

_PROGRESS = ('last_step', '_global_step', '_last_value', 'verbose', 'base_values')
_OF_SCORES = ('best', 'num_bad_epochs', 'cooldown_counter')
_MOMENTS = dict(amsgrad='max_exp_avg_sq', centered='grad_avg')
"""What an optimizer keeps of each weight where a setting is switched on."""
_LOSS_SCALER = ('growth_factor', 'backoff_factor', 'growth_interval')


def take_settings(
    runner: Runner,
    checkpoint: Mapping[str, Any],
    optimizers: Sequence[tuple[str, OptimWrapper, Any]],
    source: str,
) -> None:
    """Replace a checkpoint's settings with those of a run's config, and warn of differences.

    Args:
        runner: The Runner.
        checkpoint: The checkpoint, whose states are changed.
        optimizers: Every optimizer with its setting and its state in the checkpoint.
        source: The checkpoint's file.
    """
    differences = _differing_wrappers(checkpoint['meta'].get('cfg'), runner.cfg.pretty_text)
    own, saved = runner.param_schedulers or [], checkpoint.get('param_schedulers') or []
    for name, wrapper, state in optimizers:
        parts = [part.get(name.split('.')[1], []) if isinstance(part, Mapping) else part for part in (own, saved)]
        differences += _take_settings_of_optimizer(
            wrapper, parts[0], state, parts[1], checkpoint['meta']['iter'], checkpoint['meta']['epoch'], source
        )
    if differences:
        rest = [f'and {len(differences) - _MOST} more'] if len(differences) > _MOST else []
        print_log(
            f'{source} and this config differ: {"; ".join([*differences[:_MOST], *rest])}. The run uses the '
            'settings of this config, and its learning rates for this step.',
            logger='current',
            level=logging.WARNING,
        )


_MOST = 8  # differences that are told


def _differing_wrappers(*configs: Any) -> list[str]:
    """Settings of ``optim_wrapper`` that are not part of an optimizer's state, such as ``clip_grad``."""
    before, now = (recorded_setting(config, 'optim_wrapper') for config in configs)
    if not isinstance(before, dict) or not isinstance(now, dict):
        return []
    for wrapper in (before, now):
        wrapper['type'] = str(wrapper.get('type', 'OptimWrapper')).rpartition('.')[2]
        wrapper.setdefault('accumulative_counts', 1)
    names = [name for name in {**before, **now} if name not in ('optimizer', 'paramwise_cfg', 'constructor')]
    return [
        f'optim_wrapper.{name} {before.get(name)!r} there and {now.get(name)!r} here'
        for name in names
        if before.get(name) != now.get(name)
    ]


def _take_settings_of_optimizer(
    wrapper: OptimWrapper,
    schedules: Sequence[_ParamScheduler],
    state: Mapping[str, Any],
    saved: Sequence[dict[str, Any]],
    steps: int,
    epochs: int,
    source: str,
) -> list[str]:
    """Replace a checkpoint's settings with those of a config.

    Values without a schedule come from the config. Values with a schedule, such as learning rates, come from the
    checkpoint, unless a schedule or its initial value has changed. Then all schedules of this optimizer are run again
    up to the step of the checkpoint, since MMEngine computes each value from the previous one.

    Args:
        wrapper: The optimizer of the config, before its first step.
        schedules: Its schedules, before their first step; they are advanced to the step of the checkpoint if needed.
        state: State of the optimizer in the checkpoint, changed in place.
        saved: States of its schedules in the checkpoint, changed in place; one for each schedule, or those of removed
            schedules.
        steps, epochs: Position at which the run resumes.
        source: Path of the checkpoint, for messages.

    Returns:
        list: A text for each changed setting, with both values.

    Raises:
        ValueError: If a schedule that depends on earlier scores has changed, or a setting needs an average over earlier
            steps. A checkpoint has neither the scores nor that average.
    """
    moved = _moved(schedules)
    differences = _differing_schedules(schedules, saved)
    run_again = bool(schedules and differences)
    for own, before in zip(_groups(wrapper), state['param_groups']):
        differing = _differing_values(own, before, moved)
        run_again |= any(name in moved or _starts_one_of(moved, name) for name in differing)
        for name, sides in differing.items():
            difference = _difference(name.removeprefix('initial_'), *sides)
            _require_moment(wrapper.optimizer, name, sides[1], state['state'], difference, source)
            differences.append(difference)
        kept = {name: before[name] for name in ('params', *moved) if name in before}
        before.clear()
        before.update({**own, **kept})
    if run_again:
        _run_again(schedules, steps, epochs, differences, source)
        for own, before in zip(_groups(wrapper), state['param_groups']):
            before.update({name: own[name] for name in moved if name in own})
        for schedule, before in zip(schedules, saved):
            before.update(schedule.state_dict())
    return list(dict.fromkeys(differences + _take_loss_scaling(wrapper, state)))


def _require_moment(
    optimizer: Optimizer, setting: str, value: Any, moments: Mapping[int, Mapping], difference: str, source: str
) -> None:
    """Raise ValueError if a setting needs an average of all earlier steps that the checkpoint does not have."""
    needed = _MOMENTS.get(setting)
    if isinstance(optimizer, RMSprop) and setting == 'momentum':  # others begin one where there is none
        needed = 'momentum_buffer'
    if needed is not None and value and any(needed not in of_parameter for of_parameter in moments.values()):
        raise ValueError(
            f'{source} and this config differ ({difference}), and the checkpoint has no {needed}, which '
            f'{type(optimizer).__name__} needs for that: give {setting} as the run was trained with, or start anew '
            'with its weights, by load_from=FILE without --resume'
        )


def count_schedules(states: Sequence[Any]) -> str:
    """A number of schedules in words."""
    return counted(len(states), 'schedule')


def _groups(wrapper: OptimWrapper) -> list[dict[str, Any]]:
    return wrapper.optimizer.state_dict()['param_groups']


def _moved(schedules: Sequence[_ParamScheduler]) -> set[str]:
    """Names of the values that schedules change."""
    names = {schedule.param_name for schedule in schedules}
    return names | {'betas'} if any(getattr(schedule, 'use_betas', False) for schedule in schedules) else names


def _starts_one_of(moved: set[str], name: str) -> bool:
    """Whether a schedule computes its value from the value of this name."""
    kind, _, value = name.partition('_')
    return kind in ('initial', 'min', 'max') and value in moved


def _differing_values(own: Mapping[str, Any], before: Mapping[str, Any], moved: set[str]) -> dict[str, tuple[Any, Any]]:
    """Changed values of a group of parameters without a schedule: before and now, by name."""
    pairs = {name: (before.get(name, value), value) for name, value in own.items() if name not in ('params', *moved)}
    if 'betas' in moved and 'betas' in own:  # a schedule of momentum moves the first
        pairs['betas'] = tuple(list(group['betas'][1:]) for group in (before, own))
    return {name: pair for name, pair in pairs.items() if not _same(*pair)}


def _differing_schedules(schedules: Sequence[_ParamScheduler], saved: Sequence[Mapping[str, Any]]) -> list[str]:
    if saved and not schedules:
        return [f'param_scheduler {count_schedules(saved)} there and none here']
    texts = []
    for schedule, before in zip(schedules, saved):
        own = schedule.state_dict()
        differing = [
            name
            for name, value in own.items()
            if name not in (*_PROGRESS, *_OF_SCORES) and not _same(before.get(name), value)
        ]
        # what follows from arguments need not be said beside them, unless it is all that is kept of one
        arguments = {name for kind in type(schedule).__mro__ for name in inspect.signature(kind.__init__).parameters}
        all_kept = arguments - {'self', 'optimizer', 'args', 'kwargs'} <= own.keys()
        told = [name for name in differing if name in arguments or not all_kept] or differing
        texts += [_difference(f'{type(schedule).__name__}.{name}', before.get(name), own[name]) for name in told]
    return texts


def _run_again(
    schedules: Sequence[_ParamScheduler], steps: int, epochs: int, differences: Sequence[str], source: str
) -> None:
    following_scores = [schedule for schedule in schedules if getattr(schedule, 'need_val_args', False)]
    if following_scores:
        raise ValueError(
            f'{source} and this config differ ({"; ".join(differences)}), and {type(following_scores[0]).__name__} '
            'follows the scores of all validations, which a checkpoint does not hold: give the settings that the run '
            'was trained with, or start anew with its weights, by load_from=FILE without --resume'
        )
    ticks = max(steps, epochs)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Detected call of `scheduler.step')  # before the optimizer's
        for tick in range(1, ticks + 1):
            for schedule in schedules:
                count = epochs if schedule.by_epoch else steps
                if tick * count // ticks > (tick - 1) * count // ticks:
                    schedule.step()


def _take_loss_scaling(wrapper: OptimWrapper, state: Mapping[str, Any]) -> list[str]:
    """The rules by which the loss scale changes; training has found the scale itself."""
    before = state.get('loss_scaler') or {}
    own = wrapper.state_dict().get('loss_scaler') or {}
    differing = [name for name in _LOSS_SCALER if name in before and name in own and before[name] != own[name]]
    texts = [_difference(f'loss_scale.{name}', before[name], own[name]) for name in differing]
    if differing:
        before.update({name: own[name] for name in differing})
    return texts


def _difference(name: str, before: Any, now: Any) -> str:
    return f'{name} {_shown(before)} there and {_shown(now)} here'


def _shown(value: Any) -> str:
    return repr(dict(value) if isinstance(value, dict) else value)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if callable(a) and callable(b):  # the curve of OneCycleLR
        return getattr(a, '__qualname__', a) == getattr(b, '__qualname__', b)
    return bool(a == b)
