"""The error file of a failed process, which torchrun shows."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.elastic.multiprocessing.errors.error_handler import ErrorHandler

from mmvice.engine.cpu_processes import leave_together

_FILE = 'TORCHELASTIC_ERROR_FILE'


class WholeErrorFile(ErrorHandler):
    """torch's handler, but its file is written completely or not at all.

    If one process fails, others that wait for it fail too, and torchrun ends them while they write their files.
    torchrun would fail on the JSON of an unfinished file, and show no error of the run.
    """

    def record_exception(self, e: BaseException) -> None:
        """Write the description of an exception."""
        file = os.environ.get(_FILE)
        if not file:
            super().record_exception(e)
            return
        unfinished = f'{file}.part'
        os.environ[_FILE] = unfinished
        try:
            super().record_exception(e)
        finally:
            os.environ[_FILE] = file
        os.replace(unfinished, file)


def record_errors(main: Callable[..., Any]) -> Callable[..., Any]:
    """Make torchrun, if it started this process, report which process failed first, and its error.

    Processes that do not fail end together, see :func:`mmvice.engine.cpu_processes.leave_together`.
    """

    @wraps(main)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = main(*args, **kwargs)
        leave_together()
        return result

    return record(run, WholeErrorFile())
