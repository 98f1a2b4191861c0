"""What a process of several leaves for torchrun to show when it fails."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.elastic.multiprocessing.errors.error_handler import ErrorHandler

from mmvice.engine.cpu_processes import leave_together

_FILE = 'TORCHELASTIC_ERROR_FILE'


class WholeErrorFile(ErrorHandler):
    """torch's handler, whose file is there whole or not at all.

    The failure of one process makes those fail that wait for it, and torchrun ends them while they are writing theirs.
    An unfinished file would have torchrun fail over its JSON, and show no error of the run.
    """

    def record_exception(self, e: BaseException) -> None:
        """Write what is shown of an exception."""
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
    """Have torchrun, where it has started this process, say which process failed first, and how.

    Processes that do not fail end together, see :func:`mmvice.engine.cpu_processes.leave_together`.
    """

    @wraps(main)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = main(*args, **kwargs)
        leave_together()
        return result

    return record(run, WholeErrorFile())
