"""What ``tools/train.py`` and ``tools/test.py`` have in common: arguments, and what they change in a config."""

import argparse
import copy
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.engine import ViCERunner
from mmvice.engine.optim_wrappers import BFloat16OptimWrapper
from mmvice.evaluation import metric_texts
from mmvice.registry import OPTIMIZERS, RUNNERS
from mmvice.utils.checkpoint import register_safe_checkpoint_loading, resolve_checkpoint
from mmvice.utils.config_types import type_name
from mmvice.utils.files import NoSpaceError, as_path, is_no_space, readable_size
from mmvice.utils.whole_checkpoint import check_whole, latest_checkpoint

from .config_options import ConfigOptions, merge_options
from .dist import prepare_cpu_processes
from .errors import TRACEBACK
from .setting_names import check_setting_names, check_setting_values


def existing_file(path: str) -> str:
    """An argparse type: the path of a file that is there."""
    if not Path(path).expanduser().is_file():
        raise argparse.ArgumentTypeError(f'no such file: {path}')
    return path


def checkpoint_location(location: str) -> str:
    """An argparse type: a checkpoint file that is there, a work folder, meaning its latest checkpoint, or a URL."""
    try:
        location = str(resolve_checkpoint(location))
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return location if '://' in location else existing_file(location)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool with a config and a Runner has."""
    parser.add_argument('config', type=existing_file, help='config file')
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help="folder for logs and results (default: the config's work_dir, else work_dirs/<name of the config>)",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help="change settings of the config: model.head.num_concepts=64, a list as key=a,b or 'key=[a,b]', tuples in a "
        "list as 'key=[(a,b),(c,d)]'; quote what has brackets, and no white space",
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes of this run (default: none, a single process)',
    )
    parser.add_argument(
        TRACEBACK, action='store_true', help='show where an error comes from, also one that a setting can mend'
    )
    # torch.distributed.launch passes this; torchrun sets the variable instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config named by the arguments and apply ``--launcher``, ``--cfg-options`` and ``--work-dir``.

    Raises:
        ValueError: If the name of a setting is mistyped, or a value is one that cannot be.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(Path(args.config).expanduser())
    cfg.launcher = args.launcher
    merge_options(cfg, args.cfg_options)
    check_setting_names(cfg)
    check_setting_values(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    _require_work_dir(cfg)
    return cfg


def _require_work_dir(cfg: Config) -> None:
    """Give a config that names no work folder the one of its file.

    Raises:
        ValueError: It is of no file.
    """
    if cfg.get('work_dir') is None:
        if cfg.filename is None:
            raise ValueError("the config is of no file and has no work_dir: set cfg.work_dir = 'work_dirs/NAME'")
        cfg.work_dir = str(Path('work_dirs', Path(cfg.filename).stem))
    cfg.work_dir = as_path(cfg.work_dir, 'work_dir')


_SCALED = ('cuda', 'npu', 'mlu', 'musa')
"""Devices for which MMEngine's ``AmpOptimWrapper`` can be built."""


def use_mixed_precision(cfg: Config) -> None:
    """Switch the optimizer wrapper to autocast: with a loss scaler where MMEngine has one, else in bfloat16 without.

    Raises:
        ValueError: The config's wrapper is one that has no counterpart with autocast.
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
    """Have the Runner multiply the learning rate by the run's total batch size over the config's base batch size.

    Raises:
        ValueError: The config doesn't say which batch size its learning rate is meant for.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise ValueError(
            '--auto-scale-lr needs to know the batch size that the learning rate of the config is meant for: '
            'add auto_scale_lr = dict(base_batch_size=...) to it.'
        )
    cfg.auto_scale_lr.enable = True
    cfg.train_dataloader.setdefault('batch_size', 1)  # MMEngine's default, which it asks the config for here


def use_resume(cfg: Config, load_from: str | None) -> None:
    """Go on from ``load_from``, a checkpoint named in this command, else from the latest whole one in the work folder.

    Where there is none yet the run starts afresh, and ``cfg.load_from`` keeps its meaning of initial weights.

    Raises:
        DamagedCheckpointError: If that file is damaged, or all in the work folder are.
    """
    latest = load_from or latest_checkpoint(cfg.work_dir)
    if load_from and Path(load_from).expanduser().is_file():
        check_whole(Path(load_from).expanduser())
    cfg.resume = latest is not None
    if cfg.resume:
        cfg.load_from = latest
    else:
        print_log(f'--resume: no checkpoint in {cfg.work_dir} yet, so this run starts afresh.', logger='current')


def show_predictions(cfg: Config, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Have the visualization hook draw predictions on the screen, and to <show_dir>/vis_data/vis_image.

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
    """Check that a config has something to train.

    Raises:
        ValueError: It has not; those of ``configs/_base_`` are pieces.
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
            f"optim_wrapper.optimizer.type='{optimizer.type}' is no optimizer; those of torch.optim go by their names, "
            'LARS is mmpretrain.LARS'
        )


def _require_batch_size(cfg: Config, loader: str) -> None:
    size = cfg[loader].get('batch_size', 1)
    if not isinstance(size, int) or size < 1:
        raise ValueError(f'{loader}.batch_size must be at least 1 image, got {size!r}')


def require_test(cfg: Config) -> None:
    """Check that a config has something to measure.

    Raises:
        ValueError: It has not; pretraining configs are like that.
    """
    missing = [name for name in ('test_dataloader', 'test_cfg', 'test_evaluator') if cfg.get(name) is None]
    if missing:
        raise ValueError(
            f'{cfg.filename} has no {", ".join(missing)}, so there is nothing to test. A pretrained model is measured '
            'by a probe: train a config of configs/linear_probe or configs/cluster_probe on it, and test that.'
        )
    _require_batch_size(cfg, 'test_dataloader')


def save_predictions(cfg: Config, folder: str) -> None:
    """Have every prediction written as a PNG of class ids, laid out in the folder as the images are in theirs."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='PredictionFilesHook', folder=folder)]


def use_tta(cfg: Config) -> None:
    """Test with the config's augmentations: ``tta_pipeline`` and ``tta_model``.

    Raises:
        ValueError: The config has none.
    """
    missing = [name for name in ('tta_pipeline', 'tta_model') if cfg.get(name) is None]
    if missing:
        raise ValueError(f'--tta needs {" and ".join(missing)} in the config.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    if type_name(cfg.model) == 'ProbeSegmentor':  # what is merged are logits
        cfg.model.test_cfg = {**(cfg.model.get('test_cfg') or {}), 'seg_logits': True}
    cfg.model = {**cfg.tta_model, 'module': cfg.model}


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, ready for one process or several and safe about the checkpoints it loads.

    Args:
        cfg: A config as ``Config.fromfile`` reads it; it stays as it is. Without ``work_dir`` the run goes to
            ``work_dirs/<name of the config>``.

    Raises:
        ValueError: If it has no ``work_dir`` and is of no file, or the name of a setting is mistyped.
    """
    cfg = copy.deepcopy(cfg)
    check_setting_names(cfg)
    _require_work_dir(cfg)
    register_safe_checkpoint_loading()
    if cfg.get('resume') and cfg.get('load_from') is None:
        use_resume(cfg, load_from=None)
    prepare_cpu_processes(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else ViCERunner.from_cfg(cfg)


@contextmanager
def full_disk_explained(cfg: Config) -> Iterator[None]:
    """Say in one sentence that a training finds the disk full.

    Raises:
        NoSpaceError: In place of the error.
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
            error.errno, f'{what}. Checkpoints written before are as they were: make room and go on with --resume.'
        ) from error


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the numbers of a test on one line, without those of single classes, once for all processes."""
    if is_main_process() and metrics:
        print('  '.join(metric_texts(metrics)))  # noqa: T201
