"""Sums over the processes of a distributed run, with the gradient that DistributedDataParallel expects."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def num_processes() -> int:
    """Number of processes of the default process group; 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(values: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """Sum a tensor over the processes of the default process group; without one, return it unchanged.

    The tensors of a dict, of one type, are summed in a single message.

    A loss of such sums is the same number in every process. DistributedDataParallel averages its gradients over the
    processes. The result is the gradient of a single process that has all parts. To that end, the gradient of the sum
    goes to the process's own part, multiplied by the number of processes. The backward pass needs no communication.
    Every process must call this function with the same shapes. The host does not wait for a GPU.

    Args:
        values: The part of this process, floating point.

    Returns:
        Tensor | dict: The sum, of the same shape.

    Example:
        >>> import torch
        >>> part = torch.tensor([1.0, 2.0])
        >>> sum_over_processes(part) is part  # a single process
        True
    """
    if num_processes() == 1:
        return values
    if isinstance(values, Tensor):
        return _ProcessSum.apply(values)
    total = _ProcessSum.apply(torch.cat([value.reshape(-1) for value in values.values()]))
    parts = total.split([value.numel() for value in values.values()])
    return {name: part.reshape(value.shape) for part, (name, value) in zip(parts, values.items())}


class _ProcessSum(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * num_processes()
