"""Decoders without their own console output: an error reports a defect once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from cv2.utils import logging as opencv

_TIFFFILE = logging.getLogger('tifffile')


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress console output of OpenCV and tifffile within the block."""
    level, _TIFFFILE.disabled = opencv.setLogLevel(opencv.LOG_LEVEL_SILENT), True
    try:
        yield
    finally:
        _TIFFFILE.disabled = False
        opencv.setLogLevel(level)
