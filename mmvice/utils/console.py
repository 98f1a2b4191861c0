"""Console output of OpenMMLab's packages: standard output has only results, and irrelevant warnings are dropped."""

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


def tell(owner: object, message: str, level: int = logging.INFO) -> None:
    """Log a message that begins with the name of the owner's class."""
    print_log(f'{type(owner).__name__}: {message}', logger='current', level=level)


@contextmanager
def quiet_import() -> Iterator[None]:
    """Import parts of OpenMMLab without their warnings about missing packages; print any other line.

    MMCV warns of operators that its pure Python build lacks. mmvice does not need them. MMSegmentation warns of its own
    default of ``avg_non_ignore`` for every loss. The configs use that default on purpose.
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
    """Make a logger write to standard error, without MMEngine's internal warnings; its file has all messages.

    Returns:
        MMLogger: The logger.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.stream = sys.stderr
            handler.addFilter(_is_for_users)
    return logger


def use_console_without_run() -> None:
    """Do so with the logger that MMEngine creates for messages before there is a Runner."""
    logger = MMLogger.get_current_instance()
    if logger.instance_name == 'mmengine':
        use_console(logger)


def log_loading() -> None:
    """Make MMEngine log that it loads a checkpoint, instead of printing it to standard output."""
    mmengine.runner.checkpoint.print_log = _log


def _log(message: str, logger: logging.Logger | str | None = None, level: int = logging.INFO) -> None:
    if logger in (None, 'current'):
        use_console_without_run()
        logger = 'current'
    print_log(message, logger, level)


def _is_for_users(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_INTERNAL_WARNINGS)
