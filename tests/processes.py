"""Functions in several processes over gloo, on this machine."""

import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# Processes are forked from one that has imported all this, and so begin at once.
multiprocessing.get_context('forkserver').set_forkserver_preload(['mmvice.apis', 'mmvice.engine'])


def run_processes(
    function: Callable[..., Any], count: int, *args: Any, timeout: float = 300, start_method: str = 'forkserver'
) -> list[Any]:
    """Call ``function(*args)`` in ``count`` processes, see :func:`process_group`; returns the results by rank.

    Functions that use CUDA need ``start_method='spawn'``: a fork of a process that has asked for a GPU cannot use one.

    Raises:
        torch.multiprocessing.ProcessRaisedException: One of them raised; the others are ended.
        TimeoutError: They have not finished in ``timeout`` seconds; they are ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = (function, count, args, folder)
        context = mp.start_processes(_start, arguments, nprocs=count, join=False, start_method=start_method)
        deadline = time.monotonic() + timeout
        try:
            while not context.join(timeout=1):
                if time.monotonic() > deadline:
                    raise TimeoutError(f'{function.__name__} has not ended in {timeout} s')
        finally:
            for process in context.processes:
                process.kill()
        return [torch.load(Path(folder, f'{rank}.pt'), weights_only=False) for rank in range(count)]


def _start(rank: int, function: Callable[..., Any], count: int, args: tuple, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank), MMVICE_TEST_FOLDER=folder)
    torch.save(function(*args), Path(folder, f'{rank}.pt'))


@contextmanager
def process_group(count: int | None = None) -> Iterator[int]:
    """The first ``count`` processes, by default all, are the default process group; the others must not enter.

    Yields:
        int: The rank of this process.
    """
    count = int(os.environ['WORLD_SIZE']) if count is None else count
    rank = int(os.environ['RANK'])
    rendezvous = Path(os.environ['MMVICE_TEST_FOLDER'], f'rendezvous-{count}')
    dist.init_process_group('gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=count)
    try:
        yield rank
    finally:
        dist.destroy_process_group()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
