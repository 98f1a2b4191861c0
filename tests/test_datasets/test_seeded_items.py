"""Behind any wrapper, and in other projects' data sets, a sample follows from (seed, epoch, index)."""

import copy
import pickle
import random
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.runner import IterBasedTrainLoop
from mmseg.datasets import BaseSegDataset
from torch.utils.data import Dataset, Subset

from mmvice.datasets import SeededIndex, SeededInfiniteSampler, SyntheticScenesDataset
from mmvice.datasets.seeded_items import SeededItems
from mmvice.datasets.worker_batches import SharedMemory
from mmvice.engine import ViCERunner
from mmvice.registry import DATASETS, TRANSFORMS

pytestmark = pytest.mark.usefixtures('mmvice_scope')


@TRANSFORMS.register_module(force=True)
class DrawFromAll:
    """What steps draw from every global generator there is."""

    def __call__(self, results):
        return dict(drawn=(np.random.rand(), random.random(), torch.rand(1).item()), path=results['img_path'])


STEPS = [dict(type='DrawFromAll')]
FIRST = dict(type='SyntheticScenesDataset', num_scenes=3, size=(32, 32), pipeline=STEPS)
SECOND = dict(FIRST, num_scenes=4, seed=5)
CONCATENATED = dict(type='ConcatDataset', datasets=[FIRST, SECOND])
REPEATED = dict(type='RepeatDataset', times=3, dataset=FIRST)
WRAPPERS = dict(
    alone=FIRST,
    concatenated=CONCATENATED,
    new_style=dict(CONCATENATED, type=ConcatDataset),
    other_scope=dict(CONCATENATED, type='mmengine.ConcatDataset'),
    repeated=REPEATED,
    balanced=dict(type='ClassBalancedDataset', oversample_thr=0.9, dataset=FIRST),
    repeats_in_a_row=dict(type='ConcatDataset', datasets=[FIRST, dict(FIRST, seed=1), SECOND]),
    folds=dict(type='mmpretrain.KFoldDataset', dataset=dict(SECOND, lazy_init=False), num_splits=2),
    mixed=dict(type='MultiImageMixDataset', dataset=CONCATENATED, pipeline=[dict(type='DrawAgain')]),
)


def build(dataset, sampler='SeededInfiniteSampler', **settings):
    config = dict(dataset=dataset, batch_size=1, num_workers=0, sampler=dict(type=sampler), **settings)
    return ViCERunner.build_dataloader(config, seed=7)


def plain(sample):
    return sample['drawn'], sample.get('path')


@pytest.mark.parametrize('name', WRAPPERS)
def test_two_reads_of_a_sample_are_equal_and_others_differ(name):
    dataset = build(WRAPPERS[name]).dataset
    seen = set()
    for epoch in range(2):
        for index in range(len(dataset)):
            first = plain(dataset[SeededIndex(index, (7, epoch))])
            np.random.rand(index), random.random(), torch.rand(2)
            states = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
            assert plain(dataset[SeededIndex(index, (7, epoch))]) == first
            assert (np.random.get_state()[1] == states[0]).all() and random.getstate() == states[1]
            assert torch.equal(torch.get_rng_state(), states[2])
            seen.add(first[0])
    assert len(seen) == 2 * len(dataset)


@TRANSFORMS.register_module(force=True)
class DrawAgain(DrawFromAll):
    """A step of a mixing wrapper, which asks for other samples."""

    def get_indices(self, dataset):
        return [random.randint(0, len(dataset) - 1)]

    def __call__(self, results):
        return super().__call__(dict(img_path=(results['path'], results['mix_results'][0]['drawn'])))


def test_the_first_member_draws_what_it_draws_alone():
    """The numbers of a run do not change for the wrapper."""
    wrapped, alone = build(CONCATENATED).dataset, build(FIRST).dataset
    assert type(alone) is SyntheticScenesDataset
    for index in range(3):
        assert wrapped[SeededIndex(index, (7, 1))] == alone[SeededIndex(index, (7, 1))]


def test_data_sets_of_other_projects_heed_the_seeds_too(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.jpg'), np.zeros((8, 8, 3), np.uint8))
    config = dict(type=BaseSegDataset, data_root=str(tmp_path), data_prefix=dict(img_path='.'), pipeline=STEPS)
    loader = build(config)
    assert isinstance(loader.dataset, SeededItems) and len(loader.dataset) == 3
    batches = iter(loader), iter(loader)
    for _ in range(5):
        np.random.rand()
        assert next(batches[0]) == next(batches[1])


@pytest.mark.parametrize(
    'wrap', [ConcatDataset, torch.utils.data.ConcatDataset, lambda members: Subset(members[1], [2, 0])]
)
def test_data_sets_that_are_built_already_heed_the_seeds_too(wrap):
    dataset = wrap([DATASETS.build(config) for config in (FIRST, SECOND)])
    loader = build(dataset)
    assert loader.dataset.dataset is not None and len(loader.dataset) == len(dataset)
    index = SeededIndex(len(dataset) - 1, (7, 0))
    first = plain(loader.dataset[index])
    np.random.rand()
    assert plain(loader.dataset[index]) == first != plain(loader.dataset[SeededIndex(index, (7, 1))])
    assert type(build(DATASETS.build(FIRST)).dataset) is SyntheticScenesDataset


def test_a_wrapped_data_set_has_the_name_of_the_users_class(monkeypatch):
    class Mine(Dataset):
        def __init__(self, number=4):
            self.number = number

        def __len__(self):
            return self.number

        def __getitem__(self, index):
            return index

    loader = build(Mine())
    assert type(loader.dataset) is SeededItems
    lines = []
    monkeypatch.setattr('mmengine.runner.loops.print_log', lambda text, **_: lines.append(text))
    runner = SimpleNamespace(visualizer=SimpleNamespace())
    IterBasedTrainLoop(runner, loader, max_iters=1)
    assert lines[0].startswith('Dataset Mine has no metainfo')
    assert SharedMemory(loader).name == 'Mine'
    with pytest.raises(ValueError, match='an empty Mine'):
        SeededInfiniteSampler(SeededItems(Mine(0)))


def test_a_wrapped_data_set_can_be_sent_to_a_worker():
    items = build(CONCATENATED).dataset
    for copied in (pickle.loads(pickle.dumps(items)), copy.deepcopy(items)):
        assert type(copied) is SeededItems
        assert plain(copied[SeededIndex(4, (7, 1))]) == plain(items[SeededIndex(4, (7, 1))])


def test_a_loader_of_wrapped_data_resumes_where_it_was():
    def batches(start, number):
        loader = build(REPEATED)
        loader.sampler.skip(start)
        return [batch for batch, _ in zip(loader, range(number))]

    assert batches(0, 12)[5:] == batches(5, 7)


def test_other_samplers_and_what_cannot_be_built_are_left_alone():
    assert type(build(CONCATENATED, 'InfiniteSampler').dataset) is ConcatDataset
    with pytest.raises(KeyError, match='NoSuchDataset'):
        build(dict(type='NoSuchDataset'))


def test_everything_else_is_that_of_the_data_set():
    dataset = build(REPEATED).dataset
    assert dataset.metainfo == DATASETS.build(FIRST).metainfo and dataset.times == 3
    assert isinstance(dataset.dataset.dataset, BaseDataset)
    assert dataset.get_data_info(4)['img_path'] == dataset.get_data_info(1)['img_path']
