"""Backbones that MMSegmentation and MMPretrain do not have."""

from .color_position import ColorPosition
from .timm_encoder import TimmEncoder

__all__ = ['ColorPosition', 'TimmEncoder']
