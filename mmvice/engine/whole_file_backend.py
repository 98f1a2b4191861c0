"""Checkpoints on a local disk that are there whole or not at all."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmvice.utils.files import write_file


@register_backend('mmvice.whole_file')
class WholeFileBackend(LocalBackend):
    """MMEngine's local files, of which a new one takes its place when it is whole and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; missing folders are made.

        Raises:
            NoSpaceError: If there is no room; a file that was there is as it was.
        """
        path = os.fspath(filepath)
        os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
        write_file(path, obj, durable=True)
