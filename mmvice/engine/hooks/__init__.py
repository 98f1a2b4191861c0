"""Hooks of the Runner."""

from .embedding_visualization_hook import EmbeddingVisualizationHook
from .probe_visualization_hook import ProbeVisualizationHook

__all__ = ['EmbeddingVisualizationHook', 'ProbeVisualizationHook']
