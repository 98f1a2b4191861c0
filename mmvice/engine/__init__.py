"""The Runner and what it runs: loops, hooks and optimizer wrappers."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from .hooks import (
    CheckInvalidLossHook,
    CheckpointHook,
    EmbeddingVisualizationHook,
    InitialWeightsHook,
    MethodStateHook,
    NumClassCheckHook,
    PredictionFilesHook,
    ProbeVisualizationHook,
    RunCheckHook,
    SeededStepHook,
)
from .loops import ClusterFitLoop, EpochCountedTrainLoop
from .optim_wrappers import BFloat16OptimWrapper
from .runners import ViCERunner
from .schedulers import WarmupCosineLR
from .whole_file_backend import WholeFileBackend

__all__ = [
    'BFloat16OptimWrapper',
    'CheckInvalidLossHook',
    'CheckpointHook',
    'ClusterFitLoop',
    'EmbeddingVisualizationHook',
    'EpochCountedTrainLoop',
    'InitialWeightsHook',
    'MethodStateHook',
    'NumClassCheckHook',
    'PredictionFilesHook',
    'ProbeVisualizationHook',
    'RunCheckHook',
    'SeededStepHook',
    'ViCERunner',
    'WarmupCosineLR',
    'WholeFileBackend',
]
