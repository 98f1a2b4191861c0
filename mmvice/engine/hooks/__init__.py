"""Hooks of the Runner."""

from .check_invalid_loss_hook import CheckInvalidLossHook
from .checkpoint_hook import CheckpointHook
from .embedding_visualization_hook import EmbeddingVisualizationHook
from .initial_weights_hook import InitialWeightsHook
from .method_state_hook import MethodStateHook
from .num_class_check_hook import NumClassCheckHook
from .prediction_files_hook import PredictionFilesHook
from .probe_visualization_hook import ProbeVisualizationHook
from .run_check_hook import RunCheckHook
from .seeded_step_hook import SeededStepHook

__all__ = [
    'CheckInvalidLossHook',
    'CheckpointHook',
    'EmbeddingVisualizationHook',
    'InitialWeightsHook',
    'MethodStateHook',
    'NumClassCheckHook',
    'PredictionFilesHook',
    'ProbeVisualizationHook',
    'RunCheckHook',
    'SeededStepHook',
]
