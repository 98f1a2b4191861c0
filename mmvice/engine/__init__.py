"""What the Runner runs: loops, hooks and optimizer wrappers."""

import mmseg.engine  # noqa: F401  so that names of MMSegmentation resolve from mmvice's registries

from .hooks import (
    EmbeddingVisualizationHook,
    FiniteLossHook,
    FittingClassesHook,
    FittingDecoderHook,
    FittingWeightsHook,
    InitialWeightsHook,
    ProbeVisualizationHook,
)
from .loops import ClusterFitLoop, EpochCountedTrainLoop
from .optim_wrappers import BFloat16OptimWrapper
from .schedulers import WarmupCosineLR

__all__ = [
    'BFloat16OptimWrapper',
    'ClusterFitLoop',
    'EmbeddingVisualizationHook',
    'EpochCountedTrainLoop',
    'FiniteLossHook',
    'FittingClassesHook',
    'FittingDecoderHook',
    'FittingWeightsHook',
    'InitialWeightsHook',
    'ProbeVisualizationHook',
    'WarmupCosineLR',
]
