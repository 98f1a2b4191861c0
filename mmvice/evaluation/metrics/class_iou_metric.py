"""mIoU and related metrics, with the values of every class."""

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from mmseg.evaluation import IoUMetric

from mmvice.registry import METRICS
from mmvice.utils.console import tell

_CLASS_METRIC = re.compile(r'(^|/)(IoU|Acc|Dice|Fscore|Precision|Recall)\.')
_COUNT = '_classes'


@METRICS.register_module(name=['ClassIoUMetric', 'IoUMetric'])
class ClassIoUMetric(IoUMetric):
    """MMSegmentation's ``IoUMetric``, whose result also holds the values of each class (Table 10).

    ``IoUMetric`` prints these values as a table, but returns only the means. Here ``IoU.road``, ``Acc.road`` and so on
    follow the means in the result, the log and its JSON files, in percent with 2 decimals. Means and table are those of
    ``IoUMetric``.

    A class that occurs in neither labels nor predictions has an IoU of nan (or of ``nan_to_num``). The mean leaves it
    out. ``mIoU_classes`` is the number of classes in the mean. A warning names the classes that no label map has.
    Images without labels do not count. If no image has labels, the result is empty. The class ``ignored_class`` does
    not count either: its id is the ``ignore_index`` of the data set, set by ``NumClassCheckHook``.

    Args:
        args, kwargs: As for ``IoUMetric``, without ``output_dir``.

    Raises:
        ValueError: If ``output_dir`` is given.
    """

    def __init__(self, *args, **kwargs) -> None:
        if kwargs.get('output_dir') is not None:
            raise ValueError(
                f'{type(self).__name__} measures and writes no files, but has output_dir={kwargs["output_dir"]!r}: '
                "leave it out, and give tools/test.py --out DIR, or the config custom_hooks=[dict(type='"
                "PredictionFilesHook', folder=DIR)]"
            )
        super().__init__(*args, **kwargs)
        self.ignored_class: int | None = None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each image of a batch; None stands for an image without labels."""
        num_classes = len(self.dataset_meta.get('classes') or ())
        for sample in data_samples:
            areas = None
            if not self.format_only and 'gt_sem_seg' in sample:
                predicted = sample['pred_sem_seg']['data'].squeeze()
                label = sample['gt_sem_seg']['data'].squeeze().to(predicted)
                areas = self.intersect_and_union(predicted, label, num_classes, self.ignore_index)
                for area in areas:  # pixels predicted as a class without labels would make its IoU 0
                    area[self._is_ignored(num_classes)] = 0
            self.results.append(areas)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute means and values of classes.

        Args:
            results: For every image the areas (classes,) of intersection, union, prediction and label, in pixels; None
                for one without labels.

        Returns:
            dict: ``aAcc``, ``mIoU``, ``mAcc``, then ``mIoU_classes``, then ``IoU.<class>`` and ``Acc.<class>`` (and
            those of other ``iou_metrics``), 0 to 100; nothing with ``format_only`` or without labels.
        """
        labelled = [areas for areas in results if areas is not None]
        if not labelled:
            why = 'format_only=True' if self.format_only else f'none of {len(results)} images has a label map'
            tell(self, f'nothing is measured, as {why}', logging.WARNING)
            return {}
        if len(labelled) < len(results):
            tell(
                self,
                f'{len(results) - len(labelled)} of {len(results)} images have no label map and do not count',
                logging.WARNING,
            )
        metrics = super().compute_metrics(labelled)
        areas = [sum(area) for area in zip(*labelled)]
        by_class = self.total_area_to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        by_class.pop('aAcc')
        for mean in {'IoU', 'Dice', 'Fscore'} & by_class.keys():
            metrics[f'm{mean}{_COUNT}'] = int(np.isfinite(by_class[mean]).sum())
        names = np.array(self.dataset_meta['classes'], object)
        counts = ~self._is_ignored(len(names))
        for metric, values in by_class.items():
            percent = np.round(values * 100, 2)[counts].tolist()
            metrics |= {f'{metric}.{name}': round(v, 2) for name, v in zip(names[counts], percent)}
        absent = names[counts & ~areas[3].numpy().astype(bool)].tolist()
        if absent:
            means = [text for text in metric_texts(metrics) if ' over ' in text]
            tell(
                self,
                f'no label map of these {len(labelled)} images has the '
                f'{"class" if len(absent) == 1 else "classes"} {", ".join(map(repr, absent))}; {", ".join(means)}',
                logging.WARNING,
            )
        return metrics

    def _is_ignored(self, num_classes: int) -> np.ndarray:
        return np.arange(num_classes) == self.ignored_class


def is_class_metric(name: str) -> bool:
    """Whether a metric's name is that of a single class, such as 'IoU.road' or 'val/Acc.road'.

    Example:
        >>> [is_class_metric(name) for name in ('mIoU', 'IoU.road', 'val/Acc.traffic light')]
        [False, True, True]
    """
    return _CLASS_METRIC.search(name) is not None


def metric_texts(metrics: Mapping[str, float]) -> list[str]:
    """The means among metrics with 2 decimals, each with its number of classes if known.

    Example:
        >>> metric_texts({'aAcc': 90.0, 'mIoU': 80.0, 'mIoU_classes': 1, 'IoU.road': 80.0, 'IoU.car': float('nan')})
        ['aAcc: 90.00', 'mIoU: 80.00 over 1 of 2 classes']
    """
    means = {name: value for name, value in metrics.items() if not is_class_metric(name)}
    texts = []
    for name, value in means.items():
        if name.removesuffix(_COUNT) in means and name.endswith(_COUNT):
            continue
        count, of_class = means.get(f'{name}{_COUNT}'), re.sub(r'(^|/)m', r'\1', name) + '.'
        number = sum(other.startswith(of_class) for other in metrics)
        texts.append(f'{name}: {value:.2f}' + ('' if count is None else f' over {count:.0f} of {number} classes'))
    return texts


def part_of_classes(values: Iterable[float | None]) -> str:
    """Note for a mean over classes if some have no value (nan or None).

    Example:
        >>> part_of_classes([50.0, None, 70.0]), part_of_classes([50.0, 70.0])
        (' over 2 of 3 classes', '')
    """
    known = [value is not None and math.isfinite(value) for value in values]
    return '' if all(known) else f' over {sum(known)} of {len(known)} classes'
