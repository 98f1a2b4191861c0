"""Moving small host-side values to the device."""

import torch
from torch import Tensor

_WITHOUT_DOUBLE = ('mps',)


def has_double(device: torch.device | str) -> bool:
    """Whether tensors of fp64 can be on a device; Apple's GPUs have none."""
    return torch.device(device).type not in _WITHOUT_DOUBLE


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """``tensor`` on ``device``; the host does not wait for a GPU.

    A copy from ordinary memory makes the host wait until the GPU has done all earlier work. A copy from page-locked
    memory does not, so the tensor is put there first.
    """
    if torch.device(device).type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
