"""Checkpoint files that run code where they are unpickled."""

import os
import pickle
import tarfile
from pathlib import Path

import torch


class Payload:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def zipped(content: dict, file: Path) -> None:
    """As PyTorch saves since version 1.6."""
    torch.save(content, file)


def legacy(content: dict, file: Path) -> None:
    """As PyTorch saved before."""
    torch.save(content, file, _use_new_zipfile_serialization=False)


def pickled(content: dict, file: Path) -> None:
    """A pickle and nothing else."""
    file.write_bytes(pickle.dumps(content))


def archived(content: dict, file: Path) -> None:
    """As PyTorch 0.1 saved; its safe loader unpickled what is in these before version 2.6."""
    part = file.with_suffix('.part')
    part.write_bytes(pickle.dumps(content))
    with tarfile.open(file, 'w') as archive:
        for name in ('sys_info', 'pickle', 'storages', 'tensors'):
            archive.add(part, name)
    part.unlink()


def continued(content: dict, file: Path) -> None:
    """A pickle whose beginning the safe loader refuses, and after it what a second loader would find that goes on."""
    refused = b'\x80\x02c' + f'{os.mkdir.__module__}\nmkdir\n'.encode()
    file.write_bytes(refused + pickle.dumps(content))
