"""Sentences about errors of files, as opposed to errors of the process or the system."""

import os
import stat
from pathlib import Path

DAMAGED = 'cannot be decoded: it is cut off or damaged'
_LONGEST_SHOWN = 400


class UnusableFileError(ValueError):
    """A file is unreadable, or not a usable image or label map. The message is about that one file."""


def printable(path: str | Path) -> str:
    """A path for messages, in quotation marks; bytes that are not UTF-8 are written as escapes.

    If it is longer than a real path, only the beginning and the end are shown.
    """
    text = str(path)
    if len(text) <= _LONGEST_SHOWN:
        return repr(text)
    half = _LONGEST_SHOWN // 4
    return f'{text[:half]!r}...{text[-half:]!r} ({len(text):,} characters)'


def explain(error: Exception) -> str:
    """The message of an error on one line; the name of its class if there is no message."""
    if isinstance(error, OSError) and error.strerror:
        return f'cannot be read: {error.strerror}'
    return ' '.join(str(error).split()) or type(error).__name__


def pass_on_of_system(error: Exception) -> None:
    """Raise a decoder's error again if its cause is the process or the system, not the file."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise error


def require_regular(path: str | Path) -> None:
    """Refuse pipes, devices and sockets, from which reading may never end.

    Raises:
        UnusableFileError: If ``path`` is one of these; the message completes a sentence that begins with its name.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # no local file: whoever reads it says what is wrong
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnusableFileError('is not a regular file, but a pipe, device or socket')
