"""Where Triton cannot run, a warning says why, and PyTorch's operators do the work."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmvice.utils import triton


@pytest.fixture
def on_card(monkeypatch):
    """A tensor on a GPU that need not exist, of a kind that Triton supports."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
    monkeypatch.setattr(triton, 'find_spec', lambda name: object())
    monkeypatch.setenv('CC', 'cc')
    triton._runs_on.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.empty(2, device='cuda')
    triton._runs_on.cache_clear()


def test_kernels_are_for_gpus(on_card, monkeypatch, recwarn):
    assert triton.use_kernels(on_card) and not triton.use_kernels(torch.empty(2))
    monkeypatch.setattr(triton, 'ENABLED', False)
    assert not triton.use_kernels(on_card) and not recwarn


@pytest.mark.parametrize(
    'missing', ['is not installed', r'compute capability \(8, 0\), this has \(7, 5\)', 'C compiler']
)
def test_what_is_missing_is_told_once(on_card, monkeypatch, recwarn, missing):
    if 'installed' in missing:
        monkeypatch.setattr(triton, 'find_spec', lambda name: None)
    elif 'capability' in missing:
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
    else:
        monkeypatch.delenv('CC')
        monkeypatch.setattr(triton.shutil, 'which', lambda name: None)
    with pytest.warns(UserWarning, match=missing):
        assert not triton.use_kernels(on_card)
    assert not triton.use_kernels(on_card) and not recwarn
