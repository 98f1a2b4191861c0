"""Files that are written completely or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

UNFINISHED = '.part'
"""How the names of unfinished files end; they begin with a dot and the name that the whole file will have."""
_NO_SPACE = {
    errno.ENOSPC: 'the disk is full',
    errno.EDQUOT: 'the disk quota is used up',
    errno.EFBIG: 'the limit on the size of a file is reached',
}


_NO_PLACE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class WritingError(OSError):
    """A file cannot be written to its place."""

    def __str__(self) -> str:
        """Only the sentence, without the number of the error."""
        return str(self.strerror)


class NoSpaceError(WritingError):
    """A file cannot be written because space is missing; the file that it would replace is unchanged."""


def as_path(value: object, setting: str) -> str:
    """A path from a config; a number is a name if it has only one notation.

    Args:
        value: Value in the config.
        setting: Name of the setting, for the error.

    Raises:
        ValueError: If it is not a name, such as a list or None, or a number with several notations, such as 1e5 and
            100000.0.
    """
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and (value % 1 == 0 or not str(value).replace('.', '').isdigit()):
            raise ValueError(
                f'{setting} must be the name of a file or folder, got the number {value!r}, which can be written in '
                "several ways: put the name in quotation marks, as '1e5'"
            )
        return str(value)
    raise ValueError(
        f'{setting} must be the name of one file or folder, got {value!r}; a name that looks like a list or a number '
        "needs quotation marks, in a config 'a, b', on the command line also within those of the shell: "
        '\'KEY="a, b"\''
    )


def as_names(value: object, setting: str) -> list[str]:
    """Names from a config, of files, folders or endings; a single name need not be in a list.

    Raises:
        ValueError: As of :func:`as_path`.
    """
    values = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]
    return [as_path(single, setting) for single in values]


@contextmanager
def writing_told(places: Mapping[str, str | os.PathLike | None]) -> Iterator[None]:
    """Make the error of a file that cannot be written name the tool's option for another place.

    Args:
        places: The file or folder that each option names.

    Raises:
        WritingError: Instead of the system's error, if the file belongs to one of the places.
    """
    try:
        yield
    except OSError as error:
        file = error.filename
        if error.errno not in _NO_PLACE or not isinstance(file, (str, os.PathLike)):
            raise
        option = next((name for name, place in places.items() if place and _belongs(file, place)), None)
        if option is None or (os.path.exists(file) and not os.access(file, os.R_OK)):  # as it was to be read
            raise
        shown = os.path.dirname(file) or os.curdir if str(file).endswith(UNFINISHED) else file
        raise WritingError(
            error.errno, f'{shown} cannot be written: {error.strerror}; name another place by {option}'
        ) from error


def _belongs(file: str | os.PathLike, place: str | os.PathLike) -> bool:
    """Whether one of two paths contains the other."""
    paths = [os.path.abspath(os.path.expanduser(path)) for path in (file, place)]
    return os.path.commonpath(paths) in paths


def write_file(path: str, content: bytes, durable: bool = False) -> None:
    """Write a file beside ``path`` and rename it when it is complete.

    Whatever ends the process, ``path`` has either its old or its new content. A symbolic link at ``path`` is replaced,
    not followed.

    Args:
        path: The file.
        content: All of it.
        durable: Wait until it is on the disk, so that it also survives a loss of power.

    Raises:
        NoSpaceError: If there is no room; the message says how much is needed and how much is free.
    """
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, f'.{name}.{os.getpid()}{UNFINISHED}')
    try:
        with suppress(FileNotFoundError):  # left by an earlier process of this number, or put there to be followed
            os.unlink(unfinished)
        with open(unfinished, 'xb') as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
        if durable:
            _sync_folder(folder or os.curdir)
    except OSError as error:
        if not is_no_space(error):
            raise
        with suppress(FileNotFoundError):  # its room is free for the next one
            os.unlink(unfinished)
        free = shutil.disk_usage(folder or os.curdir).free
        raise NoSpaceError(
            error.errno,
            f'{path} could not be written, {_NO_SPACE[error.errno]}: it needs {readable_size(len(content))}, and '
            f'{readable_size(free)} are free there',
        ) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)


def remove_unfinished(folder: str, names: tuple[str, ...]) -> list[str]:
    """Remove unfinished files of killed processes whose names begin with one of ``names``.

    Returns:
        list: Paths of the removed files.
    """
    starts = tuple(f'.{name}' for name in names)
    left = [name for name in sorted(os.listdir(folder)) if name.startswith(starts) and name.endswith(UNFINISHED)]
    paths = [os.path.join(folder, name) for name in left]
    for path in paths:
        os.unlink(path)
    return paths


def is_no_space(error: OSError) -> bool:
    """Whether an error says that a disk is full, or a quota or limit reached."""
    return error.errno in _NO_SPACE


def readable_size(number: float) -> str:
    """A number of bytes with a unit.

    Example:
        >>> readable_size(12), readable_size(3_400_000)
        ('12 bytes', '3.4 MB')
    """
    for unit in ('bytes', 'kB', 'MB', 'GB'):
        if number < 1000:
            return f'{number:.0f} {unit}' if unit == 'bytes' else f'{number:.1f} {unit}'
        number /= 1000
    return f'{number:.1f} TB'


def _sync_folder(folder: str) -> None:
    """Write the new name to the disk too, if the system can synchronise folders."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(descriptor)
