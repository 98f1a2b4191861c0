"""Loops of the Runner."""

from .cluster_fit_loop import ClusterFitLoop

__all__ = ['ClusterFitLoop']
