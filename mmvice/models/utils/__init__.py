"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor, region_statistics
from .cpu_sync_batch_norm import CPUSyncBatchNorm
from .decoder_fit import check_decoder_fits
from .frozen_model_wrapper import FrozenModelWrapper
from .labelled_accuracy import labelled_accuracy
from .pretrained import fit_weights, load_pretrained

__all__ = [
    'CPUSyncBatchNorm',
    'CollapseMonitor',
    'FrozenModelWrapper',
    'check_decoder_fits',
    'fit_weights',
    'labelled_accuracy',
    'load_pretrained',
    'region_statistics',
]
