"""What tools/ share: arguments, settings, errors, images of a command line."""

from .arguments import add_common_arguments, checkpoint_location, existing_file
from .error_file import record_errors
from .errors import run_tool
from .next_step import next_step
from .settings import (
    full_disk_explained,
    load_config,
    print_metrics,
    require_test,
    require_train,
    save_predictions,
    show_predictions,
    use_auto_scale_lr,
    use_mixed_precision,
    use_tta,
)

__all__ = [
    'add_common_arguments',
    'checkpoint_location',
    'existing_file',
    'full_disk_explained',
    'load_config',
    'next_step',
    'print_metrics',
    'record_errors',
    'require_test',
    'require_train',
    'run_tool',
    'save_predictions',
    'show_predictions',
    'use_auto_scale_lr',
    'use_mixed_precision',
    'use_tta',
]
