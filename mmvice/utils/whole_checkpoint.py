"""Finding the latest complete checkpoint of a run."""

import logging
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from pickle import UnpicklingError

from mmengine.logging import print_log

from .file_kinds import bare_pickle, is_of_pytorch_1_5, is_tar


class DamagedCheckpointError(UnpicklingError):
    """A checkpoint file that is truncated, empty or overwritten."""


def check_whole(file: str | Path) -> None:
    """Compare a checkpoint file with the checksums in it, without unpickling.

    Args:
        file: A local file from ``torch.save``, a ZIP archive.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedCheckpointError: If it is not such an archive, is truncated, or a part has another checksum.
        pickle.UnpicklingError: If it is another kind of file, see :func:`refuse_foreign`, or its format has no
            checksums.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except FileNotFoundError as error:
        raise FileNotFoundError(f'there is no {Path(file).name} in {Path(file).parent}') from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError) as error:
        refuse_foreign(file)
        if is_of_pytorch_1_5(file):
            raise UnpicklingError(
                f'{file} has the format of PyTorch before version 1.6, which has no checksums: load it with '
                'mmvice.utils.checkpoint.load_checkpoint_file(FILE) and save the result with torch.save'
            ) from error
        size = Path(file).stat().st_size
        raise DamagedCheckpointError(
            f'{file} is damaged: it has {size:,} bytes, which are not a whole checkpoint ({error})'
        ) from error
    if damaged is not None:
        raise DamagedCheckpointError(f'{file} is damaged: {damaged} in it has another checksum than when it was saved')


def refuse_foreign(file: str | Path) -> None:
    """Refuse files that current versions of PyTorch do not write, without unpickling.

    Raises:
        pickle.UnpicklingError: If it is a tar archive or a bare pickle; the message says which.
    """
    if is_tar(file):  # PyTorch's safe loader ran code from these before version 2.6
        raise UnpicklingError(f'{file} was not loaded: it has the format of PyTorch 0.1; save it with a newer version')
    refers = bare_pickle(file)
    if refers is not None:
        code = f', and refers to {refers}, which could run code' if refers else ''
        raise UnpicklingError(
            f'{file} was not loaded: it is a bare pickle, which torch.save does not write{code}. If you trust where it '
            'comes from, save its weights with torch.save and load that.'
        )


def latest_checkpoint(folder: str | Path) -> str | None:
    """The latest complete checkpoint of the run with this work folder.

    The file ``last_checkpoint`` names it. If that checkpoint is missing or damaged, the latest complete one before it
    is used, and a warning names the skipped files. Later checkpoints belong to another run. Without a readable
    ``last_checkpoint``, the latest complete one is used. A work folder may have been moved: the named checkpoint is
    searched in the folder first, then at the recorded path.

    Args:
        folder: A work folder.

    Returns:
        str or None: Path, or the URL in ``last_checkpoint``; None if the folder has no checkpoint.

    Raises:
        FileNotFoundError: If the checkpoint in ``last_checkpoint`` does not exist, and there is none before it.
        DamagedCheckpointError: If there are checkpoints, but none is complete.
    """
    folder = Path(folder).expanduser()
    named = _named_in(folder / 'last_checkpoint')
    if '://' in named:
        return named
    files, passed = _candidates(folder, named), []
    for file in files:
        try:
            check_whole(file)
        except (FileNotFoundError, DamagedCheckpointError) as error:
            passed.append(error)
        else:
            if passed:
                reasons = '; '.join(map(str, passed))
                print_log(f'{reasons}. Resuming from {file}.', logger='current', level=logging.WARNING)
            return str(file)
    if not passed:
        return None
    missing = len(passed) == 1 and isinstance(passed[0], FileNotFoundError)
    raise (FileNotFoundError if missing else DamagedCheckpointError)(
        f'{"; ".join(map(str, passed))}: there is no complete checkpoint in {folder}. Name another one, or move these '
        'files away to start anew'
    )


def _named_in(record: Path) -> str:
    """The path in a file ``last_checkpoint``; empty if there is none, or it is invalid."""
    if not record.is_file():
        return ''
    named = record.read_bytes().decode('utf-8', 'surrogateescape').strip()
    if named and len(named) < 4096 and not set('\0\n') & set(named) and len(os.fsencode(_name(named))) < 256:
        return named
    print_log(f'{record} is damaged: it names no file', logger='current', level=logging.WARNING)
    return ''


def _candidates(folder: Path, named: str) -> list[Path]:
    """The named checkpoint, and resumable ones before it, the latest first."""
    first = folder / _name(named) if named else None
    if first is not None and not first.is_file() and Path(named).is_file():
        first = Path(named)
    place = first.parent if first is not None else folder
    numbers = {file: _number(file.name) for file in place.iterdir()} if place.is_dir() else {}
    limit = _number(first.name) if first is not None else None
    before = [file for file, number in numbers.items() if number is not None and (limit is None or number < limit)]
    before.sort(key=lambda file: numbers[file], reverse=True)
    return [*([first] if first is not None else []), *(file for file in before if file != first)]


def _name(path: str) -> str:
    return re.split(r'[/\\]', path)[-1]


def _number(name: str) -> int | None:
    """The step or epoch in MMEngine's name of a resumable checkpoint, else None."""
    match = re.fullmatch(r'(?:iter|epoch)_([0-9]+)\.pth', name)
    return int(match[1]) if match else None
