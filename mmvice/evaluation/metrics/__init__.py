"""Metrics of segmentations."""

from .class_iou_metric import ClassIoUMetric, is_class_metric

__all__ = ['ClassIoUMetric', 'is_class_metric']
