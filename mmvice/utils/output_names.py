"""What files are called that are made of images, one of each."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence


def output_names(paths: Sequence[str], folders: Iterable[str] = ()) -> dict[str, str]:
    """A name without ending for what is made of each image: outputs lie as the images lie.

    The name is the path of the image below the folder that all images and ``folders`` have in common. Two images may
    have the same name, as ``a.jpg`` and ``a.png`` have, or names that are one file on some systems, as ``A.jpg`` and
    ``a.jpg`` have. The first of them keeps the name, the others get a number. So does an image ``x.jpg`` beside a
    folder ``x.png``, as no output can have the folder's name. No name leads out of the folder that it is used in. The
    time grows linearly with the number of paths.

    Args:
        paths: Paths of images, absolute or relative to the current folder.
        folders: Folders that were searched for the images: all of their subfolders are to be in the names.

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
    """Keys of names whose PNG, perhaps with the number of a step, would have the name of a folder of outputs."""
    found: set[str] = set()
    folders = {os.path.dirname(name) for name in names} - {''}
    while folders:
        found |= folders
        folders = {os.path.dirname(folder) for folder in folders} - found - {''}
    files = {key.removesuffix('.png') for key in map(_key, found) if key.endswith('.png')}
    return files | {re.sub(r'_\d+$', '', file) for file in files}


def _key(name: str) -> str:
    """What two names have in common that a file system without case, or with one form of accents, takes for one."""
    return unicodedata.normalize('NFC', name).casefold()
