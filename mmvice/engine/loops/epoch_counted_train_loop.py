"""Training for a number of epochs, counted in steps."""

from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmvice.registry import LOOPS


@LOOPS.register_module()
class EpochCountedTrainLoop(IterBasedTrainLoop):
    """MMEngine's loop over steps, with its length in epochs, as in papers.

    The number of steps follows from the images and the batch over all processes, so one config works for any number of
    GPUs. This loop resumes at the step where it stopped, unlike MMEngine's loop over epochs.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Training data, with a sampler whose length is that of an epoch of this process.
        max_epochs (float): Epochs to train; may be a fraction.
        val_begin (int): First step after which to validate. Defaults to 1.
        val_interval (int, optional): Steps between validations. Defaults to None: at the end.

    Raises:
        ValueError: If ``max_epochs`` is not positive.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: float,
        val_begin: int = 1,
        val_interval: int | None = None,
    ) -> None:
        if not max_epochs > 0:
            raise ValueError(f'max_epochs must be positive, got {max_epochs}')
        super().__init__(runner, dataloader, max_iters=1, val_begin=val_begin)
        self._max_epochs = max_epochs
        self._max_iters = max(round(max_epochs * len(self.dataloader)), 1)
        self.val_interval = self._max_iters if val_interval is None else val_interval
        self.dynamic_intervals = [self.val_interval]  # MMEngine reads the interval from here
