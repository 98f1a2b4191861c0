"""Modules in evaluation for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation(*parts: nn.Module) -> Iterator[None]:
    """Put modules into evaluation, and each of them back into its own mode afterwards."""
    modes = {module: module.training for part in parts for module in part.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training
