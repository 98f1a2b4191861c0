"""The step at which a training resumes, and a check of the number of images in a step."""

import logging
from collections.abc import Mapping
from math import prod
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import Tensor

from mmvice.utils.checkpoint_structure import FORMER_PROCESS_STATE
from mmvice.utils.counts import counted
from mmvice.utils.recorded_config import recorded_setting


def warn_of_other_batches(runner: Runner, checkpoint: Mapping[str, Any], source: str) -> None:
    """Warn if a step has another number of images, over all processes, than in the run of the checkpoint."""
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
            + f', {counted(total, "image")} a step'
            for side, number, step, total in zip(sides, processes, steps, images)
        ]
    print_log(
        f'{source} was trained with {", and ".join(sides)}: the run goes on at the same step, with the learning rates '
        'of its schedule, which are not scaled without --auto-scale-lr, and at another place among the images',
        logger='current',
        level=logging.WARNING,
    )


def _num_processes(checkpoint: Mapping[str, Any]) -> int | None:
    """Number of images in a step of the run that saved a checkpoint; None if unknown."""
    number = checkpoint['meta'].get('num_processes')
    if isinstance(number, int) and number > 0:
        return number
    queues = checkpoint.get(FORMER_PROCESS_STATE, {}).get('queue')  # which checkpoints had before they had the number
    return len(queues) if isinstance(queues, Tensor) and queues.ndim == 3 else None


def count_steps_within_epochs(runner: Runner, meta: dict[str, Any], source: str) -> None:
    """Convert the step count to this run's epochs if its loop resumes at the beginning of an epoch."""
    loop = runner.train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        return
    steps = meta['epoch'] * len(loop.dataloader)
    if meta['iter'] != steps:
        print_log(
            f'{source} was saved after {meta["iter"]} steps, and {meta["epoch"]} epochs of this run are {steps} steps: '
            f'it resumes at the beginning of epoch {meta["epoch"] + 1}, with step {steps + 1}',
            logger='current',
            level=logging.WARNING,
        )
        meta['iter'] = steps


def tell_that_nothing_is_left(runner: Runner, meta: Mapping[str, int], source: str) -> None:
    """Warn if the checkpoint is at the end of the training or beyond."""
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
