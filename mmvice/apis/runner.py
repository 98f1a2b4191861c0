"""The Runner of a config, from Python."""

import copy
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.engine import ViCERunner
from mmvice.engine.checks.settings import check_setting_names
from mmvice.engine.cpu_processes import prepare_cpu_processes
from mmvice.registry import RUNNERS
from mmvice.utils.checkpoint import register_safe_checkpoint_loading
from mmvice.utils.files import as_path
from mmvice.utils.whole_checkpoint import check_whole, latest_checkpoint


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, for one process or several; it loads checkpoints with the safe loader.

    Args:
        cfg: A config as ``Config.fromfile`` reads it; it is not changed. Without ``work_dir`` the run uses
            ``work_dirs/<name of the config>``.

    Raises:
        ValueError: If it has neither ``work_dir`` nor a file, or the name of a setting is misspelled.
    """
    cfg = copy.deepcopy(cfg)
    check_setting_names(cfg)
    require_work_dir(cfg)
    register_safe_checkpoint_loading()
    if cfg.get('resume') and cfg.get('load_from') is None:
        use_resume(cfg, load_from=None)
    prepare_cpu_processes(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else ViCERunner.from_cfg(cfg)


def use_resume(cfg: Config, load_from: str | None) -> None:
    """Resume from ``load_from`` if this command sets it, else from the latest complete checkpoint in the work folder.

    Without a checkpoint the run starts anew, and ``cfg.load_from`` still means initial weights.

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
        print_log(f'--resume: no checkpoint in {cfg.work_dir} yet, so this run starts anew.', logger='current')


def require_work_dir(cfg: Config) -> None:
    """Set the work folder by the config's file name if the config has none.

    Raises:
        ValueError: The config has no file.
    """
    if cfg.get('work_dir') is None:
        if cfg.filename is None:
            raise ValueError("the config has neither a file name nor a work_dir: set cfg.work_dir = 'work_dirs/NAME'")
        cfg.work_dir = str(Path('work_dirs', Path(cfg.filename).stem))
    cfg.work_dir = as_path(cfg.work_dir, 'work_dir')
