"""Recognising files that are not checkpoints of a current PyTorch, without unpickling them."""

import pickletools
import struct
import tarfile
from pathlib import Path
from typing import BinaryIO

# torch.serialization.MAGIC_NUMBER as a pickle, at the beginning of what PyTorch saved before version 1.6
_BEFORE_1_6 = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_PROTOCOLS = tuple(b'\x80' + bytes([number]) for number in range(2, 6))
_HARMLESS = ('torch.', 'collections.')
_NO_PICKLE = (ValueError, EOFError, struct.error, LookupError, OverflowError, MemoryError, AttributeError)


def is_of_pytorch_1_5(file: str | Path) -> bool:
    """Whether a file has the format of PyTorch up to version 1.5: consecutive pickles, without checksums."""
    with open(file, 'rb') as stream:
        return stream.read(len(_BEFORE_1_6)) == _BEFORE_1_6


def is_tar(file: str | Path) -> bool:
    """Whether a file is a non-empty tar archive, as of PyTorch 0.1; a file of zeros is an empty one."""
    try:
        with tarfile.open(file) as archive:
            return archive.next() is not None
    except (tarfile.TarError, EOFError):
        return False


def bare_pickle(file: str | Path) -> str | None:
    """Find what a pickle that is not PyTorch's refers to.

    Returns:
        str or None: The first import of the pickle that is not PyTorch's own; empty if there is none or it is hidden.
            None if the file is not a pickle, or has data after the pickle and refers to nothing.
    """
    if is_of_pytorch_1_5(file):
        return None
    with open(file, 'rb') as stream:
        announced = stream.read(2) in _PROTOCOLS
        stream.seek(0)
        try:
            names = _imported(stream)
        except _NO_PICKLE:
            return None
        whole = not stream.read(1)
    if names and (whole or announced):
        return next((name for name in names if not name.startswith(_HARMLESS)), names[0])
    return '' if whole else None


def _imported(stream: BinaryIO) -> list[str]:
    """The names that the instructions of a pickle import."""
    names, texts = [], []
    for instruction, argument, _ in pickletools.genops(stream):
        if instruction.name == 'GLOBAL':
            names.append(argument.replace(' ', '.'))
        elif instruction.name == 'STACK_GLOBAL' and len(texts) > 1:
            names.append('.'.join(texts[-2:]))
        elif isinstance(argument, str):
            texts.append(argument)
    return names
