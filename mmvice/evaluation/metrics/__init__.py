"""Metrics of segmentations."""

from .class_iou_metric import ClassIoUMetric, is_class_metric, metric_texts, part_of_classes

__all__ = ['ClassIoUMetric', 'is_class_metric', 'metric_texts', 'part_of_classes']
