"""Dealing the queues of some processes out to others."""

import uuid
from copy import deepcopy
from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from mmengine.config import Config
from mmengine.hooks import Hook
from test_visualization_hooks import CONFIG

from mmvice.apis import build_runner
from mmvice.engine import RegionQueueHook
from mmvice.engine.hooks import region_queue_hook
from mmvice.engine.hooks.region_queue_hook import deal_out_queues
from mmvice.models import DenseSwAVHead
from mmvice.registry import HOOKS
from mmvice.utils.checkpoint import load_checkpoint_file

ROWS = st.lists(st.integers(0, 7), min_size=1, max_size=4)  # what entered the queue of each process


def queues_of(entered, length):
    """Rings that rows (process, n) have entered for n = 0, 1, ..., and their progress."""
    queues, progress = torch.full((len(entered), length, 2), -1.0), []
    for process, count in enumerate(entered):
        for n in range(count):
            queues[process, n % length] = torch.tensor([process, n])
        progress.append([9, count % length, min(count, length)])
    return queues, torch.tensor(progress)


def contents(queues, progress):
    """Rows of each queue, oldest first."""
    rings = zip(queues, progress.tolist())
    return [
        [tuple(ring[(at - filled + i) % len(ring)].int().tolist()) for i in range(filled)]
        for ring, (_, at, filled) in rings
    ]


@given(entered=ROWS, length=st.integers(1, 5), num_processes=st.integers(1, 5), new_length=st.integers(1, 5))
def test_the_newest_are_kept_and_dealt_out_evenly(entered, length, num_processes, new_length):
    queues, progress = queues_of(entered, length)
    before = [row for rows in contents(queues, progress) for row in rows]
    after = contents(*deal_out_queues(queues, progress, num_processes, new_length))
    kept = [row for rows in after for row in rows]
    assert len(after) == num_processes and len(kept) == len(set(kept)) == min(len(before), num_processes * new_length)
    assert set(kept) <= set(before)
    assert max(map(len, after)) - min(map(len, after)) <= 1

    def age(row):  # 0 for the newest of its process
        return entered[row[0]] - 1 - row[1]

    dropped = set(before) - set(kept)
    assert max(map(age, kept), default=0) <= min(map(age, dropped), default=99)
    assert all(list(map(age, rows)) == sorted(map(age, rows), reverse=True) for rows in after)  # oldest first


def test_two_queues_of_four_become_three_of_two():
    queues, progress = deal_out_queues(*queues_of([3, 7], 4), 3, 2)
    assert progress.tolist() == [[9, 0, 2]] * 3
    # newest first: (0, 2), (1, 6), (0, 1), then (1, 5), (0, 0), (1, 4); (1, 3) does not fit
    assert contents(queues, progress) == [[(1, 5), (0, 2)], [(0, 0), (1, 6)], [(1, 4), (0, 1)]]


@pytest.mark.parametrize('length, other', [(4, 6), (4, 0), (0, 6)])
def test_one_process_leaves_a_checkpoint_of_one_as_it_is(length, other):
    """Also where lengths differ, for that is not for this hook to judge."""
    saved, head = DenseSwAVHead(6, 5, queue_length=length), DenseSwAVHead(6, 5, queue_length=other)
    state = {f'head.{name}': value for name, value in saved.state_dict().items()}
    checkpoint = dict(state_dict=dict(state))
    RegionQueueHook().after_load_checkpoint(SimpleNamespace(model=SimpleNamespace(head=head)), checkpoint)
    assert all(torch.equal(checkpoint['state_dict'][name], value) for name, value in state.items())


@pytest.mark.parametrize('saved_length, dims, length', [(4, 2, 0), (0, 2, 4), (4, 3, 4)])
def test_queues_that_cannot_be_dealt_are_left_to_be_complained_about(saved_length, dims, length):
    queues, progress = torch.zeros(2, saved_length, dims), torch.zeros(2, 3, dtype=torch.int64)
    checkpoint = dict(
        state_dict={'head.queue': queues[0], 'head.progress': progress[0]},
        region_queues=dict(queue=queues, progress=progress),
    )
    head = DenseSwAVHead(2, 5, queue_length=length)
    RegionQueueHook().after_load_checkpoint(SimpleNamespace(model=SimpleNamespace(head=head)), checkpoint)
    assert checkpoint['state_dict']['head.queue'].shape == (saved_length, dims)


@HOOKS.register_module()
class ExchangingHook(Hook):
    """Saves other weights in the place of the model's, and puts those back when a run goes on."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['own'] = [dict(weights=checkpoint['state_dict'])]
        checkpoint['state_dict'] = {name: torch.zeros_like(value) for name, value in checkpoint['state_dict'].items()}

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['state_dict'] = checkpoint['own'][0]['weights']


HIGH, LATE = 'HIGHEST', 'LOWEST'
EXCHANGES = {
    'an average, first': dict(type='EMAHook', priority=HIGH, strict_load=True),
    'an average': dict(type='EMAHook', update_buffers=True),
    'an average, last': dict(type='EMAHook', update_buffers=True, priority=LATE),
    'other weights, first': dict(type='ExchangingHook', priority=HIGH),
    'other weights, last': dict(type='ExchangingHook', priority=LATE),
}


def resumable(folder, hook, steps, resume=False, queue=16):
    cfg = Config(deepcopy(CONFIG))
    cfg.model.head.queue_length, cfg.train_cfg.max_iters, cfg.resume = queue, steps, resume
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
    cfg.update(work_dir=str(folder), custom_hooks=[hook], experiment_name=uuid.uuid4().hex, launcher='none')
    runner = build_runner(cfg)
    runner.train()
    return runner.model.head


@pytest.mark.parametrize('exchange', EXCHANGES)
def test_each_process_gets_its_queue_whatever_hook_exchanges_the_weights(tmp_path, monkeypatch, exchange):
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    hook = EXCHANGES[exchange]
    trained = resumable(tmp_path, hook, 2)
    saved = load_checkpoint_file(tmp_path / 'iter_2.pth')
    assert torch.equal(saved['region_queues']['queue'][0], trained.queue)
    again = resumable(tmp_path, hook, 2, resume=True)
    assert all(torch.equal(getattr(again, name), getattr(trained, name)) for name in ('queue', 'progress', 'concepts'))

    # one process goes on from two, with a queue of another length
    own, progress = saved['region_queues'].values()
    both = dict(queue=torch.cat([own, own.flip(2)]), progress=torch.cat([progress, progress]))
    torch.save({**saved, 'region_queues': both}, tmp_path / 'iter_2.pth')
    dealt = resumable(tmp_path, hook, 2, resume=True, queue=20)
    filled = [queue[:n] for queue, n in zip(both['queue'], both['progress'][:, 2])]
    assert dealt.progress[2] == min(sum(map(len, filled)), 20)
    assert {tuple(row) for row in dealt.queue.tolist()} <= {tuple(row) for row in torch.cat(filled).tolist()}

    # the second process of two takes its own
    torch.save({**saved, 'region_queues': both}, tmp_path / 'iter_2.pth')
    monkeypatch.setattr(region_queue_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(region_queue_hook, 'get_rank', lambda: 1)
    assert torch.equal(resumable(tmp_path, hook, 2, resume=True).queue, both['queue'][1])
