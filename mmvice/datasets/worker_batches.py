"""Batches in shared memory from worker processes: each arrives, or the run ends with the reason."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.queues import Queue
from typing import Any

import torch
from torch.utils.data import DataLoader

from mmvice.utils.files import readable_size

SHARED_MEMORY = '/dev/shm'
LONGEST_WAIT = 1800
"""Seconds that a loader waits for a batch of its workers, unless its config has a ``timeout``; 0 is without end."""
# torch refuses these where no worker is there to obey them
_OF_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')
# The processes of a run on this machine; Slurm has those of all machines, as '4(x2),3'.
_LOCAL_PROCESSES = ('LOCAL_WORLD_SIZE', 'SLURM_STEP_TASKS_PER_NODE', 'OMPI_COMM_WORLD_LOCAL_SIZE')


class SharedMemoryError(RuntimeError):
    """Shared memory is too small for the batches of a data loader."""


def with_worker_settings(loader: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a data loader: without settings of workers if it has none, else with a timeout.

    Raises:
        ValueError: If ``num_workers`` is not a number of workers.
    """
    workers = loader.get('num_workers', 0)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise ValueError(
            f'num_workers of a data loader must be 0, which loads in the main process, or more, got {workers!r}'
        )
    if workers:
        return {'timeout': LONGEST_WAIT, **loader}
    return {name: value for name, value in loader.items() if name not in _OF_WORKERS}


def free_shared_memory() -> int | None:
    """Free bytes of shared memory; None on a system without ``/dev/shm``."""
    if not os.path.isdir(SHARED_MEMORY):
        return None
    status = os.statvfs(SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


def local_processes() -> int:
    """Number of processes that a launcher has started on this machine; 1 without a launcher."""
    told = next((os.environ[name] for name in _LOCAL_PROCESSES if name in os.environ), '1')
    of_machines = [
        int(number) for number, times in re.findall(r'(\d+)(?:\(x(\d+)\))?', told) for _ in range(int(times or 1))
    ]
    return of_machines[int(os.environ.get('SLURM_NODEID', 0)) if len(of_machines) > 1 else 0]


class SharedMemory:
    """The shared memory for the batches of a loader's workers.

    Args:
        loader: A loader. The memory that is free now is available for its batches.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.workers, self.prefetch = loader.num_workers, loader.prefetch_factor or 0
        self.name = loader.dataset.__class__.__name__
        self.processes = local_processes()
        self.free = free_shared_memory()
        self._checked = False

    def allocate(self, size: int) -> torch.Tensor:
        """A block of the given number of bytes, uint8 (size,), for one batch.

        Raises:
            SharedMemoryError: If there is no room for the block. At the first batch of a worker, also if there is no
                room for all simultaneous batches of this size.
        """
        if not self._checked:
            Queue._on_queue_feeder_error = staticmethod(_end_worker)
            if self.free is not None and self._needed(size) > self.free:
                raise SharedMemoryError(self._say(self._describe(size), self.free))
            self._checked = True
        with self.told(self._describe(size)):
            return torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(max(size, 1)))

    @contextmanager
    def told(self, need: str = 'more shared memory than there is') -> Iterator[None]:
        """Turn torch's error of too little memory into a :class:`SharedMemoryError`."""
        try:
            yield
        except RuntimeError as error:
            if 'No space left on device' not in str(error) or isinstance(error, SharedMemoryError):
                raise
            raise SharedMemoryError(self._say(need, free_shared_memory())) from error

    def _needed(self, size: int) -> int:
        """Bytes of all simultaneous batches: the prefetched ones, and one in use."""
        return size * (self.workers * self.prefetch + 1) * self.processes

    def _describe(self, size: int) -> str:
        processes = f' in each of {self.processes} processes' if self.processes > 1 else ''
        return (
            f'{readable_size(self._needed(size))} of shared memory (a batch of {readable_size(size)} x '
            f'({self.workers} workers x prefetch_factor {self.prefetch} + 1 in use){processes})'
        )

    def _say(self, need: str, free: int | None) -> str:
        there = 'an unknown size is' if free is None else f'{readable_size(free)} are'
        return (
            f'the data loader of {self.name} needs {need}, but {there} free in {SHARED_MEMORY}: enlarge it (in Docker '
            '--shm-size=8g or --ipc=host), or lower num_workers, prefetch_factor or batch_size of the loader; with '
            'num_workers=0 it needs none'
        )


def _end_worker(error: Exception, batch: Any) -> None:
    """End a worker that cannot send a batch, so that its main process notices.

    torch's workers send in a thread whose errors are only printed. The main process would wait forever.
    """
    sys.stderr.write(f'a worker of a data loader cannot send a batch and ends: {error}\n')
    sys.stderr.flush()
    os._exit(1)
