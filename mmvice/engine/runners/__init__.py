"""Runners."""

from .vice_runner import ViCERunner

__all__ = ['ViCERunner']
