"""Hooks of the Runner."""

from .embedding_visualization_hook import EmbeddingVisualizationHook
from .finite_loss_hook import FiniteLossHook
from .fitting_classes_hook import FittingClassesHook
from .fitting_decoder_hook import FittingDecoderHook
from .fitting_weights_hook import FittingWeightsHook
from .initial_weights_hook import InitialWeightsHook
from .probe_visualization_hook import ProbeVisualizationHook

__all__ = [
    'EmbeddingVisualizationHook',
    'FiniteLossHook',
    'FittingClassesHook',
    'FittingDecoderHook',
    'FittingWeightsHook',
    'InitialWeightsHook',
    'ProbeVisualizationHook',
]
