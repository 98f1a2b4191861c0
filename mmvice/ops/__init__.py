"""Pure functions: tensors or arrays in, tensors or arrays out."""

from .area_resize import shrink_by_area
from .argmax import bilinear_argmax
from .axis import bilinear_axis
from .bilinear import (
    gram_map,
    gram_map_adjoint,
    linear_map,
    linear_matrix,
    quadratic_matrix,
    squared_lengths,
)
from .process_sum import num_processes, sum_over_processes
from .region_pooling import global_region_ids, region_sums
from .sinkhorn import sinkhorn_knopp
from .superpixels import common_superpixels, grid_superpixels, slic
from .unit_vectors import inverse_lengths, largest_magnitude, reciprocal_power_of_two, safe_scale, unit_vectors

__all__ = [
    'bilinear_argmax',
    'bilinear_axis',
    'common_superpixels',
    'global_region_ids',
    'gram_map',
    'gram_map_adjoint',
    'grid_superpixels',
    'inverse_lengths',
    'largest_magnitude',
    'linear_map',
    'linear_matrix',
    'num_processes',
    'quadratic_matrix',
    'reciprocal_power_of_two',
    'region_sums',
    'safe_scale',
    'shrink_by_area',
    'sinkhorn_knopp',
    'slic',
    'squared_lengths',
    'sum_over_processes',
    'unit_vectors',
]
