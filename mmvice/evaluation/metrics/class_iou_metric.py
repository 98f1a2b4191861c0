"""mIoU and its kin, with the values of every class."""

import re

import numpy as np
from mmseg.evaluation import IoUMetric

from mmvice.registry import METRICS

_CLASS_METRIC = re.compile(r'(^|/)(IoU|Acc|Dice|Fscore|Precision|Recall)\.')


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """MMSegmentation's ``IoUMetric``, whose result also holds the values of each class (Table 10).

    ``IoUMetric`` prints them as a table and keeps the means alone. Here ``IoU.road``, ``Acc.road`` and so on, in
    percent with 2 decimals, follow the means in the result, and with it in the log and its JSON files. A class that
    occurs in neither labels nor predictions has an IoU of nan (or of ``nan_to_num``) and is left out of the mean, as in
    the table. Means and table are those of ``IoUMetric``.

    Args:
        args, kwargs: As for ``IoUMetric``.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute means and values of classes.

        Args:
            results: For every image the areas (classes,) of intersection, union, prediction and label, in pixels.

        Returns:
            dict: ``aAcc``, ``mIoU``, ``mAcc``, then ``IoU.<class>`` and ``Acc.<class>`` (and those of other
            ``iou_metrics``), 0 to 100; nothing with ``format_only``.
        """
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        areas = [sum(area) for area in zip(*results)]
        by_class = self.total_area_to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        by_class.pop('aAcc')
        for metric, values in by_class.items():
            percent = np.round(values * 100, 2).tolist()
            metrics |= {f'{metric}.{name}': round(v, 2) for name, v in zip(self.dataset_meta['classes'], percent)}
        return metrics


def is_class_metric(name: str) -> bool:
    """Tell whether a metric's name is that of a single class, such as 'IoU.road' or 'val/Acc.road'.

    Example:
        >>> [is_class_metric(name) for name in ('mIoU', 'IoU.road', 'val/Acc.traffic light')]
        [False, True, True]
    """
    return _CLASS_METRIC.search(name) is not None
