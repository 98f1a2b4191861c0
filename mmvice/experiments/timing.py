"""How long a training step and an inference take, phase by phase (Tables 12 and 13)."""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmvice.apis import build_runner
from mmvice.apis.inference import init_model
from mmvice.cli.settings import use_mixed_precision
from mmvice.engine import ViCERunner
from mmvice.models import ClusterProbeHead, LinearProbeHead, ProbeSegmentor, ViCE
from mmvice.structures import EmbeddingMap
from mmvice.utils.checkpoint import differing_weights
from mmvice.utils.device import checked_device, device_name, synchronize

TRAIN_PHASES = ('Forward', 'Loss comp.', 'Backward', 'Optimization')
"""The columns of Table 12; ``Tot.`` is their sum."""
BEFORE_STEP = ('Data', 'Preprocessing')
"""Waiting for the loader; then copying to the device, normalising and masking. Neither is part of ``Tot.``."""
EMBEDDER = 'Segmentation model'
HEADS = {'Cluster model': ClusterProbeHead, 'Linear model': LinearProbeHead}
"""The columns of Table 13, after that of the embedder."""


class PhaseTimer:
    """Splits the time after :meth:`start` into named phases.

    On an accelerator every border waits until all work given to the device is done, so that a phase is charged with its
    own work alone. That makes the phases longer than in a run which lets them overlap.

    Args:
        device: The device whose work is timed.
    """

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self.milliseconds: dict[str, float] = {}
        self._last = 0.0

    def start(self) -> None:
        """Begin a phase; what came before it counts for none."""
        self._last = self._now()

    def end(self, phase: str) -> None:
        """End a phase, under its name; the next one begins."""
        now = self._now()
        self.milliseconds[phase] = self.milliseconds.get(phase, 0.0) + 1000 * (now - self._last)
        self._last = now

    def take(self) -> dict[str, float]:
        """The milliseconds of the phases so far; the timer forgets them."""
        taken, self.milliseconds = self.milliseconds, {}
        return taken

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()


@contextmanager
def timed_phases(model: ViCE, optim_wrapper: OptimWrapper, timer: PhaseTimer) -> Iterator[None]:
    """Have ``model.train_step`` end the phases of a timer that is running; the step itself stays what it is.

    Inside, the timer sees the ends of 'Preprocessing', 'Forward' (backbone and decoder), 'Loss comp.' and 'Backward'.
    What follows, until ``train_step`` returns, is the optimizer's step and the head's ``after_step``.
    """
    own_backward = optim_wrapper.backward

    def backward(loss: Tensor, **kwargs) -> None:
        timer.end('Loss comp.')
        own_backward(loss, **kwargs)
        timer.end('Backward')

    hooks = [
        model.data_preprocessor.register_forward_hook(lambda *_: timer.end('Preprocessing')),
        model.decoder.register_forward_hook(lambda *_: timer.end('Forward')),
    ]
    optim_wrapper.backward = backward
    try:
        yield
    finally:
        optim_wrapper.backward = own_backward
        for hook in hooks:
            hook.remove()


def time_train_steps(
    model: ViCE,
    optim_wrapper: OptimWrapper,
    batches: Iterable[dict],
    steps: int,
    warmup: int,
    device: str | torch.device,
) -> list[dict[str, float]]:
    """Train on ``warmup + steps`` batches and time the latter.

    Args:
        model: The model, on ``device``.
        optim_wrapper: Its optimizer.
        batches: At least so many batches of views, as a data loader gives them.
        steps: Number of timed steps.
        warmup: Number of steps before them that are not counted.
        device: Where the work is done.

    Returns:
        list: For each timed step the milliseconds of 'Data', 'Preprocessing', the phases and 'Tot.', which is the sum
        of the phases.
    """
    timer, measured = PhaseTimer(device), []
    batches = iter(batches)
    bar = ProgressBar(warmup + steps, file=sys.stderr)
    model.train()
    with timed_phases(model, optim_wrapper, timer):
        for step in range(warmup + steps):
            timer.start()
            batch = next(batches)
            timer.end('Data')
            model.train_step(batch, optim_wrapper)
            timer.end('Optimization')
            times = timer.take()
            if step >= warmup:
                measured.append({**times, 'Tot.': sum(times[phase] for phase in TRAIN_PHASES)})
            bar.update()
    bar.file.write('\n')
    return measured


def benchmark_train(
    cfg: Config,
    steps: int = 20,
    warmup: int = 5,
    batch_size: int | None = None,
    amp: bool = False,
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Time the training steps of a pretraining config, with its own data loader and optimizer (Table 12).

    The steps are those of the middle of a run, see :meth:`BaseMethodHead.enter_steady_state`: a queue is full and takes
    part in the assignment, and the concepts are trained. The learning rate is the config's, without schedule. Nothing
    is saved.

    Args:
        cfg: A config whose model is :class:`ViCE`; it is changed.
        steps: Number of timed steps.
        warmup: Number of steps before them that are not counted.
        batch_size: Images in a batch, in place of the config's.
        amp: Train with mixed precision, as ``tools/train.py --amp``.
        device: Where to train; None is the device that the Runner takes.

    Returns:
        dict: ``milliseconds``, the mean over the steps, and ``median_milliseconds``, each with the columns of Table 12
        and what comes before a step; then what was measured where.

    Raises:
        FileNotFoundError: If the data is missing.
        TypeError: If the config's model is no ViCE.
        ValueError: If the config has no training data, or the device does not fit.
    """
    if steps < 1 or warmup < 0:
        raise ValueError(f'need at least 1 step and no negative warm-up, got {steps} and {warmup}')
    missing = [key for key in ('model', 'train_dataloader', 'optim_wrapper') if cfg.get(key) is None]
    if missing:
        raise ValueError(f'{cfg.filename} has no {" and no ".join(missing)}: give a config of configs/vice')
    device = current_device(device or get_device())
    if amp and device.type != get_device():
        raise ValueError(f'mixed precision follows the device that the Runner finds, {get_device()}, not {device}')
    if batch_size is not None:
        cfg.train_dataloader.batch_size = batch_size
    model, optim_wrapper, loader = build_training(cfg, device, warmup + steps, amp)
    if not isinstance(model, ViCE):
        raise TypeError(
            f'{cfg.filename} has a {type(model).__name__}, but training steps are timed for pretraining: '
            'give a config of configs/vice'
        )
    model.head.enter_steady_state()
    seen: dict[str, Any] = {}
    measured = time_train_steps(model, optim_wrapper, _remember(endless(loader), seen), steps, warmup, device)
    return dict(
        **_statistics(measured, (*TRAIN_PHASES, 'Tot.', *BEFORE_STEP)),
        **_surroundings(device, cfg),
        steps=steps,
        warmup=warmup,
        images=seen['images'],
        views=seen['views'],
        view_size=seen['view_size'],
        workers=loader.num_workers,
        amp=amp,
        head=f'{type(model.head).__name__}({model.head.extra_repr()})',
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def build_training(
    cfg: Config, device: torch.device, steps: int, amp: bool = False
) -> tuple[nn.Module, OptimWrapper, DataLoader]:
    """What a config trains, as the Runner builds it: the model with its initial weights, optimizer and data loader.

    Args:
        cfg: A config; it is changed, so that nothing is logged, downloaded or saved.
        device: Where the model goes.
        steps: Number of steps it is for.
        amp: Train with mixed precision.
    """
    if amp:
        use_mixed_precision(cfg)
    cfg.log_level, cfg.custom_hooks = 'WARNING', []
    cfg.model.pop('pretrained', None)  # initial weights cost no time in a step, but perhaps a download
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    with tempfile.TemporaryDirectory() as folder:  # a Runner needs one
        cfg.work_dir = folder
        runner = build_runner(cfg)
        model = runner.model.to(device)
        model.init_weights()
        loader = runner.build_dataloader(cfg.train_dataloader, seed=runner.seed)
        optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    optim_wrapper.initialize_count_status(model, 0, steps)
    return model, optim_wrapper, loader


def benchmark_inference(
    linear: tuple[str, str | None] | None = None,
    cluster: tuple[str, str | None] | None = None,
    images: int = 50,
    warmup: int = 3,
    device: str | torch.device = 'cpu',
) -> dict[str, Any]:
    """Time embedder and probes on single whole images (Table 13).

    The segmentation model is the embedder alone, from the normalised image on the device to the low-resolution
    embedding map. A probe is its head alone, from that map to the class of every pixel at the size of the image.

    Args:
        linear: Config and checkpoint of a linear probe, or None. Without a checkpoint the weights are untrained.
        cluster: Config and checkpoint of a cluster probe on an embedder of the same shape, or None. Without a
            checkpoint the centroids are random unit vectors, and clusters have random classes.
        images: Number of images, of the test data of the first config that is given; over if there are fewer.
        warmup: Number of images before them that are not counted.
        device: Where the work is done.

    Returns:
        dict: ``milliseconds`` for an image, the mean, and ``median_milliseconds``; then what was measured where.

    Raises:
        FileNotFoundError: If the data is missing.
        TypeError: If a config is not that of a probe of its kind.
        ValueError: If neither probe is given, a checkpoint or the device does not fit, a config has no test data, or
            the embedders differ.
        RuntimeError: If a checkpoint holds a cluster probe that was never fitted.
    """
    given = {name: pair for name, pair in zip(HEADS, (cluster, linear)) if pair is not None}
    if not given:
        raise ValueError('give a linear probe, a cluster probe or both')
    if images < 1 or warmup < 0:
        raise ValueError(f'need at least 1 image and no negative warm-up, got {images} and {warmup}')
    device = current_device(device)
    probes = {name: _load_probe(*pair, HEADS[name], device) for name, pair in given.items()}
    model = next(iter(probes.values()))
    _require_equal_embedders(probes)
    heads = {name: probe.decode_head for name, probe in probes.items()}
    measured, sizes = [], set()
    bar = ProgressBar(warmup + images, file=sys.stderr)
    batches = endless(_test_loader(model.cfg))
    for step in range(warmup + images):
        inputs = model.data_preprocessor(next(batches), False)['inputs']
        times = time_inference(model, heads, inputs, device)
        if step >= warmup:
            measured.append(times)
            sizes.add('x'.join(map(str, inputs.shape[-2:])))
        bar.update()
    bar.file.write('\n')
    random = [name for name, (_, checkpoint) in given.items() if checkpoint is None]
    return dict(
        **_statistics(measured, (EMBEDDER, *heads)),
        **_surroundings(device, *(probe.cfg for probe in probes.values())),
        checkpoints=[checkpoint and str(checkpoint) for _, checkpoint in given.values()],
        untrained=random,
        images=images,
        warmup=warmup,
        image_sizes=sorted(sizes),
        embed_dims=model.embed_dims,
        classes=model.num_classes,
        **({'clusters': heads['Cluster model'].num_clusters} if 'Cluster model' in heads else {}),
        **({'filters': heads['Linear model'].num_filters} if 'Linear model' in heads else {}),
        parameters=sum(p.numel() for part in (model.backbone, model.decoder) for p in part.parameters()),
    )


@torch.no_grad()
def time_inference(
    model: ProbeSegmentor, heads: dict[str, nn.Module], inputs: Tensor, device: str | torch.device
) -> dict[str, float]:
    """Milliseconds of the embedder and of each head on normalised images (B, 3, H, W)."""
    timer = PhaseTimer(device)
    timer.start()
    embeddings = model.embed(inputs)
    timer.end(EMBEDDER)
    for name, head in heads.items():
        own = EmbeddingMap(embeddings.features, embeddings.size)  # a map keeps its norms: no head may use another's
        timer.start()
        head.classify(own)
        timer.end(name)
    return timer.take()


def current_device(device: str | torch.device) -> torch.device:
    """The device, made current where it is one of several GPUs.

    Raises:
        ValueError: If PyTorch does not find it.
    """
    device = checked_device(device)
    if device.type == 'cuda' and device.index is not None:
        torch.cuda.set_device(device)
    return device


def _load_probe(config: str, checkpoint: str | None, head: type[nn.Module], device: torch.device) -> ProbeSegmentor:
    cfg = Config.fromfile(Path(config).expanduser())
    if cfg.get('model') is not None and checkpoint is None:
        cfg.model.embedder_checkpoint = None
    model = init_model(cfg, checkpoint, device)
    if not isinstance(getattr(model, 'decode_head', None), head):
        raise TypeError(f'{config} has no {head.__name__}: give a config of a probe of that kind')
    if checkpoint is None and head is ClusterProbeHead:
        clusters = model.decode_head
        clusters.centroids.copy_(F.normalize(torch.randn_like(clusters.centroids), dim=1))
        clusters.cluster_classes.random_(clusters.num_classes)
    return model


def _require_equal_embedders(probes: dict[str, ProbeSegmentor]) -> None:
    first, *others = (
        {key: value for key, value in probe.state_dict().items() if key.startswith(('backbone.', 'decoder.'))}
        for probe in probes.values()
    )
    for other in others:
        differences = differing_weights(first, other, most=1)
        if differences:
            files = ' and '.join(str(probe.cfg.filename) for probe in probes.values())
            raise ValueError(f'the probes must share one embedder, but those of {files} differ: {differences}')


def _test_loader(cfg: Config) -> DataLoader:
    """Test data of a config, one image at a time, loaded in this process."""
    if cfg.get('test_dataloader') is None:
        raise ValueError(f'{cfg.filename} has no test_dataloader')
    loader = cfg.test_dataloader.copy()
    loader.update(batch_size=1, num_workers=0)
    init_default_scope(cfg.get('default_scope', 'mmvice'))
    return ViCERunner.build_dataloader(loader, seed=0)


def endless(loader: DataLoader) -> Iterator[dict]:
    """Batches of a loader, over and over.

    Raises:
        ValueError: If the loader has none.
    """
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                f'the data loader gives no batch of {loader.batch_size} from {len(loader.dataset)} images: '
                'lower the batch size'
            )


def _remember(batches: Iterable[dict], seen: dict[str, Any]) -> Iterator[dict]:
    """Note the sizes of the batches that pass."""
    for batch in batches:
        views = batch['inputs'][0]
        if views.ndim != 4:
            raise ValueError('the training data has no views: its pipeline must end with PackViCEInputs')
        seen.update(images=len(batch['inputs']), views=len(views), view_size=list(views.shape[-2:]))
        yield batch


def _statistics(measured: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    columns = {name: [times[name] for times in measured] for name in names}
    return dict(
        milliseconds={name: mean(times) for name, times in columns.items()},
        median_milliseconds={name: median(times) for name, times in columns.items()},
    )


def _surroundings(device: torch.device, *configs: Config) -> dict[str, Any]:
    files = [str(config.filename) for config in configs]
    return dict(
        device=f'{device} ({device_name(device)})',
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        config=files[0] if len(files) == 1 else files,
    )
