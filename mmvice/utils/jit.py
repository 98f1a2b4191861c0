"""Compilation of the per-pixel loops of the data pipeline."""

from collections.abc import Callable

import numba


def jit(function: Callable) -> Callable:
    """Compile ``function`` with numba, without the GIL, and keep the machine code on disk.

    Numba keeps it beside the source, or in the user's cache folder when the package is read-only. Where neither can
    be written (a read-only container), it refuses to compile at all; the function is then compiled once a process.
    No fast-math: the same image gives the same superpixels on any machine.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
