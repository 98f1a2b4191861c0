"""The limit of open files of a process."""

import sys

if sys.platform != 'win32':
    import resource


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard limit, for this process and its children.

    If the system does not allow that (macOS has its own lower limit), the limit does not change.
    """
    if sys.platform == 'win32':  # it has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return
