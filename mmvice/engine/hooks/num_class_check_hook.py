"""A check that heads and data have the same classes and the same ignored label, before the first step."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvice.engine.checks import check_num_classes
from mmvice.registry import HOOKS


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Calls :func:`mmvice.engine.checks.check_num_classes` for the data of a training, a validation and a test."""

    def before_train(self, runner: Runner) -> None:
        """Compare with the data of the training and of its validation."""
        check_num_classes(runner, 'train_dataloader', runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner: Runner) -> None:
        """Compare with the data of a validation."""
        loader, evaluator = runner.val_dataloader, runner.val_evaluator
        check_num_classes(runner, 'val_dataloader', loader.dataset, 'val_evaluator', evaluator)

    def before_test(self, runner: Runner) -> None:
        """Compare with the data of a test."""
        loader, evaluator = runner.test_dataloader, runner.test_evaluator
        check_num_classes(runner, 'test_dataloader', loader.dataset, 'test_evaluator', evaluator)
