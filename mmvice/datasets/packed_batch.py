"""A worker hands over a batch in one block of shared memory, whatever the batch contains."""

import io
import pickle
from collections.abc import Callable, Sequence
from math import prod
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from .worker_batches import SharedMemory

_ALIGNMENT = 64  # bytes: a cache line, and more than any type of numbers needs


class PackedCollate:
    """A collate function whose batches need one open file each, instead of one for every tensor.

    PyTorch hands over every tensor in its own file. A batch of 128 samples may have three tensors each, and every
    worker prepares two batches. That would need more files than a process may open by default (1024).

    The tensors that arrive have the values, types and shapes of those that were sent. Those of one batch share one
    block of memory, which lives as long as any of them. Without workers, nothing is packed.

    The block is allocated while the batch is made. If memory is too small, the worker's error ends the run.

    Args:
        collate: Makes a batch from a list of samples.
        memory: Memory for the blocks.
    """

    def __init__(self, collate: Callable[[Sequence], Any], memory: SharedMemory) -> None:
        self.collate = collate
        self.memory = memory

    def __call__(self, samples: Sequence) -> Any:
        if get_worker_info() is None:
            return self.collate(samples)
        with self.memory.told():
            return PackedBatch(self.collate(samples), self.memory.allocate)


class PackedBatch:
    """A batch on its way to another process, where unpickling gives the batch itself.

    Args:
        batch: Anything that can be pickled. Its contiguous tensors on the CPU are packed.
        allocate: Returns a block of a given number of bytes, like :meth:`SharedMemory.allocate`.
    """

    def __init__(self, batch: Any, allocate: Callable[[int], Tensor]) -> None:
        content = io.BytesIO()
        pickler = _Pickler(content)
        pickler.dump(batch)
        self._content = content.getvalue()
        self._places, size = [], 0
        for tensor in pickler.tensors:
            self._places.append(_Place(size, tensor.dtype, tensor.shape))
            size += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._block = allocate(size)
        for tensor, place in zip(pickler.tensors, self._places):
            place.within(self._block).copy_(tensor)

    def __reduce__(self) -> tuple:
        return _unpack, (self._content, self._places, self._block)


class _Place(NamedTuple):
    """Position of a tensor in the block."""

    start: int
    dtype: torch.dtype
    shape: torch.Size

    def within(self, block: Tensor) -> Tensor:
        size = prod(self.shape) * self.dtype.itemsize
        return block[self.start : self.start + size].view(self.dtype).view(self.shape)


class _Pickler(ForkingPickler):
    """A pickler that collects tensors instead of writing them, each once."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        """The number of a packed tensor; None for everything else."""
        if type(value) is not Tensor or value.requires_grad or not _is_plain(value):
            return None
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.tensors)
            self.tensors.append(value)
        return self._numbers[id(value)]


class _Unpickler(pickle.Unpickler):
    """An unpickler that inserts the tensors again."""

    def __init__(self, content: bytes, tensors: list[Tensor]) -> None:
        super().__init__(io.BytesIO(content))
        self._tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        """The tensor with a number."""
        return self._tensors[number]


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == 'cpu' and tensor.is_contiguous()


def _unpack(content: bytes, places: list[_Place], block: Tensor) -> Any:
    return _Unpickler(content, [place.within(block) for place in places]).load()
