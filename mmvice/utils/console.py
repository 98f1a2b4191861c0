"""What MMEngine and its kin say on the console: standard output is left to results, and users to what is for them."""

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import mmengine.runner.checkpoint
from mmengine.logging import MMLogger, print_log

_AT_IMPORT = ('Could not import OneDL',)
_INTERNAL_WARNINGS = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The prefix is not set in metric class',
    '`save_param_scheduler` is True but',
)


@contextmanager
def quiet_import() -> Iterator[None]:
    """Import parts of OpenMMLab without their lines on what is not installed; any other line is printed.

    MMCV warns of the operators that its pure Python build has not, which nothing in mmvice needs. MMSegmentation warns
    of its own default of ``avg_non_ignore`` wherever a loss is built; the configs mean that default.
    """
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    warnings.filterwarnings('ignore', message='Default ``avg_non_ignore`` is False')
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines(keepends=True):
            if line.strip() not in _AT_IMPORT:
                sys.stdout.write(line)


def use_console(logger: MMLogger) -> MMLogger:
    """Have a logger write to standard error, without MMEngine's warnings of its own affairs; its file has all.

    Returns:
        MMLogger: The logger.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.stream = sys.stderr
            handler.addFilter(_is_for_users)
    return logger


def use_console_without_run() -> None:
    """Do so with the logger that MMEngine makes where something is logged and there is no Runner yet."""
    logger = MMLogger.get_current_instance()
    if logger.instance_name == 'mmengine':
        use_console(logger)


def log_loading() -> None:
    """Have MMEngine log that it loads a checkpoint, where its functions would print that to standard output."""
    mmengine.runner.checkpoint.print_log = _log


def _log(message: str, logger: logging.Logger | str | None = None, level: int = logging.INFO) -> None:
    if logger in (None, 'current'):
        use_console_without_run()
        logger = 'current'
    print_log(message, logger, level)


def _is_for_users(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_INTERNAL_WARNINGS)
