"""How predictions are measured."""

from .metrics import ClassIoUMetric, is_class_metric, metric_texts

__all__ = ['ClassIoUMetric', 'is_class_metric', 'metric_texts']
