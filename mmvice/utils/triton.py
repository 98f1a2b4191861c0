"""Whether Triton kernels replace PyTorch's operators on a GPU."""

import os
import shutil
import warnings
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

ENABLED = True
"""False leaves all work to PyTorch's operators, which compute the same: ``make gpu`` compares both."""
OLDEST = (8, 0)
"""Compute capability of the oldest GPUs that Triton supports."""


def use_kernels(tensor: Tensor) -> bool:
    """Whether the kernels of :mod:`mmvice.ops.cell_kernels` process a tensor."""
    return ENABLED and tensor.device.type == 'cuda' and torch.cuda.is_available() and _runs_on(tensor.device)


@lru_cache(maxsize=16)
def _runs_on(device: torch.device) -> bool:
    """Whether Triton can compile for a GPU; if not, a warning says what is missing."""
    capability = torch.cuda.get_device_capability(device)
    if find_spec('triton') is None:
        missing = 'Triton is not installed'
    elif capability < OLDEST:
        missing = f'Triton needs a GPU of compute capability {OLDEST}, this has {capability}'
    elif not (os.environ.get('CC') or any(map(shutil.which, ('gcc', 'clang', 'cc')))):
        missing = 'Triton needs a C compiler, and there is none'
    else:
        return True
    warnings.warn(f"{missing}: region means use PyTorch's operators, which are slower", stacklevel=2)
    return False
