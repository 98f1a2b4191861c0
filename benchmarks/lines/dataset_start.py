"""Line h: the start of a dataset of a million paths, and the memory of its workers."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from mmvice.datasets import UnlabeledImageDataset

from ..harness import Row, Settings, at_most, interleave, progress, python_profile_text, write_bytes, write_seconds
from ..plain.dataset import DictListDataset, ListInMemory

SECONDS = 5.0  # 'seconds', as the issue has it
SHARED = 0.1  # of the paths' memory may become a worker's own
WORKERS = 4
SMAPS = Path('/proc/self/smaps_rollup')


def rows(settings: Settings) -> Iterator[Row]:
    """From a list file, from a folder, and the workers."""
    with TemporaryDirectory() as folder:
        count, scanned = settings.pick((1_000_000, 100_000), (2000, 200))
        list_file = write_list(Path(folder) / 'images.txt', count)
        images = make_files(Path(folder) / 'images', scanned)
        for what, arguments, number in (
            ('list file', dict(ann_file=str(list_file), data_prefix=dict(img_path='images')), count),
            ('folder', dict(data_prefix=dict(img_path=str(images))), scanned),
        ):
            progress(f'h: {what} of {number} paths')
            sides = dict(
                ours=lambda arguments=arguments: UnlabeledImageDataset(**arguments),
                plain=lambda arguments=arguments: DictListDataset(**arguments),
            )
            check_equal(sides['ours'](), sides['plain'](), number)
            times = interleave(sides, min(settings.repeats, 3), warm=False, elapsed=True)
            yield Row(
                'h',
                f'start with a {what} of {number} paths, in seconds; plain: a dict an image',
                write_seconds(times.median('plain')),
                write_seconds(times.median('ours')),
                ratio=times.median('ours'),
                target=at_most(SECONDS, 's'),
                details=dict(paths=number, speed_up=times.ratio('plain', 'ours'), **times.details()),
                profile=lambda ours=sides['ours']: python_profile_text(ours),
                note=f'{times.ratio("plain", "ours"):.3g} x faster',
            )
        yield from _memory(list_file, count)


def _memory(list_file: Path, count: int) -> Iterator[Row]:
    if not SMAPS.is_file():
        yield Row('h', 'memory of a worker', note=f'not measured: no {SMAPS}, which Linux has')
        return
    progress(f'h: memory of {WORKERS} forked workers that read all paths')
    dataset = UnlabeledImageDataset(ann_file=str(list_file), data_prefix=dict(img_path='images'))
    table = dataset.data_bytes.nbytes + dataset.data_address.nbytes
    ours = worker_memory(dataset)
    plain = worker_memory(ListInMemory(DictListDataset(ann_file=str(list_file), **_PLAIN).load_data_list()))
    yield Row(
        'h',
        f'private memory a worker gains by reading {count} paths, as a share of their {write_bytes(table)}',
        write_bytes(plain['gained']),
        write_bytes(ours['gained']),
        ratio=ours['gained'] / table,
        target=at_most(SHARED),
        details=dict(paths=count, table_bytes=table, workers=WORKERS, ours=ours, plain=plain),
        profile=lambda: f'bytes a worker, mean: {ours}',
        note=f'a worker: {write_bytes(ours["private"])} private, {write_bytes(ours["proportional"])} with its share',
    )


_PLAIN = dict(data_prefix=dict(img_path='images'), lazy_init=True)


def write_list(path: Path, count: int) -> Path:
    """A list file with names as in a large collection."""
    path.write_text('\n'.join(f'{i // 1000:04d}/image_{i:08d}.jpg' for i in range(count)), encoding='utf-8')
    return path


def make_files(folder: Path, count: int) -> Path:
    """Empty files with names of images, a thousand to a folder."""
    for i in range(count):
        if i % 1000 == 0:
            (folder / f'{i // 1000:04d}').mkdir(parents=True)
        os.close(os.open(folder / f'{i // 1000:04d}' / f'image_{i:08d}.jpg', os.O_CREAT))
    return folder


def check_equal(ours: UnlabeledImageDataset, plain: DictListDataset, count: int) -> None:
    """Raise AssertionError unless both sides hold the same paths."""
    assert len(ours) == len(plain) == count, f'{len(ours)} and {len(plain)} paths of {count}'
    for index in range(0, count, max(count // 1000, 1)):
        a, b = (dataset.get_data_info(index)['img_path'] for dataset in (ours, plain))
        assert a == b, f'path {index} is {a!r} in ours and {b!r} in the plain dataset'


def worker_memory(dataset: object) -> dict[str, float]:
    """Memory in bytes of a forked worker after it has read all paths, the mean over several at once.

    Returns:
        dict: ``private`` to the worker (USS), ``proportional`` with its share of what is shared (PSS), and what it has
        ``gained`` in private memory by reading.
    """
    context = multiprocessing.get_context('fork')
    barrier, results = context.Barrier(WORKERS), context.SimpleQueue()
    workers = [context.Process(target=_read_all, args=(dataset, barrier, results.put)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    measured = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return {key: mean(values[key] for values in measured) for key in measured[0]}


def _read_all(dataset: object, barrier: object, put: Callable[[dict], None]) -> None:
    before = _memory_now()
    for index in range(len(dataset)):
        dataset.get_data_info(index)
    after = _memory_now()
    barrier.wait()  # all of them hold their memory while the last one looks
    after['proportional'] = _memory_now()['proportional']
    barrier.wait()
    put(dict(**after, gained=after['private'] - before['private']))


def _memory_now() -> dict[str, float]:
    fields = dict(line.split(':', 1) for line in SMAPS.read_text(encoding='ascii').splitlines()[1:])
    kilobytes = {key: float(value.split()[0]) * 1024 for key, value in fields.items()}
    return dict(private=kilobytes['Private_Clean'] + kilobytes['Private_Dirty'], proportional=kilobytes['Pss'])
