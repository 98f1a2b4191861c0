"""Models: ViCE, its decoders and heads, and the segmentor that probes it.

Every name of the folders' ``__all__`` can be imported from here.
"""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from . import backbones, decoders, heads, segmentors
from .backbones import *  # noqa: F403
from .data_preprocessor import ViCEDataPreprocessor
from .decoders import *  # noqa: F403
from .embedder import EmbedderMixin
from .heads import *  # noqa: F403
from .segmentors import *  # noqa: F403
from .vice import ViCE

__all__ = ['EmbedderMixin', 'ViCE', 'ViCEDataPreprocessor']
__all__ += backbones.__all__
__all__ += decoders.__all__
__all__ += heads.__all__
__all__ += segmentors.__all__
