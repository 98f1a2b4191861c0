"""Processes of a run end when all have finished, not while one is still writing."""

import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from processes import run_processes

from mmvice.cli import record_errors
from mmvice.engine.cpu_processes import leave_together

SECONDS = 2


def train() -> None:
    """Exchange something, and write a file in the first process, later than the others are done."""
    folder, rank = Path(os.environ['MMVICE_TEST_FOLDER']), int(os.environ['RANK'])
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=3)
    dist.all_reduce(torch.ones(1))
    if rank == 0:
        time.sleep(SECONDS)
        (folder / 'checkpoint').touch()


def is_there_at_the_end() -> tuple[bool, bool]:
    record_errors(train)()
    return Path(os.environ['MMVICE_TEST_FOLDER'], 'checkpoint').exists(), dist.is_initialized()


def test_no_process_ends_before_the_first_has_written():
    assert run_processes(is_there_at_the_end, 3) == [(True, False)] * 3


def test_a_process_alone_just_ends():
    leave_together()
    assert record_errors(lambda: 5)() == 5
