"""Measuring predictions."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from .metrics import ClassIoUMetric, is_class_metric, metric_texts, part_of_classes

__all__ = ['ClassIoUMetric', 'is_class_metric', 'metric_texts', 'part_of_classes']
