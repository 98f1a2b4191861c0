"""Heads: the self-supervised one, and the two probes."""

from .cluster_probe_head import ClusterProbeHead
from .dense_swav_head import DenseSwAVHead
from .linear_probe_head import LinearProbeHead

__all__ = ['ClusterProbeHead', 'DenseSwAVHead', 'LinearProbeHead']
