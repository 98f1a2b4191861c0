"""Checks before a run starts: each function checks one thing, and raises or warns in one sentence.

Docstrings say if a function also changes something.
"""

from .absent_classes import warn_of_absent_classes
from .custom_keys import warn_of_moving_statistics, warn_of_unused_keys
from .decoder import check_heads_fit
from .frozen import warn_of_frozen_random_weights
from .learning import check_something_learns
from .normalization import warn_of_other_normalization
from .num_classes import check_num_classes
from .resumed_state import check_resumed_state
from .samplers import check_number_of_batches, check_samplers_end
from .schedules import warn_of_short_schedules
from .weights import check_weights_fit

__all__ = [
    'check_heads_fit',
    'check_num_classes',
    'check_number_of_batches',
    'check_resumed_state',
    'check_samplers_end',
    'check_something_learns',
    'check_weights_fit',
    'warn_of_absent_classes',
    'warn_of_frozen_random_weights',
    'warn_of_moving_statistics',
    'warn_of_other_normalization',
    'warn_of_short_schedules',
    'warn_of_unused_keys',
]
