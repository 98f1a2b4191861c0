"""What is wrong with a file, in a sentence, told from what is wrong with the process or the system."""

import os
import stat
from pathlib import Path

DAMAGED = 'cannot be decoded: it is cut off or damaged'
_LONGEST_SHOWN = 400


class UnusableFileError(ValueError):
    """A file that is no usable image or label map, or cannot be read. The message is about that one file."""


def printable(path: str | Path) -> str:
    """A path for messages, in quotation marks; bytes that are no UTF-8 are written as escapes.

    Of one that is longer than paths are, as a line of something that is no list, the beginning and the end are shown.
    """
    text = str(path)
    if len(text) <= _LONGEST_SHOWN:
        return repr(text)
    half = _LONGEST_SHOWN // 4
    return f'{text[:half]!r}...{text[-half:]!r} ({len(text):,} characters)'


def explain(error: Exception) -> str:
    """What an error says, on one line; the name of its class if it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f'cannot be read: {error.strerror}'
    return ' '.join(str(error).split()) or type(error).__name__


def pass_on_of_system(error: Exception) -> None:
    """Raise an error of a decoder again that is the process' or the system's, and says nothing of the file."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise error


def require_regular(path: str | Path) -> None:
    """Refuse what would be read for ever, or waited for: pipes, devices and sockets.

    Raises:
        UnusableFileError: If ``path`` is one of these; the message is the end of a sentence that begins with its name.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # no local file: whoever reads it says what is wrong
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnusableFileError('is no regular file, but a pipe, device or socket')
