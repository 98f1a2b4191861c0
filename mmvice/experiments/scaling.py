"""Fitting a pretraining to other GPUs than its config is made for."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmvice.registry import MODELS


@dataclass(frozen=True)
class Scaling:
    """Number of GPUs, whether the learning rate must be scaled, and settings that change."""

    gpus: int = 1
    scaled: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def base_batch_size(cfg: Config) -> int:
    """Images of a step, over all GPUs, that a config is made for."""
    return (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or cfg.train_dataloader.batch_size


def scale(cfg: Config, gpus: int | None, images_per_gpu: int | None) -> Scaling:
    """Fit a pretraining to other GPUs than its config is made for.

    The learning rate follows the images of a step, what is counted in steps does so inversely, and the queue keeps its
    length over all GPUs.

    Args:
        cfg: Config, made for ``auto_scale_lr.base_batch_size`` images of a step.
        gpus: Number of GPUs; None for the config's.
        images_per_gpu: Images of a step on each; None for the config's.
    """
    base, batch = base_batch_size(cfg), cfg.train_dataloader.batch_size
    own_gpus = max(base // batch, 1)
    gpus, images = gpus or own_gpus, images_per_gpu or batch
    options = {} if images == batch else {'train_dataloader.batch_size': images}
    head = cfg.model.get('head') or {}
    scaled = gpus * images != base
    if scaled:
        steps = _settings(head, 'settings_in_steps')
        options.update({f'model.head.{name}': round(value * base / (gpus * images)) for name, value in steps.items()})
        checkpoint = cfg.get('default_hooks', {}).get('checkpoint', {})
        if checkpoint.get('max_keep_ckpts') == -1:  # points of a curve, as many as before
            options['default_hooks.checkpoint.interval'] = round(checkpoint.interval * base / (gpus * images))
    if gpus != own_gpus:
        rows = _settings(head, 'settings_per_process')
        options.update({f'model.head.{name}': round(value * own_gpus / gpus) for name, value in rows.items()})
    return Scaling(gpus, scaled, options)


def _settings(head: Mapping[str, Any], names: str) -> dict[str, int]:
    """The settings of a head that its class names so, with their defaults, where they are more than 0."""
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    settings = {name: head.get(name, _default_of(kind, name)) for name in getattr(kind, names, ())}
    return {name: value for name, value in settings.items() if value}


def _default_of(kind: type, name: str) -> Any:
    """The default of an argument of a class, which may hand it on to its bases; None without."""
    for base in kind.__mro__:
        parameter = inspect.signature(base.__init__).parameters.get(name)
        if parameter is not None and parameter.default is not inspect.Parameter.empty:
            return parameter.default
    return None
