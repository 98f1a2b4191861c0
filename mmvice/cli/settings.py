"""Changes and checks of a config by ``tools/train.py`` and ``tools/test.py``."""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process

from mmvice.apis.runner import require_work_dir
from mmvice.cli.config_options import merge_options
from mmvice.engine.checks.settings import check_setting_names, check_setting_values
from mmvice.engine.optim_wrappers import BFloat16OptimWrapper
from mmvice.evaluation import metric_texts
from mmvice.registry import OPTIMIZERS
from mmvice.utils.config_types import type_name
from mmvice.utils.files import NoSpaceError, is_no_space, readable_size


def load_config(args: argparse.Namespace) -> Config:
    """Read the config named by the arguments and apply ``--launcher``, ``--cfg-options`` and ``--work-dir``.

    Raises:
        ValueError: If the name of a setting is misspelled, or a value is invalid.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(Path(args.config).expanduser())
    cfg.launcher = args.launcher
    merge_options(cfg, args.cfg_options)
    check_setting_names(cfg)
    check_setting_values(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    require_work_dir(cfg)
    return cfg


_SCALED = ('cuda', 'npu', 'mlu', 'musa')
"""Devices for which MMEngine's ``AmpOptimWrapper`` can be built."""


def use_mixed_precision(cfg: Config) -> None:
    """Switch the optimizer wrapper to autocast: with a loss scaler if MMEngine has one, else in bfloat16 without one.

    Raises:
        ValueError: The config's wrapper has no counterpart with autocast.
    """
    wrapper = cfg.optim_wrapper
    if type_name(wrapper, 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(
            f"--amp needs an optim_wrapper of type 'OptimWrapper', this config has {type_name(wrapper)!r}."
        )
    if get_device() not in _SCALED:
        for name in ('loss_scale', 'dtype'):
            wrapper.pop(name, None)
        wrapper.type = f'mmvice.{BFloat16OptimWrapper.__name__}'
    else:
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')


def use_auto_scale_lr(cfg: Config) -> None:
    """Make the Runner multiply the learning rate by the run's total batch size over the config's base batch size.

    Raises:
        ValueError: The config does not state the batch size of its learning rate.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise ValueError(
            '--auto-scale-lr needs to know the batch size that the learning rate of the config is meant for: '
            'add auto_scale_lr = dict(base_batch_size=...) to it.'
        )
    cfg.auto_scale_lr.enable = True
    cfg.train_dataloader.setdefault('batch_size', 1)  # MMEngine's default, which it asks the config for here


def show_predictions(cfg: Config, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Make the visualization hook draw predictions on the screen, and to <show_dir>/vis_data/vis_image.

    Raises:
        ValueError: The config has no visualization hook or no visualizer.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None or cfg.get('visualizer') is None:
        raise ValueError(
            "--show and --show-dir need default_hooks.visualization = dict(type='SegVisualizationHook') and a "
            'visualizer in the config.'
        )
    hook.draw = True
    if show:
        hook.show = True
        hook.wait_time = wait_time
    if show_dir is not None:
        cfg.visualizer.save_dir = show_dir


def require_train(cfg: Config) -> None:
    """Check that a config describes a training.

    Raises:
        ValueError: It does not; for example the pieces in ``configs/_base_``.
    """
    missing = [name for name in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper') if cfg.get(name) is None]
    if missing:
        raise ValueError(
            f'{cfg.filename} has no {", ".join(missing)}, so there is nothing to train: take a config of configs/vice, '
            'linear_probe, cluster_probe or finetune.'
        )
    _require_batch_size(cfg, 'train_dataloader')
    optimizer = cfg.optim_wrapper.get('optimizer') or {}
    if isinstance(optimizer.get('type'), str) and OPTIMIZERS.get(optimizer.type) is None:
        raise ValueError(
            f"optim_wrapper.optimizer.type='{optimizer.type}' is not an optimizer: give the name of one in "
            'torch.optim, or mmpretrain.LARS'
        )


def _require_batch_size(cfg: Config, loader: str) -> None:
    size = cfg[loader].get('batch_size', 1)
    if not isinstance(size, int) or size < 1:
        raise ValueError(f'{loader}.batch_size must be at least 1 image, got {size!r}')


def require_test(cfg: Config) -> None:
    """Check that a config describes a test.

    Raises:
        ValueError: It does not; for example a pretraining config.
    """
    missing = [name for name in ('test_dataloader', 'test_cfg', 'test_evaluator') if cfg.get(name) is None]
    if missing:
        raise ValueError(
            f'{cfg.filename} has no {", ".join(missing)}, so there is nothing to test. A pretrained model is measured '
            'by a probe: train a config of configs/linear_probe or configs/cluster_probe on it, and test that.'
        )
    _require_batch_size(cfg, 'test_dataloader')


def save_predictions(cfg: Config, folder: str) -> None:
    """Write every prediction as a PNG of class ids, in the subfolders of the images."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='PredictionFilesHook', folder=folder)]


def use_tta(cfg: Config) -> None:
    """Test with the config's augmentations: ``tta_pipeline`` and ``tta_model``.

    Raises:
        ValueError: The config has neither.
    """
    missing = [name for name in ('tta_pipeline', 'tta_model') if cfg.get(name) is None]
    if missing:
        raise ValueError(f'--tta needs {" and ".join(missing)} in the config.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    if type_name(cfg.model) == 'ProbeSegmentor':  # what is merged are logits
        cfg.model.test_cfg = {**(cfg.model.get('test_cfg') or {}), 'seg_logits': True}
    cfg.model = {**cfg.tta_model, 'module': cfg.model}


@contextmanager
def full_disk_explained(cfg: Config) -> Iterator[None]:
    """Report a full disk during training in one sentence.

    Raises:
        NoSpaceError: Instead of the original error.
    """
    try:
        yield
    except OSError as error:
        if not is_no_space(error):
            raise
        folder = Path(cfg.work_dir)
        free = readable_size(shutil.disk_usage(folder).free) if folder.is_dir() else 'unknown space'
        what = str(error) if isinstance(error, NoSpaceError) else f'{error}, with {free} free in {folder}'
        raise NoSpaceError(
            error.errno, f'{what}. Earlier checkpoints are unchanged: free some space and continue with --resume.'
        ) from error


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the numbers of a test on one line, without those of single classes, once for all processes."""
    if is_main_process() and metrics:
        print('  '.join(metric_texts(metrics)))  # noqa: T201
