"""Models: ViCE, its decoders and heads, and the segmentor that probes it."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from .backbones import ColorPosition
from .data_preprocessor import ViCEDataPreprocessor
from .decoders import HypercolumnDecoder, LightFPN, SegHeadDecoder
from .embedder import EmbedderMixin
from .heads import ClusterProbeHead, DenseSwAVHead, LinearProbeHead
from .segmentors import EncoderDecoder, ProbeSegmentor, load_embedder
from .vice import ViCE

__all__ = [
    'ClusterProbeHead',
    'ColorPosition',
    'DenseSwAVHead',
    'EmbedderMixin',
    'EncoderDecoder',
    'HypercolumnDecoder',
    'LightFPN',
    'LinearProbeHead',
    'ProbeSegmentor',
    'SegHeadDecoder',
    'ViCE',
    'ViCEDataPreprocessor',
    'load_embedder',
]
