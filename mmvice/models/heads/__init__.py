"""Heads: those of the methods, and the two probes."""

from .base import BaseMethodHead, head_of
from .cluster_probe_head import ClusterProbeHead
from .concept_head import ConceptHead
from .dense_swav_head import DenseSwAVHead
from .linear_probe_head import LinearProbeHead
from .odc_head import ODCHead

__all__ = [
    'BaseMethodHead',
    'ClusterProbeHead',
    'ConceptHead',
    'DenseSwAVHead',
    'LinearProbeHead',
    'ODCHead',
    'head_of',
]
