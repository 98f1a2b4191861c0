"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor
from .frozen_model_wrapper import FrozenModelWrapper
from .pretrained import fit_weights, load_pretrained

__all__ = ['CollapseMonitor', 'FrozenModelWrapper', 'fit_weights', 'load_pretrained']
