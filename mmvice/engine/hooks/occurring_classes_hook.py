"""A class that no label map has is told of before a run and with its result."""

import logging

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmvice.datasets.occurring_classes import occurring_classes
from mmvice.registry import HOOKS


@HOOKS.register_module()
class OccurringClassesHook(Hook):
    """Warns of classes that occur in no label map of a training, validation or test.

    Nothing is learned or measured of such a class, and a mean over classes leaves it out: where masks are 0 and 255,
    and 255 does not count, one class is left and every score is 100. Label maps are read until all classes are found,
    so that this takes long only where one is absent.
    """

    def __init__(self) -> None:
        self._of_training: str | None = None

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Look into the label maps of training and validation."""
        self._of_training = _warn('train_dataloader', runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _warn('val_dataloader', runner.val_dataloader.dataset)

    @master_only
    def before_test(self, runner: Runner) -> None:
        """Look into the label maps of a test."""
        _warn('test_dataloader', runner.test_dataloader.dataset)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Tell of the classes of the training once more, with the result; the metric tells of those of its images."""
        if self._of_training:
            print_log(self._of_training, logger='current', level=logging.WARNING)


def _warn(loader: str, dataset: Dataset) -> str | None:
    """Warn of absent classes; the warning, if there is one."""
    found = occurring_classes(dataset)
    if found is None or not found.absent:
        return None
    several = len(found.absent) > 1
    ids = ', '.join(map(str, found.ids[:10])) + (', ...' if len(found.ids) > 10 else '')
    message = (
        f'{loader}: the {"classes" if several else "class"} {", ".join(map(repr, found.absent))} '
        f'{"occur" if several else "occurs"} in none of {found.number} label maps. They have the ids {ids}'
        f'{", where 255 does not count" if 255 in found.ids else ""}: check the ids of the classes, or take these out '
        'of metainfo'
    )
    if set(found.ids) == {0, 255}:
        message += '. A mask of 0 and 255 needs 0 and 1 in the files'
    print_log(message, logger='current', level=logging.WARNING)
    return message
