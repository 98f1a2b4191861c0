"""How many files a process may have open."""

import sys

if sys.platform != 'win32':
    import resource


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and those that it starts.

    Where the system does not allow that (macOS has a lower limit of its own), the limit stays as it is.
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
