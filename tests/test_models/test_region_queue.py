"""A ring of region embeddings, and dealing the rings of some processes out to others."""

import hypothesis.strategies as st
import torch
from hypothesis import given

from mmvice.models.utils.region_queue import deal_out, enqueue, filled_part

ROWS = st.lists(st.integers(0, 7), min_size=1, max_size=4)  # what entered the queue of each process


def rings_of(entered, length):
    """Rings that rows (process, n) have entered for n = 0, 1, ..."""
    rings = torch.full((len(entered), length, 2), -1.0)
    for process, count in enumerate(entered):
        for n in range(count):
            rings[process, n % length] = torch.tensor([process, n])
    return rings


def contents(rings, counts):
    """Rows of each ring, oldest first."""
    return [
        [tuple(ring[n % len(ring)].int().tolist()) for n in range(max(count - len(ring), 0), count)]
        for ring, count in zip(rings, counts)
    ]


@given(sizes=st.lists(st.integers(0, 7), max_size=4), length=st.integers(0, 5))
def test_the_newest_are_kept_in_a_ring(sizes, length):
    ring, count = torch.zeros(length, 2), 0
    for size in sizes:
        enqueue(ring, count, torch.stack([torch.zeros(size), torch.arange(count, count + size)], 1))
        count += size
    expected = [(0, n) for n in range(count)][-length:] if length else []
    assert {tuple(row) for row in filled_part(ring, count).int().tolist()} == set(expected)
    assert contents([ring], [count]) == [expected] if length else True


@given(entered=ROWS, length=st.integers(1, 5), num_processes=st.integers(1, 5), new_length=st.integers(1, 5))
def test_the_newest_are_kept_and_dealt_out_evenly(entered, length, num_processes, new_length):
    rings = rings_of(entered, length)
    before = [row for rows in contents(rings, entered) for row in rows]
    after = contents(*deal_out(rings, entered, num_processes, new_length))
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
    rings, counts = deal_out(rings_of([3, 7], 4), [3, 7], 3, 2)
    assert counts == [2, 2, 2]
    # newest first: (0, 2), (1, 6), (0, 1), then (1, 5), (0, 0), (1, 4); (1, 3) does not fit
    assert contents(rings, counts) == [[(1, 5), (0, 2)], [(0, 0), (1, 6)], [(1, 4), (0, 1)]]
