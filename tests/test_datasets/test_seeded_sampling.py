import pickle
import random

import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from mmvice.datasets import SeededIndex, SeededItemMixin


class Draws(SeededItemMixin, BaseDataset):
    """Samples are what the global generators give; samples listed in ``bad`` give None."""

    def __init__(self, bad=(), size=20, **kwargs):
        self.bad, self.size = bad, size
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(number=number) for number in range(self.size)]

    def prepare_data(self, idx):
        number = self.get_data_info(idx)['number']
        return None if number in self.bad else (number, np.random.rand(), random.random())


def test_index_is_an_int_that_keeps_its_seed_through_pickling():
    index = pickle.loads(pickle.dumps(SeededIndex(np.int64(5), (1, 2))))
    assert index == 5 and [*range(9)][index] == 5
    assert index.seed == (1, 2)
    assert type(index + 1) is int


def test_item_is_a_function_of_seed_epoch_and_index_alone():
    dataset = Draws()
    first = dataset[SeededIndex(3, (0, 1))]
    np.random.seed(99)
    random.seed(99)
    dataset[SeededIndex(4, (0, 1))]
    assert dataset[SeededIndex(3, (0, 1))] == first
    assert Draws()[SeededIndex(3, (0, 1))] == first
    others = {dataset[SeededIndex(3, (0, 2))], dataset[SeededIndex(3, (1, 1))], dataset[SeededIndex(4, (0, 1))]}
    assert first not in others and len(others) == 3


def test_seeded_items_do_not_disturb_the_global_generators_and_plain_ints_use_them():
    dataset = Draws()
    np.random.seed(7)
    random.seed(7)
    expected = (0, np.random.rand(), random.random())
    np.random.seed(7)
    random.seed(7)
    dataset[SeededIndex(3, (0, 1))]
    assert dataset[0] == expected


def test_refetch_draws_another_sample_reproducibly():
    dataset = Draws(bad=range(1, 20))
    assert dataset[SeededIndex(5, (0, 0))] == dataset[SeededIndex(5, (0, 0))]
    assert dataset[5][0] == 0


def test_refetch_gives_up_and_says_what_to_change():
    dataset = Draws(bad=range(20), max_refetch=4)
    with pytest.raises(RuntimeError, match=r'Draws of 20 samples: 5 samples drawn.*max_refetch=4.*min_regions'):
        dataset[0]
    with pytest.raises(RuntimeError, match='sample 0 gave nothing in test mode'):
        Draws(bad=range(20), test_mode=True)[0]
