"""The linear probe on a device without fp64, such as Apple's GPUs, as far as that can be had without one."""

from collections.abc import Callable

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmvice.models import LinearProbeHead
from mmvice.ops import axis, bilinear
from mmvice.structures import EmbeddingMap
from mmvice.utils import device, triton

FORMS = [(None, False), (7, False), (None, True), (7, True)]  # filters, whitening
SIZE = (50, 60)


class NoDouble(TorchDispatchMode):
    """Fails where a tensor of fp64 comes to be on a GPU, as on Apple's, whose place one of CUDA takes here."""

    def __torch_dispatch__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == 'cuda' and tensor.dtype == torch.float64:
                raise TypeError(f'{func} makes fp64 on the GPU')
        return out


def samples() -> list[SegDataSample]:
    labels = torch.arange(SIZE[0] * SIZE[1]).view(SIZE) % 3
    return [SegDataSample(gt_sem_seg=PixelData(data=labels[None])) for _ in range(2)]


def trained(num_filters: int | None, whiten: bool) -> tuple[list[torch.Tensor], list[torch.dtype], LinearProbeHead]:
    """Losses of three steps, and the dtypes of what moments were taken of."""
    torch.manual_seed(0)
    head = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=whiten)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    losses, dtypes = [], []
    own = EmbeddingMap.moments

    def moments(self: EmbeddingMap, *args) -> tuple[torch.Tensor, torch.Tensor]:
        dtypes.append(self.features.dtype)
        return own(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingMap, 'moments', moments)
        for _ in range(3):
            loss = head.loss(EmbeddingMap(torch.randn(2, 6, 4, 5), SIZE), samples(), None)['loss_ce']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return losses, dtypes, head


@pytest.mark.parametrize('num_filters, whiten', FORMS)
def test_moments_in_fp32_train_the_same_probe(monkeypatch, num_filters, whiten):
    expected, doubles, reference = trained(num_filters, whiten)
    monkeypatch.setattr(device, '_WITHOUT_DOUBLE', ('cpu',))
    losses, singles, head = trained(num_filters, whiten)
    assert set(doubles) <= {torch.float64} and set(singles) <= {torch.float32}
    assert len(doubles) == len(singles) == (3 if num_filters else 0) + whiten
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    for name, value in head.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('num_filters, whiten', FORMS)
def test_no_fp64_comes_to_a_device_that_has_none(monkeypatch, num_filters, whiten):
    """On tensors that lie on a GPU and have no values."""
    monkeypatch.setattr(device, '_WITHOUT_DOUBLE', ('cuda',))
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor)
    monkeypatch.setattr(triton, 'ENABLED', False)  # kernels need memory, which these tensors do not have
    caches = axis._axis, bilinear._matrices  # of tensors, which other tests must not get
    for cache in caches:
        cache.cache_clear()
    try:
        with FakeTensorMode(), NoDouble():
            head = LinearProbeHead(6, num_classes=3, num_filters=num_filters, whiten=whiten)
            for store in (module._parameters for module in head.modules()), (m._buffers for m in head.modules()):
                for entries in store:
                    for name, value in entries.items():
                        if value is not None:
                            entries[name] = value.detach().to('cuda').requires_grad_(value.requires_grad)
            e = EmbeddingMap(torch.randn(2, 6, 4, 5, device='cuda'), SIZE)
            if whiten:
                head._fit_whitening([(e, None)])
                assert head._sums.dtype == torch.float64 and head._sums.device.type == 'cpu'
                head._known_fitted = True  # a value, which there is none of here
            assert head.forward(e).device.type == 'cuda'  # a backward pass needs the device itself
            assert head.eval().classify(e).device.type == 'cuda'
    finally:
        for cache in caches:
            cache.cache_clear()


def test_the_pretended_device_refuses_fp64():
    with FakeTensorMode(), NoDouble(), pytest.raises(TypeError, match='fp64 on the GPU'):
        torch.ones(1, device='cuda').double()
