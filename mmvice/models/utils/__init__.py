"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor
from .frozen_model_wrapper import FrozenModelWrapper

__all__ = ['CollapseMonitor', 'FrozenModelWrapper']
