"""Dealing the queues of some processes out to others."""

from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from mmvice.engine import RegionQueueHook
from mmvice.engine.hooks.region_queue_hook import deal_out_queues
from mmvice.models import DenseSwAVHead

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
