"""The Runner and what it runs: loops, hooks and optimizer wrappers."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from .hooks import (
    CheckpointHook,
    EmbeddingVisualizationHook,
    FiniteLossHook,
    FittingClassesHook,
    FittingCustomKeysHook,
    FittingDecoderHook,
    FittingSamplerHook,
    FittingStateHook,
    FittingWeightsHook,
    InitialWeightsHook,
    MethodStateHook,
    ProbeVisualizationHook,
    SeededStepHook,
)
from .loops import ClusterFitLoop, EpochCountedTrainLoop
from .optim_wrappers import BFloat16OptimWrapper
from .runners import ViCERunner
from .schedulers import WarmupCosineLR
from .whole_file_backend import WholeFileBackend

__all__ = [
    'BFloat16OptimWrapper',
    'CheckpointHook',
    'ClusterFitLoop',
    'EmbeddingVisualizationHook',
    'EpochCountedTrainLoop',
    'FiniteLossHook',
    'FittingClassesHook',
    'FittingCustomKeysHook',
    'FittingDecoderHook',
    'FittingSamplerHook',
    'FittingStateHook',
    'FittingWeightsHook',
    'InitialWeightsHook',
    'ProbeVisualizationHook',
    'MethodStateHook',
    'ViCERunner',
    'SeededStepHook',
    'WarmupCosineLR',
    'WholeFileBackend',
]
