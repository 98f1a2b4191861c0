"""Decoders: feature maps in, one D-channel map out, with ``embed_dims`` telling D."""

from .hypercolumn import HypercolumnDecoder
from .light_fpn import LightFPN
from .seg_head_decoder import SegHeadDecoder
from .subpixel_decoder import SubpixelDecoder

__all__ = ['HypercolumnDecoder', 'LightFPN', 'SegHeadDecoder', 'SubpixelDecoder']
