"""What the tools are made of."""

from .cli import (
    add_common_arguments,
    build_runner,
    checkpoint_location,
    existing_file,
    full_disk_explained,
    load_config,
    print_metrics,
    require_test,
    require_train,
    save_predictions,
    show_predictions,
    use_auto_scale_lr,
    use_mixed_precision,
    use_resume,
    use_tta,
)
from .dist import prepare_cpu_processes
from .error_file import record_errors
from .errors import run_tool
from .inference import embed_image, init_model
from .next_step import next_step

__all__ = [
    'next_step',
    'add_common_arguments',
    'build_runner',
    'checkpoint_location',
    'embed_image',
    'existing_file',
    'full_disk_explained',
    'init_model',
    'load_config',
    'prepare_cpu_processes',
    'print_metrics',
    'record_errors',
    'require_test',
    'require_train',
    'run_tool',
    'save_predictions',
    'show_predictions',
    'use_auto_scale_lr',
    'use_mixed_precision',
    'use_resume',
    'use_tta',
]
