"""A training step never waits for the device: not for a value, not for a copy."""

from contextlib import nullcontext

import pytest
import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmvice.models import DenseSwAVHead, ODCHead
from mmvice.models.heads.regions import REDUCTIONS
from mmvice.ops import axis, bilinear, region_pooling
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap, ViewsDataSample
from mmvice.utils import triton

NUM_REGIONS, NUM_VIEWS, SIZE = [4, 0, 2], 3, (12, 16)
PREPROCESSOR = dict(type='mmvice.ViCEDataPreprocessor', mean=[10, 20, 30], std=[1, 2, 3], bgr_to_rgb=True)
MODEL = dict(
    type='mmvice.ViCE',
    backbone=dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6),
    head=dict(type='mmvice.DenseSwAVHead', num_concepts=4, queue_length=20, monitor_interval=1, monitor_patience=0),
    data_preprocessor=PREPROCESSOR,
)


class NoWaiting(TorchDispatchMode):
    """Fails where host and device meet in an operation in any way but a copy out of page-locked memory.

    Reading a value (``item``, ``nonzero``, a boolean mask, ``bincount``, ...) already fails under FakeTensorMode.
    """

    def __init__(self, pinned):
        super().__init__()
        self.pinned = pinned

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
        host = [t for t in tensors if t.device.type == 'cpu' and t.ndim > 0]
        if host and any(t.device.type != 'cpu' for t in tensors):
            assert func is torch.ops.aten._to_copy.default, f'{func} mixes host and device'
            assert kwargs.get('non_blocking') and id(host[0]) in self.pinned, 'a copy that waits'
        return out


@pytest.fixture
def no_waiting(monkeypatch):
    """A mode to take a step in, on a GPU that need not exist; what is cached of it is forgotten afterwards."""
    monkeypatch.setattr(triton, 'ENABLED', False)  # kernels need memory, which these tensors do not have
    caches = axis._axis, bilinear._matrices, region_pooling._cell_order
    pinned = {}

    def pin(tensor):
        pinned[id(tensor)] = tensor
        return tensor

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    for cache in caches:
        cache.cache_clear()
    with FakeTensorMode():
        yield NoWaiting(pinned)
    for cache in caches:
        cache.cache_clear()


def test_the_check_itself_notices_what_it_should(no_waiting):
    x = torch.randn(4, device='cuda')
    with no_waiting:
        for wait in (lambda: x.sum().item(), lambda: x[x > 0], lambda: torch.bincount(x.long()), lambda: x.tolist()):
            with pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
                wait()
        for wait in (lambda: torch.randn(4).to('cuda'), lambda: x[torch.arange(3)], lambda: x.cpu()):
            with pytest.raises(AssertionError, match='waits|mixes'):
                wait()
        torch.randn(4).pin_memory().to('cuda', non_blocking=True)


@pytest.mark.parametrize('normalize_pixels', [True, False])
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_the_loss_waits_for_nothing(no_waiting, normalize_pixels, reduction):
    with torch.device('cuda'):
        head = DenseSwAVHead(6, 5, queue_length=10, normalize_pixels=normalize_pixels, reduction=reduction)
    for _ in range(3):
        e, regions = make_maps('cuda')
        with no_waiting:
            losses = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
            head.after_step()
        assert all(value.is_cuda for value in losses.values())


def test_the_loss_of_another_method_waits_for_nothing(no_waiting):
    with torch.device('cuda'):
        head = ODCHead(6, 5)
    for _ in range(3):
        e, regions = make_maps('cuda')
        with no_waiting:
            losses = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
            head.after_step()
        assert all(value.is_cuda for value in losses.values())


@pytest.fixture
def two_processes():
    """A process group whose second member does not exist, and whose messages do nothing."""
    dist.init_process_group('fake', store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_the_loss_of_several_processes_waits_for_nothing(no_waiting, two_processes, monkeypatch, reduction):
    sent, all_reduce = [], dist.all_reduce
    monkeypatch.setattr(dist, 'all_reduce', lambda tensor, *args: sent.append(tensor) or all_reduce(tensor, *args))
    with torch.device('cuda'):
        head = DenseSwAVHead(6, 5, queue_length=10, reduction=reduction)
    for _ in range(3):
        e, regions = make_maps('cuda')
        with no_waiting:
            head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)
    assert len(sent) == 3 * (2 * head.sinkhorn_iters + 1) and all(tensor.is_cuda for tensor in sent)


@pytest.mark.parametrize('normalize_pixels', [True, False])
def test_gradients_wait_for_nothing(monkeypatch, normalize_pixels):
    """On 'meta', a device without values to wait for; PyTorch's engine does not enter a GPU that is not there."""
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())  # not for this device
    head = DenseSwAVHead(6, 5, queue_length=10, normalize_pixels=normalize_pixels).to('meta')
    e, regions = make_maps('meta')
    loss = head.loss(e, regions, NUM_REGIONS, NUM_VIEWS)['loss']
    with NoWaiting({}):
        loss.backward()
    assert e.features.grad.shape == e.features.shape and head.concepts.grad.shape == head.concepts.shape


def make_maps(device):
    features = torch.randn(9, 6, 3, 4, device=device, requires_grad=True)
    regions = torch.randint(-1, 4, (9, *SIZE), device=device, dtype=torch.int32)
    return EmbeddingMap(features, SIZE), regions


def test_preprocessing_waits_for_nothing(no_waiting, monkeypatch):
    monkeypatch.setattr(torch, 'Generator', lambda device: torch._C.Generator())  # a GPU's own needs a GPU
    preprocessor = MODELS.build(PREPROCESSOR)
    preprocessor.to('cuda')
    data = batch()
    with no_waiting:
        out = preprocessor(data, training=True)
    assert out['inputs'].is_cuda and out['data_samples'][0].regions.is_cuda


@pytest.mark.gpu
def test_a_step_on_a_gpu_waits_for_nothing():
    """All of it: preprocessing, network, loss with its queue and its monitor, gradients, optimizer."""
    model = MODELS.build(MODEL).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    try:
        for step in range(4):
            data = batch()
            torch.cuda.set_sync_debug_mode('error' if step else 'default')  # the first step fills caches
            inputs = model.data_preprocessor(data, training=True)
            model(**inputs, mode='loss')['loss'].backward()
            optimizer.step()
            model.head.after_step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def batch():
    samples = []
    for seed in range(2):
        sample = ViewsDataSample(metainfo=dict(num_regions=2, noise_seed=seed))
        sample.regions = torch.randint(-1, 2, (2, 32, 40), dtype=torch.int32)
        sample.view_masks = torch.zeros(2, 32, 40, dtype=torch.bool)
        samples.append(sample)
    views = [torch.randint(256, (2, 3, 32, 40), dtype=torch.uint8) for _ in range(2)]
    return dict(inputs=views, data_samples=samples)
