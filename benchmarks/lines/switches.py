"""Line i: the switches of docs/performance.md, each against the plain network."""

import shutil
from collections.abc import Callable, Iterator, Mapping

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from torch import Tensor

from mmvice.models import ViCE
from mmvice.registry import MODELS

from .. import data
from ..harness import Row, Settings, interleave, progress, require_close, write_seconds
from .training_step import make_batch, small_config

CONFIGS = {  # and the images of a step
    'vice_r18_light-fpn_adamw-2k_camvid-64x64.py': 8,
    'vice_r18_light-fpn_lars-10k_camvid-256x256.py': 4,
}
GPU_IMAGES = 16
BFLOAT16 = 'BFloat16OptimWrapper'
FP16 = {  # what --amp is on a GPU
    'fp16': dict(wrapper='AmpOptimWrapper'),
    'fp16, channels last': dict(channels_last=True, wrapper='AmpOptimWrapper'),
}
SWITCHES = {
    'channels last': dict(channels_last=True),
    'bfloat16': dict(wrapper=BFLOAT16),
    'bfloat16, channels last': dict(channels_last=True, wrapper=BFLOAT16),
    'compiler': dict(compile=True),
    'compiler, channels last': dict(compile=True, channels_last=True),
    'compiler, bfloat16, channels last': dict(compile=True, channels_last=True, wrapper=BFLOAT16),
}


def rows(settings: Settings) -> Iterator[Row]:
    """Whole steps on one batch for every size and device; the compiler is left out of the quick run."""
    for device in settings.devices:
        compiler = not settings.quick and (device == 'cuda' or any(map(shutil.which, ('c++', 'g++', 'clang++'))))
        for config, images in CONFIGS.items():
            yield from _rows(settings, config, images, device, _switches(device, compiler))
            if not compiler and not settings.quick:
                note = 'not run: torch.compile needs a C++ compiler, and none is installed'
                yield Row('i', f'{config}, {device}: compiler', note=note)


def plain_rows(settings: Settings) -> Iterator[Row]:
    """All but the compiler, with batches for a GPU."""
    for device in settings.devices:
        for config in reversed(CONFIGS):
            yield from _rows(settings, config, GPU_IMAGES, device, _switches(device, compiler=False))


def compiler_rows(settings: Settings) -> Iterator[Row]:
    """The compiler alone, with batches for a GPU, the fastest combination first; a quick run does not compile."""
    chosen = {name: switch for name, switch in SWITCHES.items() if switch.get('compile')}
    for device in () if settings.quick else settings.devices:
        for name in reversed(chosen):
            yield from _rows(settings, [*CONFIGS][-1], GPU_IMAGES, device, {name: chosen[name]})


def _switches(device: str, compiler: bool) -> dict[str, dict]:
    known = {**SWITCHES, **(FP16 if device == 'cuda' else {})}
    return {name: switch for name, switch in known.items() if compiler or not switch.get('compile')}


def _rows(settings: Settings, config: str, images: int, device: str, switches: Mapping[str, dict]) -> Iterator[Row]:
    cfg = Config.fromfile(data.ROOT / 'configs' / 'vice' / config)
    if settings.quick:
        cfg, images = small_config(cfg), 1
    batch = make_batch(cfg, images)
    views, _, *size = batch['inputs'][0].shape
    what = f'{images} images x {views} views {size[0]}x{size[1]}, {device}'
    steps, losses = {}, {}
    for name, switch in {'plain': {}, **switches}.items():
        progress(f'i: {what}: {name}{", which compiles for minutes" if switch.get("compile") else ""}')
        steps[name] = make_step(cfg, batch, device, **switch)
        losses[name] = steps[name]()
        tolerance = 0.02 if switch.get('wrapper') else 1e-3
        require_close(losses[name], losses['plain'], f'loss of the first step, {name}', tolerance)
    times = interleave(steps, settings.repeats, device, warm=False)
    for name in switches:
        yield Row(
            'i',
            f'training step, {what}: {name}',
            write_seconds(times.median('plain')),
            write_seconds(times.median(name)),
            ratio=times.ratio(name, 'plain'),
            details=dict(config=config, device=device, images=images, switch=name, **times.details()),
            note='time over that of the plain network',
        )


def make_step(
    cfg: Config, batch: dict, device: str, wrapper: str = 'OptimWrapper', **switches: bool
) -> Callable[[], Tensor]:
    """A training step with some switches on, which gives its loss; the weights are the same for all."""
    cfg = cfg.copy()
    cfg.model.update(switches)
    cfg.optim_wrapper.type = wrapper
    torch.manual_seed(0)
    model: ViCE = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).train()
    model.head.enter_steady_state()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    return lambda: model.train_step(batch, optimizer)['loss'].detach()
