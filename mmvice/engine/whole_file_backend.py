"""Checkpoints on a local disk that are written completely or not at all."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmvice.utils.files import write_file


@register_backend('mmvice.whole_file')
class WholeFileBackend(LocalBackend):
    """MMEngine's backend for local files, in which a file appears only when it is complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; missing folders are created.

        Raises:
            NoSpaceError: If there is no room; an existing file is unchanged.
        """
        path = os.fspath(filepath)
        os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
        write_file(path, obj, durable=True)
