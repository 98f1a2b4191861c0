"""Backbones that MMSegmentation and MMPretrain do not have."""

from .color_position import ColorPosition

__all__ = ['ColorPosition']
