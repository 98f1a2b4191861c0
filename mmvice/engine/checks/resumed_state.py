"""A check that a training can resume from a checkpoint, before the first step."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner, find_latest_checkpoint
from torch.optim import Optimizer

from mmvice.utils.checkpoint_structure import check_optimizer_state, check_training_state, missing_state
from mmvice.utils.recorded_config import recorded_setting

from .resumed_settings import count_schedules, take_settings
from .resumed_steps import count_steps_within_epochs, tell_that_nothing_is_left, warn_of_other_batches

_ANEW = 'or start anew with its weights, by load_from=FILE without --resume and without resume=True'


def check_resumed_state(runner: Runner, checkpoint: dict) -> None:
    """Compare the training state in a checkpoint with the run that resumes from it.

    MMEngine resumes without missing state, for example with an optimizer's moments at zero. It loads state into any
    optimizer and schedulers, and overwrites the config's settings with the checkpoint's. This function refuses a
    checkpoint that lacks an optimizer or scheduler, has another kind or number of them, or has contents that are not
    their state. Changed settings come from the config, with a warning; learning rates are those of a run of this config
    at that step. A warning names another number of images in a step. A run without ``EMAHook`` continues with the
    trained weights if a checkpoint has their average in place of them.

    Call it before the Runner loads the checkpoint. It writes settings of the config into the checkpoint.

    Raises:
        ValueError: If the run cannot resume; the message has the file and both values.
    """
    if not runner._resume or not isinstance(runner.optim_wrapper, (OptimWrapper, OptimWrapperDict)):
        return
    source = runner._load_from or find_latest_checkpoint(runner.work_dir)
    check_training_state(checkpoint, source)
    config = checkpoint['meta'].get('cfg')
    for name, wrapper, state in _optimizers(runner, checkpoint['optimizer'], source):
        kinds = [recorded_setting(text, f'{name}.type') for text in (config, runner.cfg.pretty_text)]
        _compare_optimizers(wrapper.optimizer, state, name, kinds, source)
    _compare_schedulers(runner, checkpoint, source)
    _take_weights(runner, checkpoint, source)
    warn_of_other_batches(runner, checkpoint, source)
    count_steps_within_epochs(runner, checkpoint['meta'], source)
    take_settings(runner, checkpoint, _optimizers(runner, checkpoint['optimizer'], source), source)
    tell_that_nothing_is_left(runner, checkpoint['meta'], source)


def _optimizers(runner: Runner, state: Mapping[str, Any], source: str) -> list[tuple[str, OptimWrapper, Any]]:
    """Every optimizer with its setting and its state."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapper):
        return [('optim_wrapper.optimizer', wrapper, state)]
    own = dict(wrapper.items())
    if own.keys() != state.keys():
        raise ValueError(
            f'{source} has the optimizers {", ".join(map(str, state))}, and optim_wrapper of this config '
            f'{", ".join(own)}: use the config it was trained with, {_ANEW}'
        )
    return [(f'optim_wrapper.{name}.optimizer', part, state[name]) for name, part in own.items()]


def _compare_optimizers(optimizer: Optimizer, state: Any, name: str, kinds: Sequence[Any], source: str) -> None:
    check_optimizer_state(state, source)
    groups, own = state['param_groups'], optimizer.state_dict()['param_groups']
    recorded, kind = (part.rpartition('.')[2] if isinstance(part, str) else None for part in kinds)
    kind = kind or type(optimizer).__name__
    # other settings come and go with versions of PyTorch, which sets them to what they were before they could be set
    differ = {*_DEFINING} & {*_settings(groups)} != {*_DEFINING} & {*_settings(own)}
    if differ or recorded not in (None, kind):
        raise ValueError(
            f'{source} has the state of another optimizer: {recorded or "one"} with {", ".join(_settings(groups))}, '
            f'while {name}.type={kind!r} of this config has {", ".join(_settings(own))}: use the optimizer it was '
            f'trained with, {_ANEW}'
        )
    sizes, own_sizes = ([len(group['params']) for group in part] for part in (groups, own))
    if sizes != own_sizes:
        raise ValueError(
            f'{source} has the state of an optimizer of {sum(sizes)} parameters in {len(sizes)} groups, while the '
            f'{kind} of this config has {sum(own_sizes)} in {len(own_sizes)}: set paramwise_cfg and what is frozen as '
            f'they were, {_ANEW}'
        )


_DEFINING = ('betas', 'momentum', 'alpha', 'rho', 'lambd', 'etas', 'eta', 'initial_accumulator_value')
"""Settings that tell the optimizers of PyTorch apart, and LARS from them."""


def _settings(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in groups[0] if name not in ('params', 'initial_lr')]


def _compare_schedulers(runner: Runner, checkpoint: Mapping[str, Any], source: str) -> None:
    own, saved = runner.param_schedulers or [], checkpoint.get('param_schedulers') or []
    own, saved = (part if isinstance(part, Mapping) else {'': part} for part in (own, saved))
    for name in {**own, **saved}:
        ours, theirs = own.get(name, []), saved.get(name, [])
        if ours and 'param_schedulers' not in checkpoint:
            raise ValueError(missing_state(source, ['param_schedulers']))
        if theirs and not ours:
            continue  # told with the other settings
        kinds = ', '.join(type(scheduler).__name__ for scheduler in ours)
        if len(ours) != len(theirs) or any(
            scheduler.state_dict().keys() != state.keys() for scheduler, state in zip(ours, theirs)
        ):
            settings = '; '.join(', '.join(_own_settings(state)) for state in theirs)
            raise ValueError(
                f'{source} has the state of {count_schedules(theirs)} ({settings}), while param_scheduler of this '
                f'config has {len(ours)} ({kinds}), for which it is no state: use those it was trained with, {_ANEW}'
            )


def _own_settings(state: Mapping[str, Any]) -> list[str]:
    """The entries of a scheduler's state that identify it."""
    common = ('param_name', 'begin', 'end', 'by_epoch', 'base_values', 'last_step', '_global_step', 'verbose')
    return [name for name in state if name not in (*common, '_last_value')]


def _take_weights(runner: Runner, checkpoint: dict[str, Any], source: str) -> None:
    """Replace the average of weights by the trained weights, as ``EMAHook`` does if the run has one."""
    weights = checkpoint.get('ema_state_dict', {})
    if not weights or any(isinstance(hook, EMAHook) for hook in runner.hooks):
        return
    own = {name.removeprefix('module.'): value for name, value in weights.items() if name.startswith('module.')}
    checkpoint['state_dict'] = {**checkpoint['state_dict'], **own}
    print_log(
        f'{source} was saved by a run with EMAHook, which this config does not have: the run goes on with the weights '
        'that were trained, without their average',
        logger='current',
        level=logging.WARNING,
    )
