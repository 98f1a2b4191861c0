"""A benchmark of pretrainings by probes: which runs it has, running them, and its table."""

from .arguments import add_benchmark_arguments
from .execute import Executor, check_data, check_device, state
from .plan import SIZES, SPLITS, Job, Variant, make_plan
from .reader import Benchmark, Row, read_benchmark
from .results import export_results, of_these_settings, read_results, restore_results
from .step_times import read_step_times, time_steps, write_step_times
from .table import Results, load_results, table, tried_table

__all__ = [
    'SIZES',
    'SPLITS',
    'Benchmark',
    'Executor',
    'Job',
    'Results',
    'Row',
    'Variant',
    'add_benchmark_arguments',
    'check_data',
    'check_device',
    'export_results',
    'load_results',
    'make_plan',
    'of_these_settings',
    'read_benchmark',
    'read_results',
    'read_step_times',
    'restore_results',
    'state',
    'table',
    'time_steps',
    'tried_table',
    'write_step_times',
]
