"""Hooks of the Runner."""

from .checkpoint_hook import CheckpointHook
from .embedding_visualization_hook import EmbeddingVisualizationHook
from .finite_loss_hook import FiniteLossHook
from .fitting_classes_hook import FittingClassesHook
from .fitting_custom_keys_hook import FittingCustomKeysHook
from .fitting_decoder_hook import FittingDecoderHook
from .fitting_sampler_hook import FittingSamplerHook
from .fitting_schedule_hook import FittingScheduleHook
from .fitting_state_hook import FittingStateHook
from .fitting_weights_hook import FittingWeightsHook
from .initial_weights_hook import InitialWeightsHook
from .method_state_hook import MethodStateHook
from .occurring_classes_hook import OccurringClassesHook
from .prediction_files_hook import PredictionFilesHook
from .probe_visualization_hook import ProbeVisualizationHook
from .seeded_step_hook import SeededStepHook

__all__ = [
    'CheckpointHook',
    'EmbeddingVisualizationHook',
    'FiniteLossHook',
    'FittingClassesHook',
    'FittingCustomKeysHook',
    'FittingDecoderHook',
    'FittingSamplerHook',
    'FittingScheduleHook',
    'FittingStateHook',
    'FittingWeightsHook',
    'InitialWeightsHook',
    'OccurringClassesHook',
    'PredictionFilesHook',
    'ProbeVisualizationHook',
    'MethodStateHook',
    'SeededStepHook',
]
