"""A warning about schedules that end before the training, before the first step."""

import logging
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log
from mmengine.optim import ConstantParamScheduler, LinearParamScheduler, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner


def warn_of_short_schedules(runner: Runner) -> None:
    """Warn of a value, such as the learning rate, whose last schedule ends before the training.

    The value is then constant, for example if ``end`` of a schedule is set and the training is made longer. A warm-up
    may end: afterwards the value is the optimizer's.
    """
    parts = runner.param_schedulers or []
    for schedules in parts.values() if isinstance(parts, Mapping) else [parts]:
        for name in dict.fromkeys(schedule.param_name for schedule in schedules):
            _compare(runner, name, [schedule for schedule in schedules if schedule.param_name == name])


def _compare(runner: Runner, name: str, schedules: Sequence[_ParamScheduler]) -> None:
    ends = [_end(runner, schedule) for schedule in schedules]
    last = schedules[max(range(len(ends)), key=ends.__getitem__)]
    if max(ends) < runner.max_iters and not _is_warmup(last):
        print_log(
            f'{type(last).__name__} has end={last.end}, so it ends after {max(ends)} of {runner.max_iters} steps, and '
            f'{name} is constant for the rest of the training: remove end from param_scheduler, and the schedule '
            'follows the length of the training',
            logger='current',
            level=logging.WARNING,
        )


def _end(runner: Runner, schedule: _ParamScheduler) -> float:
    """The last step of a schedule; the last step of the training if its loop does not count epochs."""
    if not schedule.by_epoch:
        return schedule.end
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return schedule.end * len(runner.train_loop.dataloader)
    return runner.max_iters


def _is_warmup(schedule: _ParamScheduler) -> bool:
    if isinstance(schedule, LinearParamScheduler):
        return schedule.end_factor >= schedule.start_factor
    return isinstance(schedule, ConstantParamScheduler)
