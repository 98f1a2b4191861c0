"""Decoders: they turn feature maps into one map with D channels; ``embed_dims`` is D."""

from .hypercolumn import HypercolumnDecoder
from .light_fpn import LightFPN
from .seg_head_decoder import SegHeadDecoder
from .subpixel_decoder import SubpixelDecoder

__all__ = [
    'HypercolumnDecoder',
    'LightFPN',
    'SegHeadDecoder',
    'SubpixelDecoder',
]
