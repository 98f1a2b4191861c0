"""The learning rate of the paper for a run of any length."""

import math

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from mmvice.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up over a share of the steps, then half a cosine down to the last step (Sec. 4.2).

    It needs no step numbers, unlike a chain of ``LinearLR`` and ``CosineAnnealingLR``: the Runner sets ``end`` to the
    length of the training loop.

    Args:
        optimizer (Optimizer or OptimWrapper): What is scheduled.
        warmup_ratio (float): Share of the steps that warm up, in [0, 1). Defaults to 0.02.
        start_factor (float): First learning rate over the peak. Defaults to 0.0625.
        end_factor (float): Last learning rate over the peak. Defaults to 0.001.
        begin, end, last_step, by_epoch, verbose: As in MMEngine's schedulers; ``by_epoch=False`` for steps.

    Raises:
        ValueError: If an argument is out of range, or ``end`` is unknown because there is no training loop.
    """

    def __init__(
        self,
        optimizer,
        warmup_ratio: float = 0.02,
        start_factor: float = 0.0625,
        end_factor: float = 0.001,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 <= warmup_ratio < 1:
            raise ValueError(f'warmup_ratio must be in [0, 1), got {warmup_ratio}')
        if not (0 < start_factor <= 1 and 0 <= end_factor <= 1):
            raise ValueError(f'need 0 < start_factor <= 1 and 0 <= end_factor <= 1, got {start_factor}, {end_factor}')
        if end == INF:
            raise ValueError('WarmupCosineLR needs end, the last step; the Runner gives it with a training loop')
        self.warmup_steps = round(warmup_ratio * (end - begin))
        self.start_factor = start_factor
        self.end_factor = end_factor
        super().__init__(optimizer, begin=begin, end=end, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    def factor(self, step: int) -> float:
        """The learning rate over its peak, ``step`` steps after ``begin``."""
        if step < self.warmup_steps:
            return self.start_factor + (1 - self.start_factor) * step / self.warmup_steps
        rest = max(self.end - self.begin - 1 - self.warmup_steps, 1)
        cosine = math.cos(math.pi * (step - self.warmup_steps) / rest)
        return self.end_factor + (1 - self.end_factor) * (1 + cosine) / 2

    def _get_value(self) -> list[float]:
        factor = self.factor(self.last_step - self.begin)
        return [base * factor for base in self.base_values]
