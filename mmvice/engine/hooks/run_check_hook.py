"""Checks before the first step: errors for settings that cannot work, warnings for unusual ones."""

import logging

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvice.engine import checks
from mmvice.registry import HOOKS


@HOOKS.register_module()
class RunCheckHook(Hook):
    """Calls each function of :mod:`mmvice.engine.checks` as soon as its input exists.

    :class:`mmvice.engine.ViCERunner` always has this hook.
    """

    priority = 'VERY_HIGH'  # before a hook or MMEngine uses what is in a checkpoint

    def __init__(self) -> None:
        self._absent_in_training: str | None = None

    def before_run(self, runner: Runner) -> None:
        """Check the samplers of all loops."""
        checks.check_samplers_end(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check weights and state before the Runner loads them."""
        checks.check_resumed_state(runner, checkpoint)
        checks.check_weights_fit(runner, checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Check model, optimizer and schedules, and the label maps of training and validation."""
        checks.check_heads_fit(runner)
        checks.warn_of_frozen_random_weights(runner)
        checks.warn_of_unused_keys(runner)
        checks.warn_of_moving_statistics(runner)
        checks.warn_of_other_normalization(runner.model)
        checks.warn_of_short_schedules(runner)
        if is_main_process():
            dataset = runner.train_dataloader.dataset
            self._absent_in_training = checks.warn_of_absent_classes('train_dataloader', dataset)
            if runner.val_loop is not None:
                checks.warn_of_absent_classes('val_dataloader', runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Check the normalisation, and the label maps of a test."""
        checks.warn_of_other_normalization(runner.model)
        if is_main_process():
            checks.warn_of_absent_classes('test_dataloader', runner.test_dataloader.dataset)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Repeat the warning about absent classes of the training with the result; the metric has its own warning."""
        if self._absent_in_training:
            print_log(self._absent_in_training, logger='current', level=logging.WARNING)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of an epoch."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            checks.check_number_of_batches('train', runner.train_loop, runner.train_dataloader, batch_idx)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of a validation."""
        checks.check_number_of_batches('val', runner.val_loop, runner.val_dataloader, batch_idx)

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Count the batches of a test."""
        checks.check_number_of_batches('test', runner.test_loop, runner.test_dataloader, batch_idx)
