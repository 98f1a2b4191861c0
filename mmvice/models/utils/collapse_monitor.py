"""A watch over the diagnostics of training."""

import logging
import math

import torch
from mmengine.logging import print_log
from torch import Tensor


class CollapseMonitor:
    """Warns, once each and in words, when the concepts collapse or the loss is no better than a uniform guess.

    Running means are kept on the device and copied to the host without waiting for it; a copy is read at the next look.

    Args:
        num_concepts: Number of concepts K.
        interval: Steps between two looks.
        patience: Steps before the first judgement.
        momentum: Of the running means, per step.
    """

    def __init__(self, num_concepts: int, interval: int = 50, patience: int = 200, momentum: float = 0.98) -> None:
        self.num_concepts = num_concepts
        self.interval = interval
        self.patience = patience
        self.momentum = momentum
        self.warned: set[str] = set()
        self._steps = 0
        self._sums: Tensor | None = None  # running sums of loss, share of concepts, spread, and of their weights
        self._copy: Tensor | None = None
        self._event: torch.cuda.Event | None = None

    def update(self, loss: Tensor, diagnostics: dict[str, Tensor], num_regions: Tensor) -> None:
        """Take in one step.

        Args:
            loss: Scalar loss, without gradient.
            diagnostics: ``concepts_used`` and ``embedding_spread`` of :class:`DenseSwAVHead`.
            num_regions: Scalar, the regions in the step; with fewer regions than concepts not every concept can be
                used, and a step without any says nothing.
        """
        possible = num_regions.clamp(1, self.num_concepts) / self.num_concepts
        used, spread = diagnostics['concepts_used'] / possible, diagnostics['embedding_spread']
        now = torch.stack([loss, used, spread, torch.ones_like(loss)]).float()
        sums = torch.zeros_like(now) if self._sums is None else self._sums
        self._sums = sums.lerp(now, (1 - self.momentum) * (num_regions > 0).to(now))
        self._steps += 1
        if self._steps % self.interval == 0:
            if self._copy is not None and (self._event is None or self._event.query()):
                self._judge(*self._copy.tolist())
            self._start_copy()

    def _start_copy(self) -> None:
        self._copy = (self._sums[:3] / self._sums[3]).to('cpu', non_blocking=True, copy=True)
        if self._sums.is_cuda:
            self._event = torch.cuda.Event()
            self._event.record()

    def _judge(self, loss: float, used: float, spread: float) -> None:
        if self._steps < self.patience or math.isnan(used):  # too early, or no step had a region
            return
        signs = []
        if used < 0.05:
            signs.append(f'regions choose {used:.1%} of the concepts that they could')
        if spread < 0.02:
            signs.append(f'the spread of their embeddings is {spread:.3f}')
        if signs:
            self._warn(
                'collapse',
                f'The concepts have collapsed: {" and ".join(signs)}. Lower the learning rate or warm it up longer, '
                'freeze the concepts for the first steps (freeze_concepts_iters), or make batches or the queue larger.',
            )
        uniform = math.log(self.num_concepts)
        if not loss < 0.99 * uniform:
            self._warn(
                'stuck',
                f'The loss is {loss:.3f}, no better than ln K = {uniform:.3f} of a uniform guess over '
                f'{self.num_concepts} concepts: nothing is being learned. Raise the learning rate, weaken the colour '
                'distortion, or look at the views with tools/visualization/browse_views.py.',
            )

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self.warned:
            self.warned.add(kind)
            print_log(message, logger='current', level=logging.WARNING)
