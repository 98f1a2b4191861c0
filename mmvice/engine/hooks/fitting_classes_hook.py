"""A head with another number of classes than the data is an error before the first step."""

from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmvice.registry import HOOKS


@HOOKS.register_module()
class FittingClassesHook(Hook):
    """Compares the classes of a segmentor's heads with those that the data sets of a run name.

    With too few of them a loss fails at the first label beyond, on a GPU without a word about labels; with too many, or
    with those of another data set, the scores mean nothing.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare with the data of the training and of its validation.

        Raises:
            ValueError: If the numbers differ; the message has both, and the settings to change.
        """
        self._check(runner, 'train_dataloader', runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            self._check(runner, 'val_dataloader', runner.val_dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Compare with the data of a validation."""
        self._check(runner, 'val_dataloader', runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Compare with the data of a test."""
        self._check(runner, 'test_dataloader', runner.test_dataloader.dataset)

    def _check(self, runner: Runner, loader: str, dataset: object) -> None:
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if not classes:
            return
        for name, head in _heads(runner.model):
            if head.num_classes != len(classes):
                raise ValueError(
                    f'model.{name}.num_classes={head.num_classes}, but {type(dataset).__name__} of {loader} has '
                    f'{len(classes)} classes ({", ".join(map(str, classes[:3]))}, ...): make '
                    f'model.{name}.num_classes={len(classes)}, or give {loader}.dataset the metainfo that the model is '
                    'meant for'
                )
            _check_class_weights(name, head)


def _check_class_weights(name: str, head: nn.Module) -> None:
    part = getattr(head, 'loss_decode', None)
    several = isinstance(part, nn.ModuleList)
    for number, loss in enumerate(part if several else [part]):
        weights = getattr(loss, 'class_weight', None)
        if not hasattr(weights, '__len__') or len(weights) in (head.num_classes, head.out_channels):
            continue
        where = f'{name}.loss_decode.{number}' if several else f'{name}.loss_decode'
        raise ValueError(
            f'model.{where}.class_weight has {len(weights)} values, but model.{name}.num_classes={head.num_classes}: '
            'give one weight for each class'
        )


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The heads of a segmentor that tell classes, under their names in a config."""
    while hasattr(model, 'module'):  # of several processes, or of test-time augmentation
        model = model.module
    for name in ('decode_head', 'auxiliary_head'):
        part = getattr(model, name, None)
        several = isinstance(part, nn.ModuleList)
        for number, head in enumerate(part if several else [part]):
            if hasattr(head, 'num_classes'):
                yield f'{name}.{number}' if several else name, head
