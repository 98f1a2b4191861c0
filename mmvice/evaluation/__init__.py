"""How predictions are measured."""

from .metrics import ClassIoUMetric, is_class_metric

__all__ = ['ClassIoUMetric', 'is_class_metric']
