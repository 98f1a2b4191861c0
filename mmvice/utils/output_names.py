"""Names of output files, one for each image."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence


def output_names(paths: Sequence[str], folders: Iterable[str] = ()) -> dict[str, str]:
    """A name without ending for the output of each image; outputs keep the subfolders of the images.

    The name is the path of the image below the common folder of all images and ``folders``. Two images may have the
    same name, such as ``a.jpg`` and ``a.png``, or names of the same file on some systems, such as ``A.jpg`` and
    ``a.jpg``. The first of them keeps the name, the others get a number. An image ``x.jpg`` beside a folder ``x.png``
    also gets a number, since an output cannot have the folder's name. No name leads out of the output folder. The time
    is linear in the number of paths.

    Args:
        paths: Paths of images, absolute or relative to the current folder.
        folders: Folders that were searched for the images; names include all of their subfolders.

    Example:
        >>> output_names(['in/a/x.jpg', 'in/b/x.jpg', 'in/b/X.png'])
        {'in/a/x.jpg': 'a/x', 'in/b/x.jpg': 'b/x', 'in/b/X.png': 'b/X_2'}
    """
    places = {path: os.path.abspath(path) for path in paths}
    names = {path: os.path.splitext(place)[0] for path, place in places.items()}
    searched = {os.path.abspath(folder) for folder in folders} | {os.path.dirname(place) for place in places.values()}
    start = len(os.path.join(os.path.commonpath(searched), '')) if searched else 0
    names = {path: name[start:] for path, name in names.items()}

    owners = dict.fromkeys(_names_of_folders(names.values()), '')
    for path, name in names.items():
        owners.setdefault(_key(name), path)
    numbers: dict[str, int] = {}
    for path, name in names.items():
        key = _key(name)
        if owners[key] == path:
            continue
        while _key(names[path]) in owners:
            numbers[key] = numbers.get(key, 1) + 1
            names[path] = f'{name}_{numbers[key]}'
        owners[_key(names[path])] = path
    return names


def _names_of_folders(names: Iterable[str]) -> set[str]:
    """Keys of names whose PNG, possibly with a step number, would have the name of an output folder."""
    found: set[str] = set()
    folders = {os.path.dirname(name) for name in names} - {''}
    while folders:
        found |= folders
        folders = {os.path.dirname(folder) for folder in folders} - found - {''}
    files = {key.removesuffix('.png') for key in map(_key, found) if key.endswith('.png')}
    return files | {re.sub(r'_\d+$', '', file) for file in files}


def _key(name: str) -> str:
    """A key that is equal for names that a file system without case, or with one form of accents, treats as equal."""
    return unicodedata.normalize('NFC', name).casefold()
