from itertools import islice
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from mmvice.datasets import SeededIndex, SeededInfiniteSampler
from mmvice.registry import DATA_SAMPLERS


def sampler_of(size, rank=0, world_size=1, **kwargs):
    with patch('mmvice.datasets.samplers.get_dist_info', return_value=(rank, world_size)):
        return SeededInfiniteSampler(range(size), seed=kwargs.pop('seed', 3), **kwargs)


def stream(sampler, count):
    return [(int(index), index.seed) for index in islice(sampler, count)]


def test_every_epoch_is_another_permutation_and_carries_its_seed():
    drawn = stream(sampler_of(10), 30)
    epochs = [[index for index, seed in drawn if seed == (3, epoch)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert stream(sampler_of(10), 30) == drawn
    assert stream(sampler_of(10, seed=4), 30) != drawn
    assert [index for index, _ in stream(sampler_of(4, shuffle=False), 6)] == [0, 1, 2, 3, 0, 1]


@given(
    size=st.integers(1, 12),
    world_size=st.integers(1, 5),
    skipped=st.integers(0, 60),
    rank=st.integers(0, 4),
)
def test_skip_equals_iteration(size, world_size, skipped, rank):
    rank %= world_size
    whole = stream(sampler_of(size, rank, world_size), skipped + 15)
    sampler = sampler_of(size, rank, world_size)
    sampler.skip(skipped)
    assert stream(sampler, 15) == whole[skipped:]
    sampler.skip(skipped)  # absolute, so that saying it twice changes nothing
    assert stream(sampler, 15) == whole[skipped:]


@given(size=st.integers(1, 12), world_size=st.integers(1, 5))
def test_ranks_deal_the_stream_of_one_process_in_turn(size, world_size):
    one = stream(sampler_of(size), 8 * world_size)
    ranks = [stream(sampler_of(size, rank, world_size), 8) for rank in range(world_size)]
    assert [drawn for turn in zip(*ranks) for drawn in turn] == one
    assert len(set(one)) == len(one)


def test_skipping_far_is_as_cheap_as_skipping_near():
    sampler = sampler_of(7)
    sampler.skip(10**15)
    assert len(stream(sampler, 3)) == 3


class Seeds(Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, idx):
        return int(idx), idx.seed if isinstance(idx, SeededIndex) else None


def test_workers_receive_the_seeds():
    loader = DataLoader(Seeds(), batch_size=2, num_workers=2, sampler=sampler_of(5), collate_fn=list)
    batches = list(islice(loader, 4))
    assert [item for batch in batches for item in batch] == stream(sampler_of(5), 8)


def test_built_by_name_and_mistakes_are_named():
    assert len(DATA_SAMPLERS.build(dict(type='SeededInfiniteSampler', dataset=range(5), seed=0))) == 5
    with pytest.raises(ValueError, match='empty list'):
        SeededInfiniteSampler([], seed=0)
    with pytest.raises(ValueError, match='negative'):
        sampler_of(5, seed=-1)
    with pytest.raises(ValueError, match='negative'):
        sampler_of(5).skip(-1)
