"""Hooks of the Runner."""

from .embedding_visualization_hook import EmbeddingVisualizationHook
from .fitting_weights_hook import FittingWeightsHook
from .initial_weights_hook import InitialWeightsHook
from .probe_visualization_hook import ProbeVisualizationHook
from .region_queue_hook import RegionQueueHook

__all__ = [
    'EmbeddingVisualizationHook',
    'FittingWeightsHook',
    'InitialWeightsHook',
    'ProbeVisualizationHook',
    'RegionQueueHook',
]
