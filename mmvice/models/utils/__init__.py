"""Helpers of the models."""

from .collapse_monitor import CollapseMonitor, region_statistics
from .cpu_sync_batch_norm import CPUSyncBatchNorm
from .decoder_fit import check_decoder_fits
from .encoder import EncoderInfo, layer_depth, try_encoder
from .evaluation import evaluation
from .frozen_model_wrapper import FrozenModelWrapper
from .labelled_accuracy import labelled_accuracy
from .pretrained import fit_weights, initialize, load_pretrained, weights_for

__all__ = [
    'CPUSyncBatchNorm',
    'CollapseMonitor',
    'EncoderInfo',
    'FrozenModelWrapper',
    'check_decoder_fits',
    'evaluation',
    'fit_weights',
    'initialize',
    'labelled_accuracy',
    'layer_depth',
    'load_pretrained',
    'region_statistics',
    'try_encoder',
    'weights_for',
]
