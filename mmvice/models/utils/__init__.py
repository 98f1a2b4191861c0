"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor
from .decoder_fit import check_decoder_fits
from .frozen_model_wrapper import FrozenModelWrapper
from .pretrained import fit_weights, load_pretrained

__all__ = ['CollapseMonitor', 'FrozenModelWrapper', 'check_decoder_fits', 'fit_weights', 'load_pretrained']
