"""Decoders: a pyramid of feature maps in, one D-channel map out, with ``embed_dims`` telling D."""

from .hypercolumn import HypercolumnDecoder
from .light_fpn import LightFPN
from .seg_head_decoder import SegHeadDecoder

__all__ = [
    'HypercolumnDecoder',
    'LightFPN',
    'SegHeadDecoder',
]
