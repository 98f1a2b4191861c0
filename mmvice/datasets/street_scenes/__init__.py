"""Procedural street scenes: a layout is drawn (``layout``), painted far to near (``painting``) and lit (``render``)."""

from .classes import CLASSES, PALETTE
from .render import render_street_scene

__all__ = ['CLASSES', 'PALETTE', 'render_street_scene']
