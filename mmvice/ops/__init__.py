"""Pure functions: tensors or arrays in, tensors or arrays out."""

from .bilinear import bilinear_axis, gram_map, gram_map_adjoint, linear_matrix, quadratic_matrix
from .region_pooling import global_region_ids, region_sums
from .sinkhorn import sinkhorn_knopp

__all__ = [
    'bilinear_axis',
    'global_region_ids',
    'gram_map',
    'gram_map_adjoint',
    'linear_matrix',
    'quadratic_matrix',
    'region_sums',
    'sinkhorn_knopp',
]
