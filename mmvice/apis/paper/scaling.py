"""Fitting a pretraining to other GPUs than its config is made for."""

from typing import Any

from mmengine.config import Config

from mmvice.registry import MODELS


def base_batch_size(cfg: Config) -> int:
    """Images of a step, over all GPUs, that a config is made for."""
    return (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or cfg.train_dataloader.batch_size


def scale(cfg: Config, gpus: int | None, images_per_gpu: int | None) -> tuple[int, bool, dict[str, Any]]:
    """Fit a pretraining to other GPUs than its config is made for.

    The learning rate follows the images of a step, what is counted in steps does so inversely, and the queue keeps its
    length over all GPUs.

    Args:
        cfg: Config, made for ``auto_scale_lr.base_batch_size`` images of a step.
        gpus: Number of GPUs; None for the config's.
        images_per_gpu: Images of a step on each; None for the config's.

    Returns:
        tuple: Number of GPUs, whether the learning rate has to be scaled, and settings that change.
    """
    base, batch = base_batch_size(cfg), cfg.train_dataloader.batch_size
    own_gpus = base // batch
    gpus, images = gpus or own_gpus, images_per_gpu or batch
    options = {} if images == batch else {'train_dataloader.batch_size': images}
    head = cfg.model.get('head') or {}
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    scaled = gpus * images != base
    if scaled:
        steps = {name: head[name] for name in getattr(kind, 'settings_in_steps', ()) if head.get(name)}
        options.update({f'model.head.{name}': round(value * base / (gpus * images)) for name, value in steps.items()})
        checkpoint = cfg.get('default_hooks', {}).get('checkpoint', {})
        if checkpoint.get('max_keep_ckpts') == -1:  # points of a curve, as many as before
            options['default_hooks.checkpoint.interval'] = round(checkpoint.interval * base / (gpus * images))
    if gpus != own_gpus:
        rows = {name: head[name] for name in getattr(kind, 'settings_per_process', ()) if head.get(name)}
        options.update({f'model.head.{name}': round(value * own_gpus / gpus) for name, value in rows.items()})
    return gpus, scaled, options
