"""Reproducible samples: random draws for a sample depend only on the run's seed, the epoch and the sample."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class SeededIndex(int):
    """A dataset index that carries the seed for the augmentation of its sample.

    It behaves as the plain index. Arithmetic on it gives a plain int.

    Args:
        index: Index into the dataset.
        seed: Non-negative ints; :class:`SeededInfiniteSampler` gives (seed of the run, epoch).

    Example:
        >>> index = SeededIndex(7, seed=(0, 3))
        >>> index == 7, index.seed
        (True, (0, 3))
    """

    seed: tuple[int, ...]

    def __new__(cls, index: int, seed: tuple[int, ...]) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.seed = tuple(int(s) for s in seed)
        return self

    def __reduce__(self):
        return type(self), (int(self), self.seed)


@contextmanager
def seeded_generators(*entropy: int) -> Iterator[None]:
    """Seed the generators of NumPy, Python and PyTorch (CPU) from ``entropy``; restore their states afterwards."""
    numpy_state, python_state, torch_state = np.random.get_state(), random.getstate(), torch.get_rng_state()
    words = np.random.SeedSequence(entropy).generate_state(10)
    np.random.seed(words[:4])
    random.seed(words[4:8].tobytes())
    torch.default_generator.manual_seed(int(words[8:].view(np.uint64)[0]))
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        torch.set_rng_state(torch_state)


class SeededItemMixin:
    """Dataset items that depend only on (seed of the run, epoch, index), with any number of workers.

    List it before :class:`mmengine.dataset.BaseDataset` (or a child) in the bases. With a :class:`SeededIndex`, the
    global generators are seeded from it before the pipeline runs. With a plain int, they keep their state. As in
    MMEngine, another random sample is drawn if the pipeline returns None, at most ``max_refetch`` times. In test mode,
    None raises an error.
    """

    last_reason = ''
    """Why the last sample that gave nothing did so, where that is known."""

    refetch_hint = 'check the data, or what the transforms ask of it (such as min_regions, region_size, view_size)'

    def __getitem__(self, idx: int) -> Any:
        if not self._fully_initialized:
            self.full_init()
        if not isinstance(idx, SeededIndex):
            return self._fetch(idx)
        with seeded_generators(*idx.seed, int(idx)):
            return self._fetch(int(idx))

    def _fetch(self, idx: int) -> Any:
        data = self.prepare_data(idx)
        if data is None and self.test_mode:
            raise RuntimeError(f'{type(self).__name__}: sample {idx} gave nothing in test mode; {self.refetch_hint}')
        tries = 1
        while data is None:
            if tries > self.max_refetch:
                raise RuntimeError(
                    f'{type(self).__name__} of {len(self)} samples: {tries} samples drawn in a row gave nothing to '
                    f'learn from (max_refetch={self.max_refetch}); '
                    + (f'the last one: {self.last_reason}; ' if self.last_reason else '')
                    + self.refetch_hint
                )
            data = self.prepare_data(self._rand_another())
            tries += 1
        return data
