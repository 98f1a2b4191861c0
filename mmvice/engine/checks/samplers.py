"""A check for endless samplers in loops that wait for their end, before the first step."""

from mmengine.dataset import InfiniteSampler
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner, TestLoop, ValLoop
from torch.utils.data import DataLoader

from mmvice.datasets.samplers import SeededInfiniteSampler
from mmvice.engine.loops import ClusterFitLoop

_WAITING = (EpochBasedTrainLoop, ClusterFitLoop, ValLoop, TestLoop)
_ENDLESS = (InfiniteSampler, SeededInfiniteSampler)


def check_samplers_end(runner: Runner) -> None:
    """Refuse endless samplers for loops that iterate over a data loader once, or once an epoch.

    Such a loop never reaches a validation, a checkpoint or a result. All loops of a run are checked, including a
    validation after training.

    Raises:
        ValueError: If one never ends.
    """
    for kind, loop in (('train', runner._train_loop), ('val', runner._val_loop), ('test', runner._test_loop)):
        if isinstance(loop, _WAITING):
            loader = loop.dataloader
            samplers = loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, 'sampler', None)
            endless = [sampler for sampler in samplers if isinstance(sampler, _ENDLESS)]
            if endless:
                raise ValueError(_sentence(kind, loop, f'{type(endless[0]).__name__} never ends'))


def check_number_of_batches(kind: str, loop: BaseLoop, loader: DataLoader, batch: int) -> None:
    """Refuse a loader that gives more batches than it announces, as with an endless sampler of another project.

    Args:
        kind: 'train', 'val' or 'test'.
        loop: The loop that iterates over it.
        loader: The loader.
        batch: Number of the batch, from 0.

    Raises:
        ValueError: If the loop waits for the end of the loader, and this batch is beyond it.
    """
    if isinstance(loop, _WAITING) and batch >= len(loader):
        name = type(loader.batch_sampler if loader.sampler is None else loader.sampler).__name__
        raise ValueError(_sentence(kind, loop, f'{name} gives more than the {len(loader)} batches that it announces'))


def _sentence(kind: str, loop: BaseLoop, problem: str) -> str:
    advice = f"give {kind}_dataloader.sampler=dict(type='DefaultSampler', shuffle={kind == 'train'})"
    if isinstance(loop, EpochBasedTrainLoop):
        advice += (
            f", or count epochs in steps: train_cfg=dict(type='EpochCountedTrainLoop', max_epochs={loop.max_epochs})"
        )
    elif isinstance(loop, ClusterFitLoop):
        advice = "give train_dataloader.sampler=dict(type='DefaultSampler', shuffle=False)"
    return f'{problem}, and {type(loop).__name__} waits for the end of {kind}_dataloader: {advice}'
