"""Whether a GPU's own kernels, written in Triton, take the place of PyTorch's operators."""

from functools import lru_cache
from importlib.util import find_spec

from torch import Tensor

ENABLED = False
"""Off until the kernels have been measured on a GPU: ``make gpu`` compares both."""


def use_kernels(tensor: Tensor) -> bool:
    """Whether a tensor is worked on by the kernels of :mod:`mmvice.ops.cell_kernels`."""
    return ENABLED and tensor.device.type == 'cuda' and _installed()


@lru_cache(maxsize=1)
def _installed() -> bool:
    return find_spec('triton') is not None
