"""Functions that depend on the kind of device: copies, fp64, waiting, random numbers, names."""

import platform
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

_WITHOUT_DOUBLE = ('mps',)


def has_double(device: torch.device | str) -> bool:
    """Whether a device supports fp64; Apple's GPUs do not."""
    return torch.device(device).type not in _WITHOUT_DOUBLE


def to_double(tensor: Tensor) -> Tensor:
    """A tensor in fp64, on the CPU if its device lacks fp64."""
    return (tensor if has_double(tensor.device) else tensor.cpu()).double()


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """``tensor`` on ``device``; the host does not wait for a GPU.

    A copy from ordinary memory makes the host wait until the GPU has done all earlier work. A copy from page-locked
    memory does not, so the tensor is copied there first.
    """
    if torch.device(device).type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def checked_device(device: torch.device | str) -> torch.device:
    """The device.

    Raises:
        ValueError: If PyTorch does not find it.
    """
    device = torch.device(device)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        kind = device.type.upper()
        raise ValueError(f'device {device} does not exist: PyTorch finds no {kind} device with this number') from error
    return device


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all its work."""
    module = torch.get_device_module(device)
    if device.type == 'mps':  # there is one, which it does not take as an argument
        module.synchronize()
    else:
        module.synchronize(device)


def device_name(device: torch.device) -> str:
    """The name of a device, else its kind; for the CPU, the processor."""
    if device.type == 'cpu':
        return platform.processor() or platform.machine()
    name = getattr(torch.get_device_module(device), 'get_device_name', None)
    return device.type if name is None else name(device)


@contextmanager
def kept_random_state(devices: Iterable[torch.device]) -> Iterator[None]:
    """Restore PyTorch's random states of the CPU and of these devices afterwards."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(()))
        for device in devices:
            if device.type != 'cpu':
                stack.enter_context(torch.random.fork_rng((device,), device_type=device.type))
        yield
