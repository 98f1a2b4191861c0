"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor

__all__ = ['CollapseMonitor']
