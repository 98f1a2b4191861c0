"""Millions of file names: found fast, and stored in two arrays that forked workers share without copying."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmvice.utils.counts import counted
from mmvice.utils.image_files import printable
from mmvice.utils.reading import Fault, fault_of, retry

_MOST_KINDS = 10  # of endings, in a message


def scan_images(
    folder: str,
    extensions: Iterable[str],
    visited: set[tuple[int, int]] | None = None,
    left_out: Counter[str] | None = None,
) -> list[bytes]:
    """The image files under ``folder`` and its subfolders, sorted, as file-system bytes.

    Symbolic links are followed. A folder with several paths, as in a cycle of links, is listed once. Names that begin
    with a dot are left out. An unreadable subfolder is left out with a warning.

    Args:
        folder: An existing folder.
        extensions: Lower-case endings with their dot; the case of a file's own ending does not matter.
        visited: (device, inode) of folders listed before, which are left out; newly listed folders are added.
        left_out: Number of other files by lower-case ending; newly found ones are added.

    Raises:
        OSError: If ``folder`` itself cannot be listed.
    """
    endings = tuple(os.fsencode(extension) for extension in extensions)
    visited = set() if visited is None else visited
    left_out = Counter() if left_out is None else left_out
    images, stack = [], [os.fsencode(folder)]
    while stack:
        current = stack.pop()
        try:
            listed = retry(lambda: _list_folder(current, endings, visited), os.fsdecode(current))  # noqa: B023
            subfolders, found, others = listed
        except OSError as error:
            if fault_of(error) is not Fault.FILE:
                raise
            if current == os.fsencode(folder):
                raise OSError(
                    error.errno, f'{error.strerror}: the folder cannot be listed', os.fsdecode(folder)
                ) from error
            print_log(
                f'left out the folder {printable(os.fsdecode(current))}, which cannot be listed: {error.strerror}',
                logger='current',
                level=logging.WARNING,
            )
            continue
        stack.extend(sorted(subfolders, reverse=True))
        images.extend(found)
        left_out.update(others)
    images.sort()
    return images


def _list_folder(
    folder: bytes, endings: tuple[bytes, ...], visited: set[tuple[int, int]]
) -> tuple[list[bytes], list[bytes], Counter[str]]:
    """Subfolders and images of a folder, and its number of other files by ending; empty if it was visited before."""
    subfolders: list[bytes] = []
    images: list[bytes] = []
    left_out: Counter[str] = Counter()
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in visited:
        return subfolders, images, left_out
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(b'.'):
                continue
            try:
                if entry.is_dir():
                    subfolders.append(entry.path)
                elif not entry.is_file():
                    continue
                elif entry.name.lower().endswith(endings):
                    images.append(entry.path)
                else:
                    left_out[ending_of(entry.name)] += 1
            except OSError as error:  # a link to itself leads nowhere
                if fault_of(error) is not Fault.FILE:
                    raise
    visited.add((status.st_dev, status.st_ino))
    return subfolders, images, left_out


def match_paths(pattern: str) -> list[str]:
    """The sorted paths that match a :mod:`glob` pattern; ``**`` stands for folders at any depth.

    A part without a leading dot matches no name with one. An unreadable folder is skipped, and ``**`` does not follow
    links to folders. A failure of this process, the disk or the network raises an error; :mod:`glob` would find
    nothing.

    Raises:
        OSError: As of :func:`mmvice.utils.reading.retry`.
    """
    place = Path(pattern)
    parts = [*place.parts[bool(place.anchor) :], *(['*'] if place.name == '**' else [])]
    found = [place.anchor]
    for part in parts:
        if part == '**':
            paths = [inner for folder in found for inner in _folders_under(folder)]
        elif glob.has_magic(part):
            shown = part.startswith('.')
            entries = ((folder, entry.name) for folder in found for entry in _entries(folder))
            paths = [os.path.join(*e) for e in entries if fnmatch(e[1], part) and (shown or not e[1].startswith('.'))]
        else:
            paths = [path for path in (os.path.join(folder, part) for folder in found) if os.path.lexists(path)]
        found = list(dict.fromkeys(paths))
    return sorted(found)


def _folders_under(folder: str) -> list[str]:
    """A folder and all below it, without links and names that begin with a dot."""
    found = [folder]
    for current in found:
        entries = (entry for entry in _entries(current) if not entry.name.startswith('.'))
        found += [os.path.join(current, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return found


def _entries(folder: str) -> list[os.DirEntry]:
    def read() -> list[os.DirEntry]:
        with os.scandir(folder or os.curdir) as entries:
            return list(entries)

    try:
        return retry(read, folder or os.curdir)
    except OSError as error:
        if fault_of(error) is not Fault.FILE:
            raise
        return []


def ending_of(name: str | bytes) -> str:
    """The ending of a file's name with its dot, in lower case; '' for none."""
    return os.path.splitext(os.fsdecode(name))[1].lower()


def describe_found(found: Mapping[str, int], left_out: Mapping[str, int]) -> str:
    """Describe the number of images in each folder, and the number of other files by ending.

    Example:
        >>> describe_found({'a': 20, 'b': 3}, {'.heic': 4, '': 1})
        "23 images: 20 in 'a', 3 in 'b'; left out 5 files: 4 *.heic, 1 without ending"
    """
    places = ', '.join(f'{number:,} in {folder!r}' for folder, number in found.items())
    text, others = f'{counted(sum(found.values()), "image")}: {places}', describe_left_out(left_out)
    return f'{text}; {others}' if others else text


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Describe the number of other files by ending; empty if there are none."""
    others = sorted((-number, ending) for ending, number in left_out.items() if number > 0)
    if not others:
        return ''
    kinds = [f'{-number:,} ' + (f'*{ending}' if ending else 'without ending') for number, ending in others]
    more = [f'files of {len(kinds) - _MOST_KINDS} more endings'] if len(kinds) > _MOST_KINDS else []
    return f'left out {counted(-sum(number for number, _ in others), "file")}: {", ".join(kinds[:_MOST_KINDS] + more)}'


def read_lines(path: str) -> list[bytes]:
    """The non-blank lines of a list file, stripped, in file-system bytes.

    Line ends of any system are accepted. A byte order mark is ignored. Bytes that are not UTF-8 stay as they are, since
    file names may contain them.

    Raises:
        ValueError: If the file has another encoding, such as UTF-16.
    """
    with open(path, 'rb') as file:
        content = file.read().removeprefix(b'\xef\xbb\xbf')
    if b'\0' in content:
        raise ValueError(f'the list file {printable(path)} is not UTF-8 text, as it has zero bytes: save it as UTF-8')
    return [line for line in map(bytes.strip, content.splitlines()) if line]


def read_list_file(path: str, root: str) -> Iterator[bytes]:
    """The paths in a list file, one a line, relative to ``root``; see :func:`read_lines`."""
    prefix = os.path.join(os.fsencode(root), b'')
    return (line if os.path.isabs(line) else prefix + line for line in read_lines(path))


def pack_paths(paths: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Paths as one uint8 buffer and the int64 ends of each in it, the layout of MMEngine's serialised data list."""
    ends = np.cumsum(np.fromiter(map(len, paths), np.int64, len(paths)))
    return np.frombuffer(b''.join(paths), np.uint8), ends


def select_paths(buffer: np.ndarray, ends: np.ndarray, indices: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The packed paths at ``indices``: the first n if n >= 0, the last -n if n < 0, or those of a sequence."""
    if isinstance(indices, int):
        kept = ends[:indices] if indices >= 0 else ends[indices:]
        start = 0 if len(kept) == len(ends) or indices >= 0 else ends[indices - 1]
        return buffer[start : kept[-1] if len(kept) else start], kept - start
    chosen = np.arange(len(ends))[np.asarray(indices, np.int64)]
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])[chosen]
    lengths = ends[chosen] - starts
    new_ends = np.cumsum(lengths)
    from_old_to_new = np.repeat(starts - (new_ends - lengths), lengths)
    return buffer[np.arange(len(from_old_to_new)) + from_old_to_new], new_ends
