"""Batches from workers are what the pipeline made, and cost a process one open file each."""

import os
import pickle
import resource
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from mmvice.datasets.packed_batch import PackedBatch
from mmvice.engine import ViCERunner
from mmvice.structures import ViewsDataSample
from mmvice.utils.file_limit import raise_file_limit


def views_sample(number):
    draw = np.random.default_rng(number)
    sample = ViewsDataSample(
        metainfo=dict(num_regions=number, view_boxes=draw.random((2, 4), np.float32), img_path=f'{number}.png')
    )
    sample.regions = torch.from_numpy(draw.integers(-1, 9, (2, 5, 7), dtype=np.int32))
    if number % 2:
        sample.view_masks = torch.from_numpy(draw.random((2, 5, 7)) > 0.5)
    return dict(inputs=torch.from_numpy(draw.integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)), data_samples=sample)


def labelled_sample(number):
    """Images of several sizes."""
    image = torch.full((3, 4 + number % 3, 5), number % 256, dtype=torch.uint8)
    labels = PixelData(data=torch.arange(image[0].numel()).view(1, *image.shape[1:]))
    return dict(inputs=image, data_samples=SegDataSample(gt_sem_seg=labels, metainfo=dict(ori_shape=(4, 5))))


def odd_sample(number):
    """What other pipelines may give."""
    shared = torch.arange(4, dtype=torch.float16) + number
    return [shared, (shared, torch.tensor(number)), dict(none=torch.empty(0, 3), turned=torch.ones(2, 3).t()), 'text']


class Made(Dataset):
    def __init__(self, make, length=8):
        self.make, self.length = make, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.make(index)


def block(size):
    return torch.empty(0, dtype=torch.uint8).set_(torch.UntypedStorage._new_shared(max(size, 1)))


def assert_equal(value, expected):
    assert type(value) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert value.dtype == expected.dtype and value.stride() == expected.stride()
        assert torch.equal(value, expected)
    elif isinstance(expected, (SegDataSample, ViewsDataSample, PixelData)):
        assert_equal(dict(sorted(value.all_items())), dict(sorted(expected.all_items())))  # kept in sets, in no order
    elif isinstance(expected, dict):
        assert list(value) == list(expected)
        for key in expected:
            assert_equal(value[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(value) == len(expected)
        for pair in zip(value, expected):
            assert_equal(*pair)
    else:
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize('make', [views_sample, labelled_sample, odd_sample])
def test_batches_arrive_as_they_were_made(make):
    batch = pseudo_collate([make(number) for number in range(8)])
    assert_equal(pickle.loads(ForkingPickler.dumps(PackedBatch(batch, block))), batch)


def test_a_batch_of_stacked_tensors_and_one_without_tensors():
    batch = default_collate([dict(inputs=torch.full((3, 2), number)) for number in range(4)])
    assert_equal(pickle.loads(ForkingPickler.dumps(PackedBatch(batch, block))), batch)
    assert pickle.loads(ForkingPickler.dumps(PackedBatch(['a', 1], block))) == ['a', 1]


def test_tensors_that_arrive_are_writable_and_do_not_overlap():
    batch = [torch.zeros(3, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64)]
    first, second = pickle.loads(ForkingPickler.dumps(PackedBatch(batch, block)))
    first += 7
    assert (first == 7).all() and (second == 0).all()


@pytest.mark.parametrize('make', [views_sample, labelled_sample])
def test_workers_need_few_open_files(make):
    """64 samples of two or three tensors, four batches on the way, and room for 60 files: the workers share them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    loader = ViCERunner.build_dataloader(
        dict(dataset=Made(make, 256), batch_size=64, num_workers=2, sampler=dict(type='DefaultSampler', shuffle=False))
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/dev/fd')) + 60, hard))
    try:
        batches = list(loader)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(batches) == 4
    for start, batch in enumerate(batches):
        assert_equal(batch, pseudo_collate([make(64 * start + number) for number in range(64)]))


def test_without_workers_nothing_is_packed_and_the_collate_function_of_a_config_is_kept():
    loader = dict(
        dataset=Made(odd_sample), batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False)
    )
    assert_equal(next(iter(ViCERunner.build_dataloader(loader))), pseudo_collate([odd_sample(i) for i in range(4)]))
    assert next(iter(ViCERunner.build_dataloader(loader | dict(collate_fn=len)))) == 4
    assert next(iter(ViCERunner.build_dataloader(loader | dict(collate_fn=len, num_workers=1)))) == 4


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
