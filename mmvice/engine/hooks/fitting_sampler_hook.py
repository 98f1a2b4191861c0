"""An endless sampler under a loop that waits for its end is an error before the first step."""

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner, TestLoop, ValLoop
from torch.utils.data import DataLoader

from mmvice.datasets.samplers import SeededInfiniteSampler
from mmvice.engine.loops import ClusterFitLoop
from mmvice.registry import HOOKS

_WAITING = (EpochBasedTrainLoop, ClusterFitLoop, ValLoop, TestLoop)
_ENDLESS = (InfiniteSampler, SeededInfiniteSampler)


@HOOKS.register_module()
class FittingSamplerHook(Hook):
    """Refuses samplers without an end for loops that go through a data loader once, or once an epoch.

    Such a loop never comes to a validation, a checkpoint or a result. Samplers of other projects are not known for what
    they are: they are refused when a loader gives more batches than it says that it has.

    :class:`mmvice.engine.ViCERunner` has this hook without being told.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Look at the samplers of all loops of this run, that of a validation after training too.

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

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of an epoch."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            _count('train', runner.train_loop, runner.train_dataloader, batch_idx)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of a validation."""
        _count('val', runner.val_loop, runner.val_dataloader, batch_idx)

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of a test."""
        _count('test', runner.test_loop, runner.test_dataloader, batch_idx)


def _count(kind: str, loop: BaseLoop, loader: DataLoader, batch: int) -> None:
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
