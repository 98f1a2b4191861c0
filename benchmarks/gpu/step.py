"""A training step taken apart: what each piece of it takes, by the GPU's own clock."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile

from mmvice.cli.settings import use_mixed_precision
from mmvice.models import ViCE
from mmvice.structures import EmbeddingMap

from .. import data
from ..harness import MIB, Row, Settings, progress, write_bytes, write_seconds
from ..lines import training_step
from . import candidates

PIECES = ('preprocessing', 'forward', 'region means', 'assignment and queue', 'loss', 'backward', 'optimizer')
KERNELS = 10


def light_fpn(settings: Settings) -> Iterator[Row]:
    """ResNet-18 and light FPN, 16 images of 5 views 256x256."""
    cfg = Config.fromfile(training_step.CONFIG)
    yield from _rows(settings, cfg, settings.pick(16, 1), 'R18 + light FPN, LARS')


def deeplab(settings: Settings) -> Iterator[Row]:
    """ResNet-50 and DeepLabV3+, 4 images of 5 views 400x400; CamVid's images at the size of COCO's."""
    name = 'vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400.py'
    cfg = Config.fromfile(data.ROOT / 'configs' / 'vice' / name)
    cfg.train_dataloader.dataset.pipeline.insert(1, ConfigDict(type='ResizeShortestEdge', scale=480, max_size=100_000))
    yield from _rows(settings, cfg, settings.pick(4, 1), 'R50 + DeepLabV3+, LARS')


def _rows(settings: Settings, cfg: Config, images: int, network: str) -> Iterator[Row]:
    (device,) = settings.devices
    cfg.model.pretrained = None
    if settings.quick:
        cfg = _small(cfg)
    else:
        use_mixed_precision(cfg)
    torch.backends.cudnn.benchmark = True
    progress(f'2: {network}: a batch')
    batch = training_step.make_batch(cfg, images)
    yield training_step.row(settings, device, cfg, batch, f'{network}, --amp')
    model, plain = training_step.build_pair(cfg, device)
    for name, own in dict(ours=model, plain=plain).items():
        step = _stepper(own, training_step.make_optimizer(own, cfg), batch)
        for _ in range(settings.pick(5, 1)):
            step()
        if name == 'ours':
            yield from _pieces(settings, own, cfg, batch, device, network)
        yield _kernels(settings, step, device, f'{network}, {name}')
    yield _memory(model, cfg, batch, device, network)
    yield from candidates.rows(settings, model, batch, device, network)
    yield from _with_loader(settings, model, cfg, images, device, network)


def _small(cfg: Config) -> Config:
    """The config with small views, a short queue and, where it is the light one, a narrow network."""
    if cfg.model.decoder.type == 'LightFPN':
        return training_step.small_config(cfg)
    cfg.model.backbone.base_channels, cfg.model.head.queue_length = 8, 64
    cfg.model.decoder.head.update(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'ContextualViewCrop':
            step.view_size = 64
    return cfg


def _stepper(model: ViCE, optimizer: OptimWrapper, batch: dict) -> Callable[[], object]:
    return lambda: model.train_step(batch, optimizer)


class Stopwatch:
    """Time between marks: on a GPU by events in its own queue, for which nobody waits, else by the clock."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device == 'cuda'
        self.marks: list[tuple[str, object]] = []

    def mark(self, name: str) -> None:
        """End a piece, under its name; the next one begins."""
        if self.on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        else:
            event = time.perf_counter()
        self.marks.append((name, event))

    def milliseconds(self) -> dict[str, float]:
        """By piece, the sum over all marks so far, which are forgotten; the first mark only begins."""
        if self.on_gpu:
            torch.cuda.synchronize()
        taken = dict.fromkeys(PIECES, 0.0)
        for (_, begin), (name, end) in zip(self.marks, self.marks[1:]):
            taken[name] += begin.elapsed_time(end) if self.on_gpu else 1000 * (end - begin)
        self.marks = []
        return taken


@contextmanager
def _marked(model: ViCE, optimizer: OptimWrapper, watch: Stopwatch) -> Iterator[None]:
    """Have the parts of a step mark a stopwatch; the step itself stays what it is."""
    head, means, backward = model.head, EmbeddingMap.region_means, optimizer.backward

    def marked(function: Callable, before: str | None, after: str) -> Callable:
        def call(*args: object, **kwargs: object) -> object:
            if before is not None:
                watch.mark(before)
            out = function(*args, **kwargs)
            watch.mark(after)
            return out

        return call

    hooks = [
        model.data_preprocessor.register_forward_hook(lambda *_: watch.mark('preprocessing')),
        model.decoder.register_forward_hook(lambda *_: watch.mark('forward')),
    ]
    EmbeddingMap.region_means = marked(means, 'loss', 'region means')
    for name, piece in head.timed_parts.items():
        setattr(head, name, marked(getattr(head, name), 'loss', piece))
    optimizer.backward = marked(backward, 'loss', 'backward')
    try:
        yield
    finally:
        EmbeddingMap.region_means, optimizer.backward = means, backward
        del head.assign, head._remember
        for hook in hooks:
            hook.remove()


def _pieces(settings: Settings, model: ViCE, cfg: Config, batch: dict, device: str, network: str) -> Iterator[Row]:
    optimizer, watch, taken = training_step.make_optimizer(model, cfg), Stopwatch(device), []
    step = _stepper(model, optimizer, batch)
    with _marked(model, optimizer, watch):
        for _ in range(settings.pick(20, 2)):
            watch.mark('start')
            step()
            watch.mark('optimizer')
            taken.append(watch.milliseconds())
    medians = {piece: median(each[piece] for each in taken) for piece in PIECES}
    whole = sum(medians.values())
    for piece in PIECES:
        yield Row(
            '2',
            f'{network}: {piece}',
            ours=write_seconds(medians[piece] / 1000),
            details=dict(piece=piece, milliseconds=medians[piece], share=medians[piece] / whole),
            note=f'{medians[piece] / whole:.0%} of a step',
        )


def _kernels(settings: Settings, step: Callable[[], object], device: str, what: str) -> Row:
    """The kernels in which a step spends most time; on a CPU operators."""
    steps, on_gpu = settings.pick(5, 1), device == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
    found = []
    for event in profiler.key_averages():
        annotation = getattr(event, 'is_user_annotation', False) or event.key.startswith(('Optimizer.', '##'))
        if annotation or (on_gpu and 'CUDA' not in str(event.device_type)):
            continue
        seconds = (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6 / steps
        found.append(dict(name=event.key[:200], milliseconds=1000 * seconds, calls=event.count / steps))
    found.sort(key=lambda each: -each['milliseconds'])
    busy = sum(each['milliseconds'] for each in found) / 1000
    longest = found[:KERNELS]
    for each in longest:
        progress(f'{each["milliseconds"]:9.3f} ms {each["calls"]:6.1f} calls  {each["name"][:90]}')
    return Row(
        '2',
        f'{what}: kernels of a step',
        ours=write_seconds(busy),
        details=dict(longest=longest, kernels_per_step=sum(each['calls'] for each in found), busy_seconds=busy),
        note='; '.join(f'{each["name"][:40]} {each["milliseconds"]:.2f} ms' for each in longest[:3]),
    )


def _memory(model: ViCE, cfg: Config, batch: dict, device: str, network: str) -> Row:
    if device != 'cuda':
        return Row('2', f'{network}: peak memory', note='of a GPU only')
    step = _stepper(model, training_step.make_optimizer(model, cfg), batch)
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    return Row('2', f'{network}: peak memory', ours=write_bytes(peak), details=dict(mib=peak / MIB))


def _with_loader(settings: Settings, model: ViCE, cfg: Config, images: int, device: str, network: str) -> Iterator[Row]:
    """What a step takes with the data loader of the config, and how much of it is waiting for data."""
    with TemporaryDirectory() as folder:
        loader = make_loader(
            cfg, data.image_files(settings.pick(367, 4), Path(folder)), Path(folder), images, settings.pick(None, 1)
        )
        optimizer, batches = training_step.make_optimizer(model, cfg), endless(loader)
        steps, waited = settings.pick(40, 2), 0.0
        progress(f'2: {network}: {steps} steps with {loader.num_workers} workers')
        for step in range(-settings.pick(10, 1), steps):
            if step == 0:
                _wait(device)
                start, waited = time.perf_counter(), 0.0
            before = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - before
            model.train_step(batch, optimizer)
        _wait(device)
        whole = (time.perf_counter() - start) / steps
        shutdown(loader)
    details = dict(workers=loader.num_workers, images=images, seconds=whole, waiting_seconds=waited / steps)
    yield Row(
        '2',
        f'{network}: step with the loader, {loader.num_workers} workers',
        ours=write_seconds(whole),
        details=details,
        note=f'the host waits {write_seconds(waited / steps)} of it for data',
    )


def make_loader(
    cfg: Config, files: list[Path], folder: Path, images: int, workers: int | None = None
) -> torch.utils.data.DataLoader:
    """The training loader of a config over other image files, whose list is written to ``folder``."""
    listed = folder / 'images.txt'
    listed.write_text('\n'.join(map(str, files)), encoding='utf-8')
    own = copy.deepcopy(cfg.train_dataloader)
    own.dataset = dict(type='UnlabeledImageDataset', ann_file=str(listed), pipeline=own.dataset.pipeline)
    own.batch_size, own.num_workers = images, own.num_workers if workers is None else workers
    own.persistent_workers = own.num_workers > 0
    own.sampler = dict(type='SeededInfiniteSampler', shuffle=True)
    own.pin_memory = torch.cuda.is_available()
    return Runner.build_dataloader(own, seed=0)


def endless(loader: torch.utils.data.DataLoader) -> Iterator[dict]:
    """Batches, epoch after epoch."""
    while True:
        yield from loader


def shutdown(loader: torch.utils.data.DataLoader) -> None:
    """End the workers of a loader that keeps them."""
    loader._iterator = None


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()
