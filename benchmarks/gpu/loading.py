"""Images a second that training's loader gives, and which steps they take."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvice.registry import TRANSFORMS

from .. import data
from ..harness import Row, Settings, progress, write_seconds
from ..lines.training_step import CONFIG
from .step import endless, make_loader, shutdown

WORKERS = (1, 2, 4, 8, 16)
IMAGES = 16


def pipeline_steps(settings: Settings) -> Iterator[Row]:
    """Processor time of every step of the pipeline for an image, on one core."""
    init_default_scope('mmvice')
    with TemporaryDirectory() as folder:
        files = data.image_files(settings.pick(64, 2), Path(folder))
        configured = Config.fromfile(CONFIG).train_dataloader.dataset.pipeline
        steps = {step.type: TRANSFORMS.build(step) for step in configured}
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for file in (files[0], *files):  # the first one compiles
            results = dict(img_path=str(file))
            for name, step in steps.items():
                begin = time.process_time()
                results = step(results)
                taken[name].append(time.process_time() - begin)
                if results is None:  # no mutual region: the data set draws another image
                    break
    seconds = {name: mean(values[1:]) for name, values in taken.items() if values[1:]}
    whole = sum(seconds.values())
    yield Row(
        '5', 'pipeline, one image', ours=write_seconds(whole), details=dict(seconds_of_steps=seconds, images=len(files))
    )
    for name, value in seconds.items():
        yield Row('5', f'pipeline: {name}', ours=write_seconds(value), note=f'{value / whole:.0%}')


def workers(settings: Settings) -> Iterator[Row]:
    """Images a second with superpixels that are computed."""
    yield from _throughput(settings, from_files=False)


def workers_with_files(settings: Settings) -> Iterator[Row]:
    """Images a second with superpixels from files, which the project's tool has written before."""
    yield from _throughput(settings, from_files=True)


def _throughput(settings: Settings, from_files: bool) -> Iterator[Row]:
    init_default_scope('mmvice')
    what = 'superpixels from files' if from_files else 'superpixels computed'
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        files = data.image_files(settings.pick(367, 4), folder)
        cfg = Config.fromfile(CONFIG)
        if from_files:
            _store_superpixels(cfg, files, folder)
        next(endless(make_loader(cfg, files, folder, 1, workers=0)))  # compiles, before the workers are forked
        for count in settings.pick(WORKERS, (1, 2)):
            progress(f'5: {what}, {count} workers')
            loader = make_loader(cfg, files, folder, settings.pick(IMAGES, 2), workers=count)
            rate = _rate(loader, settings.pick(5.0, 0.5))
            shutdown(loader)
            details = dict(workers=count, images_per_second=rate, from_files=from_files)
            yield Row('5', f'{what}, {count} workers', ours=f'{rate:.1f} images/s', details=details)


def _rate(loader: object, seconds: float) -> float:
    """Images a second of a loader that is never waited for, once what it had in store is used up."""
    batches = endless(loader)
    for _ in range(2 * loader.num_workers):
        next(batches)
    begin, taken = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        next(batches)
        taken += loader.batch_size
    return taken / (time.perf_counter() - begin)


def _store_superpixels(cfg: Config, files: list[Path], folder: Path) -> None:
    """Have the tool compute the superpixels of the images, and the config read them."""
    stored, root = folder / 'superpixels', files[0].parent
    listed = folder / 'listed.txt'
    listed.write_text('\n'.join(map(str, files)), encoding='utf-8')
    tool = data.ROOT / 'tools' / 'dataset_converters' / 'superpixels.py'
    start = 'train_dataloader.dataset'
    options = [f'{start}.ann_file={listed}', f'{start}.data_root={root}', f'{start}.data_prefix.img_path=']
    command = [sys.executable, str(tool), str(CONFIG), str(stored), '--cfg-options', *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for place, step in enumerate(cfg.train_dataloader.dataset.pipeline):
        if step.type == 'SuperpixelSLIC':
            loading = dict(type='LoadSuperpixels', folder=str(stored), img_root=str(root))
            cfg.train_dataloader.dataset.pipeline[place] = loading
