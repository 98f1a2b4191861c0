"""Compilation of per-pixel loops, and threads for them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np


def jit(function: Callable, **options) -> Callable:
    """Compile ``function`` with numba, without the GIL, and keep the machine code on disk.

    Numba keeps it beside the source, or in the user's cache folder if the package is read-only. If it can write neither
    (a read-only container), it refuses to compile; the function is then compiled once in each process. Fast-math is off
    unless ``options`` of numba turn it on, so the same image gives the same superpixels on any machine.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)


def share_out(work: Callable[[int, int], None], first: int, last: int, threads: int) -> None:
    """Call ``work(begin, end)`` on equal parts of the range from ``first`` to ``last``, each in its own thread.

    It is for compiled functions, which run without the GIL.
    """
    if threads == 1:
        work(first, last)
        return
    bounds = np.linspace(first, last, threads + 1, dtype=int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
