"""Functions to call from Python."""

from .inference import embed_image, init_model
from .runner import build_runner, use_resume

__all__ = ['build_runner', 'embed_image', 'init_model', 'use_resume']
