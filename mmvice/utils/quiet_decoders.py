"""Decoders without their own lines on the console: what they find wrong is told once, in an error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from cv2.utils import logging as opencv

_TIFFFILE = logging.getLogger('tifffile')


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep warnings and errors of OpenCV and tifffile from the console, within the block alone."""
    level, _TIFFFILE.disabled = opencv.setLogLevel(opencv.LOG_LEVEL_SILENT), True
    try:
        yield
    finally:
        _TIFFFILE.disabled = False
        opencv.setLogLevel(level)
