"""Reading files: a short failure of disk or network does not count as a bad file."""

import errno
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError

import numpy as np
from mmengine import fileio
from mmengine.fileio.backends import backends

from .config_types import type_name
from .file_errors import UnusableFileError, explain, printable, require_regular
from .image_files import decode_image
from .image_headers import Header, read_header

WAITS = (0.1, 0.5, 2.0)
"""Seconds before each further try of a read that failed for the disk or network."""

_NO_MEMORY = 'this machine lacks memory: use fewer workers or smaller batches, or end other programs'
_ADVICE = {
    errno.EMFILE: 'this process may open no more files: raise the limit (ulimit -n), or use fewer workers',
    errno.ENFILE: 'all programs together may open no more files: use fewer workers, or end other programs',
    errno.ENOMEM: _NO_MEMORY,
    errno.ENOBUFS: _NO_MEMORY,
}
_OF_PROCESS = frozenset(_ADVICE)
_OF_FILE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EFBIG, errno.EOVERFLOW, errno.EILSEQ),
    }
)
_TRY_AGAIN_STATUS = (408, 425, 429)
_Result = TypeVar('_Result')


class Fault(Enum):
    """The cause of a reading error."""

    FILE = 'the file: it is missing, may not be read, or is no file'
    STORAGE = 'the disk or the network: another try may do'
    PROCESS = 'this process: it lacks files or memory'
    CODE = 'a setting or the code'


class ReadingError(OSError):
    """A file cannot be read for a reason outside the file; this ends a run."""


def fault_of(error: Exception, decoded: bool = False) -> Fault:
    """The cause of a reading error; the storage if the cause is unknown.

    Args:
        error: The error.
        decoded: Whether the failing code also decodes the file: an unknown error is then the file's fault.
    """
    unknown = Fault.FILE if decoded else Fault.STORAGE
    cause = getattr(error, 'reason', None)
    if isinstance(error, HTTPError):
        of_file = 400 <= error.code < 500 and error.code not in _TRY_AGAIN_STATUS
        return Fault.FILE if of_file else Fault.STORAGE
    if isinstance(cause, OSError):  # as urllib hands them on
        return fault_of(cause)
    if isinstance(error, (ssl.SSLError, socket.gaierror, socket.herror)):  # their numbers are not those of the system
        return Fault.STORAGE
    if isinstance(error, MemoryError) or getattr(error, 'errno', None) in _OF_PROCESS:
        return Fault.PROCESS
    if isinstance(error, OSError):
        if error.errno is None and not isinstance(error, (ConnectionError, TimeoutError, URLError)):
            return unknown
        return Fault.FILE if error.errno in _OF_FILE else Fault.STORAGE
    if isinstance(error, http.client.HTTPException):
        return Fault.STORAGE
    if isinstance(error, (ValueError, LookupError)):  # a NUL in the name; a key that a storage does not have
        return Fault.FILE
    of_code = (TypeError, AttributeError, NameError, ImportError, AssertionError, NotImplementedError)
    return Fault.CODE if isinstance(error, of_code) else unknown


def retry(read: Callable[[], _Result], path: str | Path, decoded: bool = False) -> _Result:
    """Call ``read``, and again after a short wait if disk or network fail; return its result.

    Args:
        read: Reads a file.
        path: The file, for messages.
        decoded: See :func:`fault_of`.

    Raises:
        ReadingError: If the process lacks open files or memory, or disk and network fail for longer than :data:`WAITS`.
            This ends the run; continue it with ``--resume``.
        MemoryError: If there is no memory.
        Exception: Other errors of ``read``, caused by the file, a setting or the code.
    """
    for wait in (*WAITS, None):
        try:
            return read()
        except ReadingError:  # of a step within
            raise
        except Exception as error:
            fault = fault_of(error, decoded)
            if fault is Fault.PROCESS and isinstance(error, OSError):
                raise ReadingError(
                    number := getattr(getattr(error, 'reason', error), 'errno', error.errno),
                    f'{printable(path)} {explain(error)}; the file is not at fault: {_ADVICE[number]}',
                ) from error
            if fault is not Fault.STORAGE:
                raise
            if wait is None:
                raise ReadingError(
                    getattr(error, 'errno', None) or errno.EIO,
                    f'{printable(path)} {explain(error)}, in {len(WAITS) + 1} tries: a failure of the disk or the '
                    'network, not of the file; fix it and continue with --resume',
                ) from error
            time.sleep(wait)
    raise AssertionError('the last try returns or raises')


def read_file(path: str | Path, backend_args: dict | None = None) -> bytes:
    """The content of a file, local or in an object store.

    Args:
        path: The file.
        backend_args: As of :func:`mmengine.fileio.get`.

    Raises:
        UnusableFileError: If the file is the cause of the error. The message completes a sentence that begins with its
            name.
        ValueError: If ``backend_args`` names no storage.
        OSError, MemoryError: As of :func:`retry`.
    """
    try:
        storage = fileio.get_file_backend(str(path), backend_args=backend_args, enable_singleton=True)
    except Exception as error:  # it is built before any file is looked at
        if backend_args is None:
            raise
        raise ValueError(no_storage(backend_args, error)) from error
    require_regular(path)
    try:
        return retry(lambda: bytes(storage.get(str(path))), path)
    except Exception as error:
        if fault_of(error) is not Fault.FILE:
            raise
        raise UnusableFileError(explain(error)) from error


def no_storage(backend_args: Any, error: Exception) -> str:
    """The sentence that says why MMEngine cannot build a storage."""
    reason = explain(error).rstrip('.')
    if isinstance(error, LookupError):
        reason = f'backend must be one of {", ".join(map(repr, backends))}'
    return (
        f'backend_args={backend_args!r} give no storage for files: {reason}; leave backend_args out for files of this '
        'machine'
    )


def read_image(path: str | Path, backend_args: dict | None = None, **decoding) -> np.ndarray:
    """Read an image file as BGR uint8 (H, W, 3).

    Args:
        path: The file.
        backend_args: As of :func:`read_file`.
        decoding: Options of :func:`mmvice.utils.image_files.decode_image`.

    Raises:
        FileNotFoundError: If there is no such file.
        UnusableFileError: If it cannot be read or decoded.
        OSError, MemoryError: As of :func:`retry`.
    """
    try:
        return decode_image(read_file(path, backend_args), name=path, **decoding)
    except UnusableFileError as error:
        if isinstance(error.__cause__, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
            raise FileNotFoundError(f'no image file at {path}') from error
        raise UnusableFileError(f'{printable(path)} {error}') from error


def read_image_header(path: str | Path) -> Header:
    """The header of an image file.

    Raises:
        UnusableFileError: If it cannot be read, or is not an image.
        OSError, MemoryError: As of :func:`retry`.
    """
    try:
        return read_header(read_file(path))
    except UnusableFileError as error:
        raise UnusableFileError(f'{printable(path)} {error}') from error


def decoding_of(cfg: Mapping, loader: str = 'test_dataloader') -> dict:
    """Settings of a config's ``LoadImageFromFile`` for values that are not 8-bit, as options of :func:`read_image`.

    Args:
        cfg: The config.
        loader: The data loader of the images, see :func:`pipelines`.
    """
    for pipeline in pipelines(cfg, loader):
        for step in pipeline:
            if type_name(step) == 'LoadImageFromFile':
                return {key: step[key] for key in ('value_range', 'percentiles') if step.get(key) is not None}
    return {}


def pipelines(cfg: Mapping, loader: str = 'test_dataloader') -> Iterator[Sequence[Mapping]]:
    """The pipelines of a config: first those of a data loader, then those of testing and training.

    A wrapper of data sets, such as ``ConcatDataset`` or ``RepeatDataset``, has the pipelines of its members.
    """
    for name in dict.fromkeys((loader, 'test_dataloader', 'train_dataloader')):
        yield from _pipelines((cfg.get(name) or {}).get('dataset') or {})


def _pipelines(dataset: Mapping) -> Iterator[Sequence[Mapping]]:
    if dataset.get('pipeline'):
        yield dataset['pipeline']
    for member in dataset.get('datasets') or filter(None, [dataset.get('dataset')]):
        yield from _pipelines(member)
