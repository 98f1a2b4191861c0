"""A check that heads and data have the same classes and the same ignored label, before the first step."""

from collections.abc import Iterator, Mapping

from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn

from mmvice.datasets.image_names import members
from mmvice.datasets.labeled_images import NO_CLASS, LabeledImageDataset
from mmvice.evaluation import ClassIoUMetric


def check_num_classes(
    runner: Runner, loader: str, dataset: object, name: str = '', evaluator: Evaluator | None = None
) -> None:
    """Compare the classes of a segmentor's heads with those of a data set, and pass on the ignored label.

    With too few classes, a loss fails at the first larger label; on a GPU the error does not mention labels. With too
    many classes, or those of another data set, the scores are meaningless.

    The data set's ``ignore_index`` is the ignored label. Heads and metrics get it from there. If they name another one,
    that is an error. A class with the id that all data sets ignore is not measured.

    Args:
        runner: The Runner.
        loader: Name of the data set's loader in the config.
        dataset: The data set.
        name: Name of the evaluator in the config.
        evaluator: The evaluator, if there is one.

    Raises:
        ValueError: If numbers or labels differ; the message has both values and the settings to change.
    """
    users = {f'model.{head}': module for head, module in _heads(runner.model)}
    metrics = evaluator.metrics if evaluator else ()
    users |= {name if len(metrics) == 1 else f'{name}.{i}': metric for i, metric in enumerate(metrics)}
    for member in members(dataset):
        _share_ignore_index(loader, member, users)
    ignored = {getattr(member, 'ignore_index', None) for member in members(dataset)}
    for metric in metrics:
        if isinstance(metric, ClassIoUMetric):
            metric.ignored_class = ignored.copy().pop() if len(ignored) == 1 else None
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not classes:
        return
    for name, head in _heads(runner.model):
        if head.num_classes != len(classes):
            raise ValueError(
                f'model.{name}.num_classes={head.num_classes}, but {dataset.__class__.__name__} of {loader} has '
                f'{len(classes)} classes ({", ".join(map(str, classes[:3]))}, ...): make '
                f'model.{name}.num_classes={len(classes)}, or give {loader}.dataset the metainfo that the model is '
                'meant for'
            )
        _check_losses(name, head)


def _check_losses(name: str, head: nn.Module) -> None:
    part = getattr(head, 'loss_decode', None)
    several = isinstance(part, nn.ModuleList)
    if several and not len(part):
        raise ValueError(f'model.{name}.loss_decode is an empty list: name a loss, or leave it out for cross entropy')
    for number, loss in enumerate(part if several else [part]):
        weights = getattr(loss, 'class_weight', None)
        if not hasattr(weights, '__len__') or len(weights) in (head.num_classes, head.out_channels):
            continue
        where = f'{name}.loss_decode.{number}' if several else f'{name}.loss_decode'
        raise ValueError(
            f'model.{where}.class_weight has {len(weights)} values, but model.{name}.num_classes={head.num_classes}: '
            'give one weight for each class'
        )


def _share_ignore_index(loader: str, dataset: object, users: Mapping[str, object]) -> None:
    """Make heads and metrics ignore the label that a data set gives to pixels that do not count.

    Args:
        loader: Name of the data set's loader in the config.
        dataset: The data set, without wrappers.
        users: Heads and metrics by their names in the config.

    Raises:
        ValueError: If one of them is set to ignore another label.
    """
    ignored = getattr(dataset, 'ignore_index', None)
    if ignored is None:
        return
    given = NO_CLASS if isinstance(dataset, LabeledImageDataset) else ignored  # what its samples have
    for name, user in users.items():
        own = getattr(user, 'ignore_index', None)
        if own is None or own == given:
            continue
        if own not in (NO_CLASS, ignored):
            raise ValueError(
                f'{name}.ignore_index={own}, but {type(dataset).__name__} of {loader} has ignore_index={ignored}: set '
                f'it once, as {loader}.dataset.ignore_index'
            )
        user.ignore_index = given


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The heads of a segmentor that predict classes, by their names in a config."""
    while hasattr(model, 'module'):  # of several processes, or of test-time augmentation
        model = model.module
    for name in ('decode_head', 'auxiliary_head'):
        part = getattr(model, name, None)
        several = isinstance(part, nn.ModuleList)
        for number, head in enumerate(part if several else [part]):
            if hasattr(head, 'num_classes'):
                yield f'{name}.{number}' if several else name, head
