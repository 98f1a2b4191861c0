"""Loading checkpoints without running code in them.

A checkpoint is a pickle, and a pickle can call anything. MMEngine uses torch's safe loader first, but unpickles a file
that this loader refuses. Here a refused file is never unpickled.
"""

import argparse
import errno
import io
import os
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .checkpoint_structure import check_structure
from .console import log_loading
from .downloads import download
from .files import as_path, readable_size, write_file
from .whole_checkpoint import DamagedCheckpointError, latest_checkpoint, refuse_foreign

# What torch's loader raises for files that are cut off or overwritten, beside RuntimeError and OSError
_OF_DAMAGED_FILES = (
    *(UnpicklingError, EOFError, struct.error, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    OverflowError,
)
# In torch's refusals: what it was asked to import or call, and what to fill
_REFUSED = re.compile(r"GLOBAL (\S+)|Can only (?:build|create) (?:.|\n)+ got <class '([^']+)'>")
STATISTICS = ('min', 'max', 'mean', 'current')


_METHODS = {HistoryBuffer: STATISTICS, OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear')}


def _known_method(owner: type, name: str) -> Callable:
    """``getattr`` only for methods in pickled curves and states of ``OneCycleLR``."""
    if not isinstance(owner, type) or name not in _METHODS.get(owner, ()):
        raise UnpicklingError(f'Unsupported GLOBAL {getattr(owner, "__qualname__", owner)}.{name}')
    return getattr(owner, name)


def _named(function: Callable, name: str) -> Callable:
    """The function under another qualified name, which torch's allow-list checks."""

    def call(*args):
        return function(*args)

    call.__module__, _, call.__qualname__ = name.rpartition('.')
    call.__name__ = call.__qualname__
    return call


@cache
def _allowed_globals() -> tuple[Any, ...]:
    """What MMEngine puts into a checkpoint beside tensors and plain containers: logged curves, NumPy values and
    the curve of ``OneCycleLR``; and the command line that DINO, MAE and timm put there, which only holds values.

    NumPy 1 and 2 have different names for the functions that create arrays and scalars. Both read files of either.
    """
    reconstruct, scalar = (value.__reduce__()[0] for value in (np.zeros(0), np.float64(0)))
    numbers = np.typecodes['AllInteger'] + np.typecodes['AllFloat'] + '?'
    return (
        *_METHODS,
        argparse.Namespace,
        np.ndarray,
        np.dtype,
        *{type(np.dtype(code)) for code in numbers},
        *(_named(reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
        *(_named(scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
        *(_named(_no_bytes, f'{builtins}.bytes') for builtins in ('__builtin__', 'builtins')),
        *(_named(_known_method, f'{builtins}.getattr') for builtins in ('__builtin__', 'builtins')),
    )


def _no_bytes(*args: Any) -> bytes:
    """``bytes`` only as pickle calls it for an empty array."""
    if args:
        raise UnpicklingError('Unsupported GLOBAL builtins.bytes')
    return b''


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu') -> Any:
    """Load a checkpoint file that has only tensors, plain containers and the types that MMEngine adds.

    Args:
        path: A local file, as :meth:`mmengine.runner.Runner.save_checkpoint` or ``torch.save`` writes it, or one of
            the package safetensors, whose name ends in .safetensors.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It ends in .safetensors, and that package is not installed.
        pickle.UnpicklingError: The file has something else, or is not a checkpoint. No code of it was run.
        ValueError: The file is readable, but not a dict of weights, see :func:`check_structure`.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f'no checkpoint file at {file}')
    if file.suffix == '.safetensors':
        return _load_safetensors(file, map_location)
    refuse_foreign(file)
    torch.serialization.add_safe_globals(list(_allowed_globals()))
    try:
        checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except (*_OF_DAMAGED_FILES, OSError, RuntimeError) as error:
        explained = _explained(error, file)
        if explained is None:
            raise
        raise explained from error
    check_structure(checkpoint, file)
    return checkpoint


def import_safetensors() -> ModuleType:
    """Import the package safetensors, with its functions for torch.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            f'files that end in .safetensors need the package safetensors ({error}): pip install -r '
            'requirements/encoders.txt'
        ) from error
    return safetensors


def _load_safetensors(file: Path, map_location: Any) -> dict[str, Tensor]:
    package = import_safetensors()
    try:
        weights = package.torch.load(file.read_bytes())
    except package.SafetensorError as error:
        raise DamagedCheckpointError(
            f'{file} cannot be read by the package safetensors, is it complete? It has '
            f'{readable_size(file.stat().st_size)} ({error})'
        ) from error
    return {name: value.to(map_location or 'cpu') for name, value in weights.items()}


def _explained(error: Exception, file: Path) -> UnpicklingError | None:
    """Explain an error of the safe loader; None if the file's content is not the cause."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if 'TorchScript' in reason:
        return UnpicklingError(
            f'{file} was not loaded: it is a TorchScript program, where weights are expected; save the state_dict of '
            'the module alone and load that.'
        )
    refused = _REFUSED.search(str(error))
    if isinstance(error, UnpicklingError) and refused is not None:
        return UnpicklingError(
            f'{file} was not loaded: it refers to {next(filter(None, refused.groups()))}, which no checkpoint of '
            'weights needs and which could run code. If you trust where it comes from, save its state_dict alone and '
            'load that.'
        )
    outside = isinstance(error, OSError) and error.errno != errno.EINVAL  # which a seek to before the beginning gives
    if outside or isinstance(error, RuntimeError) and re.search('device|memory', str(error)):
        return None
    # what torch says first is that its unsafe loader will likely succeed
    detail = re.search(r'WeightsUnpickler error:\s*(.+)', str(error))
    size = readable_size(file.stat().st_size)
    return DamagedCheckpointError(
        f'{file} cannot be read as a checkpoint, is it complete? It has {size} '
        f'({(detail[1] if detail else reason).split(". ")[0].rstrip(".")})'
    )


def resolve_checkpoint(location: str | Path) -> str | Path:
    """The latest complete checkpoint of a folder; any other location is returned unchanged.

    Args:
        location: A work folder, see :func:`latest_checkpoint`, a checkpoint file, or a URL.

    Raises:
        FileNotFoundError: If the folder has no checkpoint.
        ValueError: If the location is not a name.
        DamagedCheckpointError: If it has checkpoints, but none is complete.
    """
    location = location if isinstance(location, Path) else as_path(location, 'a checkpoint')
    if '://' in str(location) or not Path(location).expanduser().is_dir():
        return location
    latest = latest_checkpoint(location)
    if latest is None:
        raise FileNotFoundError(
            f'the folder {location} has no last_checkpoint, so no run has saved a checkpoint there: name a work '
            'folder, or a checkpoint file'
        )
    return latest if '://' in latest else Path(latest)


def save_weights(path: str | Path, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint of weights only, in the format of MMEngine's loaders, completely or not at all.

    Missing folders are created.

    Args:
        path: The file to write.
        state_dict: Weights by name.
        meta: Further information about them, as plain values.

    Raises:
        ValueError: If the path is a folder.
        NoSpaceError: If there is no room.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f'{file} is a folder: name a file to write')
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().clone() for name, value in state_dict.items()}
    content = io.BytesIO()
    torch.save(dict(meta=dict(meta), state_dict=weights), content)
    write_file(str(file), content.getvalue(), durable=True)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """:func:`load_checkpoint_file` with the arguments of MMEngine's loaders; MMEngine logs its name."""
    return load_checkpoint_file(filename, map_location=map_location)


def load_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> Any:
    """:func:`load_checkpoint_file` of a file from :func:`download`, with the arguments of MMEngine's loaders."""
    file = download(url, model_dir, progress)
    try:
        return load_checkpoint_file(file, map_location=map_location)
    except DamagedCheckpointError as error:
        raise DamagedCheckpointError(f'{error}; it is from {url}: remove it to have it downloaded again') from error


def register_safe_checkpoint_loading() -> None:
    """Make MMEngine load every checkpoint in this process with torch's safe loader.

    Local files use :func:`load_checkpoint_file`. Downloads use :func:`load_url`, which all of MMEngine's loaders for
    URLs and model names call. For other files, such as those in object stores, torch's own switch turns the safe loader
    on. Worker processes inherit it.
    """
    torch.serialization.add_safe_globals(list(_allowed_globals()))
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    mmengine.runner.checkpoint.load_url = load_url
    log_loading()


def differing_weights(own: Mapping[str, Tensor], given: Mapping[str, Tensor], most: int = 10) -> str:
    """List the weights whose names or shapes differ between a checkpoint and a model.

    Args:
        own: State dict of the model.
        given: State dict of the checkpoint.
        most: Number of differences to list; the others are counted.

    Returns:
        str: A line for each difference; empty if every weight fits.
    """
    lines = [f'missing: {key}' for key in own if key not in given]
    lines += [f'unexpected: {key}' for key in given if key not in own]
    lines += [
        f'{key}: {_size(given[key])} in the checkpoint, {_size(value)} in the model'
        for key, value in own.items()
        if key in given and _size(given[key]) != _size(value)
    ]
    rest = [f'and {len(lines) - most} more'] if len(lines) > most else []
    return '\n  '.join([*lines[:most], *rest])


def _size(value: object) -> tuple[int, ...] | str:
    """The shape of a weight, or a description of any other value."""
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
