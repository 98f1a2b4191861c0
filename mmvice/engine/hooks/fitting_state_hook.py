"""A training that cannot go on from a checkpoint as it was is an error before the first step."""

import logging
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, find_latest_checkpoint
from torch import Tensor
from torch.optim import Optimizer

from mmvice.engine.resumed_settings import count_schedules, take_settings
from mmvice.registry import HOOKS
from mmvice.utils.checkpoint_structure import check_optimizer_state, check_training_state, missing_state
from mmvice.utils.recorded_config import recorded_setting

from .method_state_hook import FORMER_NAME

_ANEW = 'or start anew with its weights, by load_from=FILE without --resume and without resume=True'


@HOOKS.register_module()
class FittingStateHook(Hook):
    """Compares the state of a training in a checkpoint with the run that is to go on from it.

    MMEngine goes on without what a checkpoint lacks, with the moments of an optimizer at zero, say, gives state to
    whatever optimizer and schedulers a config has, and overwrites what the config says with what the checkpoint says.
    Refused are a checkpoint without one of them, with those of another kind or number, and with contents that cannot be
    one's state. Settings that differ are taken from the config, with a warning: learning rates are those that a run of
    this config has at that step. Another number of images in a step is warned of. A run without ``EMAHook`` goes on
    with the weights that were trained, where a checkpoint has their average in the place of them.

    :class:`mmvice.engine.ViCERunner` has this hook without being told.
    """

    priority = 'VERY_HIGH'  # before a hook or MMEngine uses what is in it

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note down the number of processes, on which the number of images in a step depends."""
        checkpoint['meta']['num_processes'] = get_world_size()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, before the Runner takes anything over, and put settings of the config into the checkpoint.

        Raises:
            ValueError: If the run cannot go on; the message has the file and both sides.
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
        _compare_batches(runner, checkpoint, source)
        _place_within_epochs(runner, checkpoint['meta'], source)
        _take_settings(runner, checkpoint, source)
        _tell_the_end(runner, checkpoint['meta'], source)


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
    """What tells a scheduler from others in its state."""
    common = ('param_name', 'begin', 'end', 'by_epoch', 'base_values', 'last_step', '_global_step', 'verbose')
    return [name for name in state if name not in (*common, '_last_value')]


def _take_weights(runner: Runner, checkpoint: dict[str, Any], source: str) -> None:
    """Put the weights that were trained in the place of their average, as ``EMAHook`` does where the run has one."""
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


def _compare_batches(runner: Runner, checkpoint: Mapping[str, Any], source: str) -> None:
    setting, accumulation = 'train_dataloader.batch_size', 'optim_wrapper.accumulative_counts'
    configs = checkpoint['meta'].get('cfg'), runner.cfg.pretty_text
    sizes = [recorded_setting(config, setting, default=1) for config in configs]  # MMEngine's default
    if None in sizes:
        return
    steps = [recorded_setting(config, accumulation) or 1 for config in configs]
    processes = [_num_processes(checkpoint) or get_world_size(), get_world_size()]
    images = [prod(counts) for counts in zip(sizes, processes, steps)]
    if images[0] == images[1]:
        return
    sides = [f'{setting}={sizes[0]}', f'this config has {sizes[1]}']
    if processes[0] != processes[1] or steps != [1, 1]:
        sides = [
            f'{side} in {number} {"process" if number == 1 else "processes"}'
            + (f' with accumulative_counts={step}' if steps != [1, 1] else '')
            + f', {total} image{"" if total == 1 else "s"} a step'
            for side, number, step, total in zip(sides, processes, steps, images)
        ]
    print_log(
        f'{source} was trained with {", and ".join(sides)}: the run goes on at the same step, with the learning rates '
        'of its schedule, which are not scaled without --auto-scale-lr, and at another place among the images',
        logger='current',
        level=logging.WARNING,
    )


def _num_processes(checkpoint: Mapping[str, Any]) -> int | None:
    """Of the run that saved a checkpoint; None where it does not say."""
    number = checkpoint['meta'].get('num_processes')
    if isinstance(number, int) and number > 0:
        return number
    queues = checkpoint.get(FORMER_NAME, {}).get('queue')  # which checkpoints had before they had the number
    return len(queues) if isinstance(queues, Tensor) and queues.ndim == 3 else None


def _place_within_epochs(runner: Runner, meta: dict[str, Any], source: str) -> None:
    """Count steps as this run does where a loop goes on at the beginning of an epoch."""
    loop = runner.train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        return
    steps = meta['epoch'] * len(loop.dataloader)
    if meta['iter'] != steps:
        print_log(
            f'{source} was saved after {meta["iter"]} steps, and {meta["epoch"]} epochs of this run are {steps} steps: '
            f'it goes on at the beginning of epoch {meta["epoch"] + 1}, with step {steps + 1}',
            logger='current',
            level=logging.WARNING,
        )
        meta['iter'] = steps


def _take_settings(runner: Runner, checkpoint: Mapping[str, Any], source: str) -> None:
    differences = _differing_wrappers(checkpoint['meta'].get('cfg'), runner.cfg.pretty_text)
    own, saved = runner.param_schedulers or [], checkpoint.get('param_schedulers') or []
    for name, wrapper, state in _optimizers(runner, checkpoint['optimizer'], source):
        parts = [part.get(name.split('.')[1], []) if isinstance(part, Mapping) else part for part in (own, saved)]
        differences += take_settings(
            wrapper, parts[0], state, parts[1], checkpoint['meta']['iter'], checkpoint['meta']['epoch'], source
        )
    if differences:
        rest = [f'and {len(differences) - _MOST} more'] if len(differences) > _MOST else []
        print_log(
            f'{source} and this config differ: {"; ".join([*differences[:_MOST], *rest])}. The run goes on with what '
            'this config says, and with the learning rates that it gives this step.',
            logger='current',
            level=logging.WARNING,
        )


_MOST = 8  # differences that are told


def _differing_wrappers(*configs: Any) -> list[str]:
    """Settings of ``optim_wrapper`` that are no part of an optimizer's state, such as ``clip_grad``."""
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


def _tell_the_end(runner: Runner, meta: Mapping[str, int], source: str) -> None:
    for loop, unit, setting in (
        (IterBasedTrainLoop, 'iter', 'max_iters'),
        (EpochBasedTrainLoop, 'epoch', 'max_epochs'),
    ):
        if isinstance(runner.train_loop, loop):
            length = getattr(runner.train_loop, setting)
            if meta[unit] >= length:
                print_log(
                    f'Nothing is left to do: {source} was saved after {unit} {meta[unit]}, and train_cfg.{setting} is '
                    f'{length}. Raise it to train on.',
                    logger='current',
                    level=logging.WARNING,
                )
            return
