"""The same global batch gives the same numbers in 1, 2 and 4 processes, however its regions are dealt out."""

import os

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.structures import BaseDataElement
from processes import process_group, run_processes

from mmvice.registry import MODELS
from mmvice.structures import ViewsDataSample

NUM_IMAGES, NUM_VIEWS, SIZE, NUM_STEPS = 4, 3, (32, 32), 3
MODEL = dict(
    type='mmvice.ViCE',
    backbone=dict(
        type='mmseg.ResNet',
        depth=18,
        stem_channels=4,
        base_channels=4,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(0, 1),
        norm_cfg=dict(type='CPUSyncBN'),
    ),
    decoder=dict(type='mmvice.LightFPN', in_channels=[4, 8], embed_dims=6),
    head=dict(type='mmvice.DenseSwAVHead', num_concepts=5, queue_start_iter=1),
)
# Regions of each image, reduction and the length of all queues together. Images 0 and 1 are in one of two processes.
CASES = {
    'equal, and the queue overflows': ([6, 6, 6, 6], 'image', 24),
    'unequal': ([11, 2, 0, 7], 'image', 400),
    'unequal, mean over regions': ([11, 2, 0, 7], 'region', 400),
    'one in a process': ([12, 0, 0, 1], 'image', 400),
    'none in a process': ([5, 8, 0, 0], 'image', 400),
    'none in a process, mean over regions': ([5, 8, 0, 0], 'region', 400),
    'none at all': ([0, 0, 0, 0], 'image', 0),
}


def global_batch(seed: int, num_regions: list[int]) -> tuple[torch.Tensor, list[BaseDataElement]]:
    generator = torch.Generator().manual_seed(seed)
    views = torch.randn(NUM_IMAGES, NUM_VIEWS, 3, *SIZE, generator=generator, dtype=torch.float64)
    samples = []
    for count in num_regions:
        sample = ViewsDataSample(metainfo=dict(num_regions=count))
        sample.regions = torch.full((NUM_VIEWS, *SIZE), -1, dtype=torch.int32)
        if count:
            sample.regions.random_(-1, count, generator=generator)
            sample.regions.flatten(1)[:, :count] = torch.arange(count)
        samples.append(sample)
    return views, samples


def train(num_regions: list[int], reduction: str, queue_length: int) -> dict[str, torch.Tensor]:
    """A few optimizer steps on this process's share of the images; what rank 0 knows of all, by name."""
    torch.manual_seed(0)
    world_size = dist.get_world_size() if dist.is_initialized() else 1
    rank = dist.get_rank() if dist.is_initialized() else 0
    head = dict(MODEL['head'], reduction=reduction, queue_length=queue_length // world_size)
    model = MODELS.build(dict(MODEL, head=head)).double()
    assignments = []
    assign = model.head.assign
    model.head.assign = lambda means: assignments.append(assign(means)) or assignments[-1]
    # buffers of rank 0 are sent to all, on purpose: the queues must not be among them
    network = MMDistributedDataParallel(model, broadcast_buffers=True) if world_size > 1 else model
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    own = slice(rank * NUM_IMAGES // world_size, (rank + 1) * NUM_IMAGES // world_size)
    record = {}
    for step in range(NUM_STEPS):
        views, samples = global_batch(step, num_regions)
        out = network(views[own].flatten(0, 1), samples[own], mode='loss')
        optimizer.zero_grad()
        out['loss'].backward()
        record |= {f'{step}.{name}': value.detach() for name, value in out.items()}
        record |= {f'{step}.grad.{name}': p.grad.clone() for name, p in model.named_parameters()}
        optimizer.step()
        model.head.after_step()
        parts = [assignments[step]]
        if world_size > 1:
            parts = [None] * world_size
            dist.all_gather_object(parts, assignments[step])
        record[f'{step}.assignments'] = torch.cat(parts)
    state = model.state_dict()
    record['queued'] = state['head.queue_count'].clamp(max=model.head.queue_length).double()
    if world_size > 1:
        dist.all_reduce(record['queued'])
    return record | {name: value for name, value in state.items() if name not in ('head.queue', 'head.queue_count')}


def all_cases_in_all_numbers_of_processes() -> dict:
    rank, results = int(os.environ['RANK']), {}
    for world_size in (1, 2, 4):
        if world_size == 1 and rank == 0:
            results[1] = {name: train(*case) for name, case in CASES.items()}
        elif rank < world_size:
            with process_group(world_size):
                results[world_size] = {name: train(*case) for name, case in CASES.items()}
    return results


def test_processes_compute_what_one_computes():
    by_rank = run_processes(all_cases_in_all_numbers_of_processes, 4)
    for case, (num_regions, _, queue_length) in CASES.items():
        one = by_rank[0][1][case]
        assert len(one['0.assignments']) == sum(num_regions)
        assert one['queued'] == min(NUM_STEPS * sum(num_regions), queue_length)
        for step in range(NUM_STEPS):
            trained = [one[f'{step}.loss'] > 0, one[f'{step}.grad.backbone.conv1.weight'].any()]
            assert all(trained) if sum(num_regions) else not any(trained)
        for world_size in (2, 4):
            for rank in range(world_size):
                several = by_rank[rank][world_size][case]
                assert several.keys() == one.keys()
                for name, value in one.items():
                    error = (several[name] - value).double().norm() / value.double().norm().clamp_min(1e-3)
                    assert error < 1e-10, f'{name} where regions are {case}, in rank {rank} of {world_size}: {error}'
