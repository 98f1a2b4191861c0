"""Reproducible steps: a model's random draws in a step depend only on the run's seed, the step and the process."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvice.datasets.samplers import SeededInfiniteSampler
from mmvice.registry import HOOKS


@HOOKS.register_module()
class SeededStepHook(Hook):
    """Seeds the global generators of PyTorch, NumPy and Python before every training step.

    Dropout and stochastic depth draw from them. A checkpoint does not have their states, and could only have those of
    one process. With seeds from (seed of the run, step, rank), a resumed run draws the same numbers as an uninterrupted
    one. Data has its own seeds, from :class:`SeededInfiniteSampler`.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Set the sampler's seed to that of a loaded checkpoint, since the sampler is built earlier."""
        sampler = runner.train_dataloader.sampler
        own = (runner.cfg.train_dataloader.get('sampler') or {}).get('seed')
        if isinstance(sampler, SeededInfiniteSampler) and own is None:
            differs = runner._randomness_cfg.get('diff_rank_seed', False)
            sampler.seed = runner.seed - get_rank() if differs else runner.seed

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Seed the generators; the host does not wait for a GPU."""
        words = np.random.SeedSequence((runner.seed, runner.iter, get_rank())).generate_state(10)
        torch.manual_seed(int(words[:2].view(np.uint64)[0]))
        np.random.seed(words[2:6])
        random.seed(words[6:].tobytes())
