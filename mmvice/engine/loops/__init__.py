"""Loops of the Runner."""

from .cluster_fit_loop import ClusterFitLoop
from .epoch_counted_train_loop import EpochCountedTrainLoop

__all__ = ['ClusterFitLoop', 'EpochCountedTrainLoop']
