"""Data loaders with and without workers: whatever befalls a batch, nobody waits for it without end."""

import os
import time
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmvice.cli.errors import explain
from mmvice.datasets import worker_batches
from mmvice.datasets.packed_batch import PackedBatch
from mmvice.datasets.worker_batches import SharedMemoryError, with_worker_settings
from mmvice.engine import ViCERunner

KB = 1024


class Samples:
    """Samples of 4 KiB: a tensor in the depths of one, and what else datasets give."""

    def __init__(self, item=None):
        self.item = item or (lambda index: dict(inputs=torch.full((1024,), float(index)), meta=dict(path='ä.png')))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.item(index)


def load(item=None, free=10**12, batch_size=2, num_workers=2, monkeypatch=None, **settings):
    """All batches of a loader, as the Runner builds it."""
    settings = with_worker_settings(dict(batch_size=batch_size, num_workers=num_workers, **settings))
    loader = DataLoader(Samples(item), collate_fn=pseudo_collate, **settings)
    if monkeypatch is not None:
        monkeypatch.setattr(worker_batches, 'free_shared_memory', lambda: free)
    return list(ViCERunner.build_dataloader(loader))


def caught(*args, **kwargs):
    """The error that ends the loading, without its traceback: that would keep the workers."""
    try:
        load(*args, **kwargs)
    except Exception as error:
        return error.with_traceback(None)
    pytest.fail('all batches came')


@pytest.mark.parametrize('persistent', [True, False])
def test_batches_arrive_as_they_are(persistent):
    for workers in (0, 2):
        batches = load(num_workers=workers, persistent_workers=persistent)
        assert [[int(t[0]) for t in batch['inputs']] for batch in batches] == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert batches[0]['meta']['path'] == ['ä.png', 'ä.png']


def test_what_all_batches_take_is_compared_with_what_there_is(monkeypatch):
    """2 samples of 4 KiB in a batch, 2 workers that keep 2 each, and one in use: 40 KiB."""
    assert len(load(free=40 * KB, monkeypatch=monkeypatch)) == 4
    error = caught(free=40 * KB - 1, monkeypatch=monkeypatch)
    assert isinstance(error, SharedMemoryError)
    message = explain(error)
    assert message.startswith(
        'the data loader of Samples needs 41.0 kB of shared memory (a batch of 8.2 kB x (2 workers x prefetch_factor 2 '
        '+ 1 in use)), but 41.0 kB are free in /dev/shm'
    )
    assert all(word in message for word in ('--shm-size', 'num_workers', 'prefetch_factor', 'batch_size'))
    error = caught(free=48 * KB, prefetch_factor=3, monkeypatch=monkeypatch)
    assert '57.3 kB of shared memory (a batch of 8.2 kB x (2 workers x prefetch_factor 3 + 1' in explain(error)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    error = caught(free=159 * KB, monkeypatch=monkeypatch)
    assert '163.8 kB of shared memory' in explain(error) and 'in each of 4 processes' in explain(error)


@pytest.mark.parametrize(
    'environment, processes',
    [
        ({}, 1),
        (dict(LOCAL_WORLD_SIZE='4', SLURM_STEP_TASKS_PER_NODE='1'), 4),  # torchrun, started by Slurm
        (dict(SLURM_STEP_TASKS_PER_NODE='1', SLURM_NTASKS_PER_NODE='8'), 1),  # a step of fewer tasks than its job
        (dict(SLURM_STEP_TASKS_PER_NODE='4(x2),3', SLURM_NODEID='1'), 4),
        (dict(SLURM_STEP_TASKS_PER_NODE='4(x2),3', SLURM_NODEID='2'), 3),
        (dict(SLURM_STEP_TASKS_PER_NODE='8(x16)', SLURM_NODEID='15'), 8),
        (dict(OMPI_COMM_WORLD_LOCAL_SIZE='2'), 2),
    ],
)
def test_the_processes_of_a_machine_are_what_the_launcher_says(monkeypatch, environment, processes):
    for name in ('LOCAL_WORLD_SIZE', 'SLURM_STEP_TASKS_PER_NODE', 'OMPI_COMM_WORLD_LOCAL_SIZE', 'SLURM_NODEID'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert worker_batches.local_processes() == processes


def test_shared_memory_that_others_have_filled_is_told_too(monkeypatch):
    def full(size):
        raise RuntimeError('unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)')

    monkeypatch.setattr(torch.UntypedStorage, '_new_shared', full)
    message = explain(caught())
    assert 'needs 41.0 kB of shared memory' in message and 'free in /dev/shm: enlarge it' in message


@pytest.mark.parametrize(
    'item, end',
    [
        (lambda index: dict(inputs=(lambda: index)), 'pickle'),  # no function can be sent
        (lambda index: os._exit(3), 'DataLoader worker'),
        (lambda index: os.kill(os.getpid(), 9), 'DataLoader worker'),
    ],
)
def test_a_worker_that_cannot_send_or_dies_ends_the_loading(item, end):
    error = caught(item)
    assert end in str(error)
    assert end == 'pickle' or explain(error).startswith('a worker of a data loader ')


def test_a_batch_that_is_lost_on_its_way_ends_the_worker(monkeypatch, capfd):
    """As where no more files may be open: the worker's sending thread finds out, when collating is over."""
    monkeypatch.setattr(PackedBatch, '__reduce__', unsendable)
    error = caught()
    assert explain(error).startswith('a worker of a data loader ended unexpectedly; what it wrote above says why')
    assert 'cannot send a batch and ends: too many open files' in capfd.readouterr().err


def unsendable(batch):
    raise OSError('too many open files')


def test_a_worker_that_hangs_is_not_waited_for_without_end():
    assert with_worker_settings(dict(num_workers=1))['timeout'] == worker_batches.LONGEST_WAIT
    assert with_worker_settings(dict(num_workers=1, timeout=0))['timeout'] == 0
    message = explain(caught(lambda index: time.sleep(1), num_workers=1, timeout=0.1))
    assert message.startswith('the workers of a data loader gave no batch for 0.1 seconds')


OF_WORKERS = dict(persistent_workers=True, prefetch_factor=4, timeout=9, multiprocessing_context='fork')


@pytest.mark.parametrize('name', OF_WORKERS)
def test_no_worker_needs_no_setting_of_workers(name):
    given = Config(dict(loader=dict(num_workers=0, pin_memory=False, **{name: OF_WORKERS[name]}))).loader
    assert len(list(DataLoader(Samples(), **with_worker_settings(given)))) == 8
    assert name in given, 'the config of the user stays as it is'
    with_workers = with_worker_settings(dict(num_workers=1, **OF_WORKERS))
    assert with_workers == dict(num_workers=1, **OF_WORKERS)


@pytest.mark.parametrize('workers', [-1, '4', 1.5, True, None])
def test_other_numbers_of_workers_are_told(workers):
    with pytest.raises(ValueError, match='num_workers of a data loader must be 0, which loads in the main process'):
        with_worker_settings(dict(num_workers=workers))


def test_what_is_free_is_what_the_system_tells(monkeypatch, tmp_path):
    status = SimpleNamespace(f_bavail=5, f_frsize=4096)
    monkeypatch.setattr(worker_batches.os, 'statvfs', lambda path: status)
    monkeypatch.setattr(worker_batches, 'SHARED_MEMORY', str(tmp_path))
    assert worker_batches.free_shared_memory() == 5 * 4096
    monkeypatch.setattr(worker_batches, 'SHARED_MEMORY', str(tmp_path / 'none'))
    assert worker_batches.free_shared_memory() is None
