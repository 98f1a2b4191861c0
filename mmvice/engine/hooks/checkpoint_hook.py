"""Checkpoints that survive if the process is killed at any moment."""

import os
import os.path as osp
import re
from collections import deque
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend, LocalBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.engine.whole_file_backend import WholeFileBackend
from mmvice.registry import HOOKS
from mmvice.utils.files import remove_unfinished, write_file
from mmvice.utils.provenance import provenance


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's hook, without loss of finished checkpoints if the process is killed or the disk is full.

    A local checkpoint gets its name when it is complete and on the disk. ``last_checkpoint`` names it after that. Only
    then is an older one removed. The disk therefore needs space for one checkpoint more than ``max_keep_ckpts``. The
    next training in the folder removes unfinished files of a killed process.

    The meta data of every checkpoint has the versions and the revision of mmvice that wrote it. A resumed checkpoint is
    not trusted: it cannot run code, and cannot remove files other than checkpoints of the run.

    Args:
        save_initial (bool): Also save the initial state of the training, as step 0. Defaults to False.
        args, kwargs: As for MMEngine's ``CheckpointHook``.
    """

    def __init__(self, *args, save_initial: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.save_initial = save_initial

    def before_train(self, runner: Runner) -> None:
        """Set the folder of checkpoints, and remove unfinished files there."""
        self._forget_strange_ids(runner)
        super().before_train(runner)
        self._forget_strange_files()
        if isinstance(self.file_backend, LocalBackend):
            self._write_whole_files(runner)
        if self.save_initial and runner.iter == 0:
            self._save_checkpoint_with_step(runner, 0, meta=dict(epoch=0, iter=0))

    def _write_whole_files(self, runner: Runner) -> None:
        self.backend_args = dict(backend='mmvice.whole_file')
        self.file_backend = WholeFileBackend()
        if is_main_process() and osp.isdir(self.out_dir):
            left = remove_unfinished(self.out_dir, self._name_beginnings())
            if osp.isdir(runner.work_dir):
                left += remove_unfinished(runner.work_dir, ('last_checkpoint.',))
            if left:
                print_log(f'Removed what a killed process had not finished: {", ".join(left)}', logger='current')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the versions and the revision that write it."""
        checkpoint['meta'].update(provenance())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remove a config in MMCV's format, which MMEngine would run as Python on resuming."""
        if isinstance(checkpoint.get('meta'), dict):
            checkpoint['meta'].pop('config', None)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        obsolete: list[int] = []
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            ids = [*self.keep_ckpt_ids, step]
            obsolete = ids[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(ids[len(obsolete) :], self.max_keep_ckpts)
            # the obsolete ones are noted down too: if the process ends before they are removed, the next one does it
            runner.message_hub.update_info('keep_ckpt_ids', ids)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_file(osp.join(runner.work_dir, 'last_checkpoint'), os.fsencode(self.last_ckpt), durable=True)
            for old in obsolete:
                _remove(self.file_backend, self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))
        if obsolete:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        backend, self.file_backend = self.file_backend, _DeferringBackend(self.file_backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
            outdated = [path for path in self.file_backend.outdated if path not in self._best_files().values()]
        finally:
            self.file_backend = backend
        for path in outdated:
            _remove(self.file_backend, path)

    def _best_files(self) -> dict[str, str | None]:
        """The best checkpoint by each metric, or None."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _forget_strange_ids(self, runner: Runner) -> None:
        """Checkpoints are removed by these numbers."""
        ids = runner.message_hub.runtime_info.get('keep_ckpt_ids', [])
        if not isinstance(ids, list) or any(type(number) is not int for number in ids):
            runner.message_hub.update_info('keep_ckpt_ids', [])

    def _forget_strange_files(self) -> None:
        """Limit the path of the best checkpoint, which MMEngine removes, to this run's folder."""
        for key, path in self._best_files().items():
            name = re.split(r'[/\\]', path)[-1] if isinstance(path, str) else ''
            own = self.file_backend.join_path(self.out_dir, name) if name.startswith('best_') else None
            if len(self.key_indicators) == 1:
                self.best_ckpt_path = own
            else:
                self.best_ckpt_path_dict[key] = own

    def _name_beginnings(self) -> tuple[str, ...]:
        return self.filename_tmpl.partition('{')[0], 'best_'


class _DeferringBackend:
    """A file backend that removes nothing, and records the files to remove."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self.backend = backend
        self.outdated: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append(path)

    rmtree = remove


def _remove(backend: BaseStorageBackend, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # DeepSpeed's checkpoints are folders
        backend.rmtree(path)
