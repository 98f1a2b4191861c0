"""Moving small host-side values to the device."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """``tensor`` on ``device``; the host does not wait for a GPU.

    A copy from ordinary memory makes the host wait until the GPU has done all earlier work. A copy from page-locked
    memory does not, so the tensor is put there first.
    """
    if torch.device(device).type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
