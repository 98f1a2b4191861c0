"""Models: ViCE, its decoders and heads, and the segmentor that probes it."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from .backbones import ColorPosition
from .data_preprocessor import ViCEDataPreprocessor
from .decoders import HypercolumnDecoder, LightFPN, SegHeadDecoder, SubpixelDecoder
from .embedder import EmbedderMixin
from .heads import BaseMethodHead, ClusterProbeHead, DenseSwAVHead, LinearProbeHead, ODCHead, head_of
from .segmentors import EncoderDecoder, ProbeSegmentor, load_embedder
from .vice import ViCE

__all__ = [
    'BaseMethodHead',
    'ClusterProbeHead',
    'ColorPosition',
    'DenseSwAVHead',
    'EmbedderMixin',
    'EncoderDecoder',
    'HypercolumnDecoder',
    'LightFPN',
    'LinearProbeHead',
    'ODCHead',
    'ProbeSegmentor',
    'SegHeadDecoder',
    'SubpixelDecoder',
    'ViCE',
    'ViCEDataPreprocessor',
    'head_of',
    'load_embedder',
]
