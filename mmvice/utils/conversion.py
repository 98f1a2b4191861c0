"""Shared parts of the converters of published data sets: complete files, resuming, clear errors."""

import argparse
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.utils import ProgressBar

from mmvice.utils.files import write_file, writing_told
from mmvice.utils.image_files import UnusableFileError, decode_image, decode_labels
from mmvice.utils.reading import read_file, read_image_header

IGNORE = 255


class Skipped(str):
    """The reason why a function called by :func:`convert` writes no file for a source."""


FILE_ENDS = {'.png': b'IEND\xaeB`\x82', '.jpg': b'\xff\xd9'}


def add_converter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers`` and ``--allow-partial``."""
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        metavar='N',
        help='processes that convert at a time (default: %(default)s)',
    )
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='convert the existing files even if some are missing or their number differs from the published data',
    )


def add_out_dir_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--out-dir``, for published data in a read-only folder."""
    parser.add_argument(
        '--out-dir', type=Path, metavar='DIR', help='folder to write to instead of DATA_ROOT, which is then only read'
    )


def label_table(classes: Mapping[int, int], ignored: Iterable[int] = (IGNORE,)) -> tuple[int, ...]:
    """New value for each of the 256 values of a label map: its class, 255 if ignored, -1 if it must not occur."""
    table = [-1] * 256
    for value in ignored:
        table[value] = IGNORE
    for value, new in classes.items():
        table[value] = new
    return tuple(table)


def recode_labels(source: str, target: str, table: Sequence[int], image: str | None = None) -> None:
    """Write the 8-bit label map ``source`` to ``target`` with every value replaced by that of a :func:`label_table`.

    Args:
        source: Path of the label map.
        target: Path to write.
        table: New value for each value.
        image: Path of the image of these labels, to compare sizes.

    Raises:
        ValueError: If the file cannot be decoded, is not 8-bit with one channel, has values that must not occur, or
            differs in size from its image.
    """
    labels = read_labels(source)
    if image is not None:
        header = read_image_header(image)
        size = header.width, header.height
        if size != labels.shape[::-1]:
            raise ValueError(
                f'{source} is {labels.shape[1]}x{labels.shape[0]}, but its image {image} {size[0]}x{size[1]}'
            )
    write_image(target, recode(labels, table, source))


def recode(labels: np.ndarray, table: Sequence[int], source: str) -> np.ndarray:
    """Replace every value of a label map: uint8 (H, W); raise a ValueError if one must not occur."""
    recoded = np.asarray(table, np.int16)[labels]
    if recoded.min(initial=0) < 0:
        wrong = np.unique(labels[recoded < 0]).tolist()
        raise ValueError(f'{source} has the label values {wrong}, which this data set does not have')
    return recoded.astype(np.uint8)


def read_labels(path: str) -> np.ndarray:
    """An 8-bit label map (H, W); indices if it has a palette. Raise ValueError for any other file."""
    try:
        labels = decode_labels(read_file(path))
    except UnusableFileError as error:
        raise ValueError(f'{path} cannot be read: it {error}') from error
    except ValueError as error:
        raise ValueError(f'{path} must be an 8-bit label map with one channel, but {error}') from error
    if labels.dtype != np.uint8:
        raise ValueError(f'{path} must be an 8-bit label map with one channel, but is {labels.dtype}')
    return labels


def read_color(path: str) -> np.ndarray:
    """An image as BGR uint8 (H, W, 3); raise ValueError if it cannot be decoded."""
    try:
        return decode_image(read_file(path), backend='pillow')  # OpenCV takes half a PNG for an image
    except UnusableFileError as error:
        raise ValueError(f'{path} cannot be read: it {error}') from error


def write_image(path: str, image: np.ndarray, *parameters: int) -> None:
    """Write an image in the format of the ending of ``path``, completely or not at all."""
    write_file(path, cv2.imencode(os.path.splitext(path)[1], image, parameters)[1].tobytes())


def is_complete(path: str) -> bool:
    """Whether there is a complete PNG or JPEG file."""
    end = FILE_ENDS[os.path.splitext(path)[1]]
    try:
        with open(path, 'rb') as file:
            file.seek(-min(os.path.getsize(path), len(end)), os.SEEK_END)
            return file.read() == end
    except FileNotFoundError:
        return False


def convert(function: Callable[..., Any], jobs: Sequence[tuple], workers: int, what: str) -> list:
    """Call ``function(source, target, ...)`` for jobs without a complete target, with a progress bar.

    Args:
        function: Writes one file; other processes must be able to import it by name.
        jobs: Arguments of the calls: (path of the source, path of the target, ...).
        workers: Number of processes, at least 1.
        what: Name of the files, for the bar and the report.

    Returns:
        list: The results of the calls made.

    Raises:
        ValueError, OSError: From the first call that fails; files finished before it stay.
    """
    if workers < 1:
        raise ValueError(f'--workers must be at least 1, got {workers}')
    for folder in {os.path.dirname(job[1]) for job in jobs}:
        os.makedirs(folder, exist_ok=True)
    left = [job for job in jobs if not is_complete(job[1])]
    results: list = []
    if left:
        _say(f'{what}: {len(left)} to write')
        bar, step = ProgressBar(len(left), file=sys.stderr), max(len(left) // 200, 1)
        try:
            for result in _calls(function, left, min(workers, len(left))):
                results.append(result)
                if len(results) % step == 0 or len(results) == len(left):
                    bar.update(len(results) - bar.completed)
        finally:
            _say('')  # what comes next has a line of its own
    skipped = sum(isinstance(result, Skipped) for result in results)
    _say(f'{what}: {len(jobs) - skipped} complete, {len(left) - skipped} of them written now')
    return results


def _calls(function: Callable[..., Any], jobs: Sequence[tuple], workers: int) -> Iterable:
    if workers == 1:
        yield from (function(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, initializer=_begin_worker) as pool:
        try:
            yield from pool.map(function, *zip(*jobs), chunksize=min(32, -(-len(jobs) // workers)))
        except BrokenProcessPool as error:
            raise OSError('a converting process was killed, perhaps for memory; try fewer --workers') from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Make a worker use one core, and end with its parent process, however that one ends."""
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # the worker may be waiting for work that never comes


def _say(text: str) -> None:
    sys.stderr.write(f'{text}\n')


def require_folders(folders: Iterable[Path], layout: str) -> None:
    """Raise a FileNotFoundError that names all missing folders and describes the published layout."""
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(f'no folder {", ".join(missing)}; {layout}')


def some(names: Iterable[str], number: int = 3) -> str:
    """The first of some names, and the number of others."""
    names = list(names)
    more = f' and {len(names) - number} more' if len(names) > number else ''
    return ', '.join(names[:number]) + more


def check_complete(problems: Iterable[str], allow_partial: bool) -> None:
    """Raise a ValueError about differences from the published data; only print a note if they are allowed."""
    problems = [problem for problem in problems if problem]
    if problems and not allow_partial:
        raise ValueError(f'{"; ".join(problems)}. Get what is missing, or convert what is there with --allow-partial.')
    for problem in problems:
        _say(f'note: {problem}')


def check_count(found: int, expected: int, what: str) -> str:
    """The problem, if any, that a number differs from the published one."""
    return '' if found == expected else f'{found:,} {what}, but {expected:,} were published'


def check_partners(names: Iterable[str], others: Iterable[str], what: str, other: str) -> str:
    """The problem, if any, that some of ``names`` are not among ``others``."""
    lonely = sorted(set(names).difference(others))
    return f'{len(lonely):,} {what} lack {other}: {some(lonely)}' if lonely else ''


def run_converter(
    convert_all: Callable[[argparse.Namespace], None], args: argparse.Namespace, place: str = 'out_dir'
) -> None:
    """Convert; an error of the user ends the program with one sentence.

    Args:
        convert_all: Converts.
        args: The command line.
        place: The argument that names the output folder. The default of ``out_dir`` is ``data_root``.
    """
    option, folder = place.upper(), getattr(args, place)
    if place == 'out_dir':
        option, folder = '--out-dir DIR', folder or args.data_root
    try:
        with writing_told({option: folder}):
            convert_all(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error
    except KeyboardInterrupt:
        raise SystemExit('interrupted; run the same command again to continue') from None
