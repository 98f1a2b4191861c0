"""Line j: a training step over a frozen encoder against one that trains the encoder too."""

import copy
from collections.abc import Iterator

import torch
from mmengine.config import Config
from torch import Tensor

from mmvice.models import ViCE

from .. import data
from ..harness import Row, Settings, interleave, progress, write_seconds
from .training_step import build_pair, make_batch, make_optimizer

CONFIGS = {
    'EfficientNet-Lite0 + light FPN': 'vice_efficientnet-lite0_light-fpn_adamw-800_camvid-192x192_frozen',
    'DeiT-S + subpixel decoder': 'vice_deit-small_subpixel_adamw-800_camvid-192x192_frozen',
}


def rows(settings: Settings) -> Iterator[Row]:
    """Steps on one batch, on the CPU and on a GPU where there is one; weights are random, which costs the same."""
    for device in settings.devices:
        for network, name in CONFIGS.items():
            cfg = Config.fromfile(data.ROOT / 'configs' / 'vice' / f'{name}.py')
            cfg.model.pretrained = None
            yield row(settings, device, cfg, make_batch(cfg, settings.pick(4, 1)), network)


def row(settings: Settings, device: str, cfg: Config, batch: dict, network: str) -> Row:
    """Line j for a config with a frozen backbone and a batch of its views."""
    frozen, _ = build_pair(cfg, device)
    trained, _ = build_pair(Config({**cfg, 'model': {**copy.deepcopy(cfg.model), 'frozen': ()}}), device)
    images, views = len(batch['inputs']), batch['inputs'][0].shape
    what = f'{images} images x {views[0]} views {views[2]}x{views[3]}, {network}'
    progress(f'j: a training step over a frozen encoder on {device}: {what}')
    sides = {name: _stepper(model, cfg, batch) for name, model in dict(ours=frozen, plain=trained).items()}
    times = interleave(sides, settings.repeats, device)
    saved = {name: saved_mib(model, batch) for name, model in dict(frozen=frozen, trained=trained).items()}
    return Row(
        'j',
        f'training step on {device}, {what}, encoder frozen; plain: encoder trained',
        write_seconds(times.median('plain')),
        write_seconds(times.median('ours')),
        ratio=times.ratio('ours', 'plain'),
        target=None,
        details=dict(images=images, view_size=list(views[2:]), device=device, saved_mib=saved, **times.details()),
    )


def saved_mib(model: ViCE, batch: dict) -> float:
    """MiB of tensors that a forward pass keeps for backward, each counted once; weights are not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    prepared = model.data_preprocessor(batch, True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        losses = model(**prepared, mode='loss')  # while it lives, no storage is used twice
        total = sum(sizes.values())
    del losses
    return round(total / 2**20, 1)


def _stepper(model: ViCE, cfg: Config, batch: dict) -> object:
    optimizer = make_optimizer(model, cfg)
    return lambda: model.train_step(batch, optimizer)
