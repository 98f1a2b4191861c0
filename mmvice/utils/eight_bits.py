"""Converting values of any depth to 8 bits: by the file's white value, by a range, or by percentiles."""

import logging
import mmap
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger, print_log

from .file_errors import UnusableFileError, printable
from .stored_values import Stored

_FEW_LEVELS = 64
_WARNED_RUN = mmap.mmap(-1, 8)  # shared with forked workers: the run that has had the warning of few levels


def check_stretch(value_range: Sequence[float] | None, percentiles: Sequence[float] | None, backend: str) -> None:
    """Raise ValueError unless :func:`mmvice.utils.image_files.decode_image` accepts these settings."""
    for setting, value in dict(value_range=value_range, percentiles=percentiles).items():
        if value is None:
            continue
        numbers = value if isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value) else ()
        if len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise ValueError(f'{setting} must be (black, white), the first less than the second, got {value!r}')
    if percentiles is not None and not (0 <= percentiles[0] and percentiles[1] <= 100):
        raise ValueError(f'percentiles must lie in [0, 100], got {percentiles}')
    if value_range is not None and percentiles is not None:
        raise ValueError(f'give value_range={value_range} or percentiles={percentiles}, not both')
    if (value_range or percentiles) and backend not in (None, 'cv2'):
        raise ValueError(f"value_range and percentiles need imdecode_backend='cv2', got {backend!r}")


def to_eight_bits(
    stored: Stored,
    value_range: tuple[float, float] | None,
    percentiles: tuple[float, float] | None,
    name: str | Path,
) -> np.ndarray:
    """Convert values of any depth to uint8 of the same shape; values of 8 bits do not change, whatever the range.

    Without range and percentiles, the result is the upper 8 bits. If few levels remain, a warning says so, once a run.

    Raises:
        UnusableFileError: If the white value is unknown, or no value is finite.
    """
    values, white, inverted = stored
    if white == 255:
        image = values
    elif value_range:
        image = _stretched(values, *value_range)
    elif percentiles:
        numbers = values[np.isfinite(values)]
        image = _stretched(values, *(np.percentile(numbers, percentiles) if numbers.size else (0, 1)))
    elif white is None:
        numbers = values[np.isfinite(values)]
        if not numbers.size:
            raise UnusableFileError(f'has {values.dtype} values, none of which is finite')
        raise UnusableFileError(
            f'has {values.dtype} values, {numbers.min()} to {numbers.max()}, and their white is unknown: give '
            'LoadImageFromFile value_range=(black, white), or percentiles=(1, 99)'
        )
    else:
        image = (values >> 8).astype(np.uint8) if white == 65535 else _stretched(values, 0, white)
        _warn_of_few_levels(values, image, white.bit_length(), name)
    return 255 - image if inverted else image


def _stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    kind = np.float32 if values.dtype.itemsize <= 2 else np.float64
    scaled = (values.astype(kind) - kind(low)) * kind(255 / (high - low) if high > low else 0)
    return np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255).round().astype(np.uint8)


def _warn_of_few_levels(values: np.ndarray, image: np.ndarray, bits: int, name: str | Path) -> None:
    """Warn, once a run, of an image with content in the lower bits, which are dropped."""
    run = zlib.crc32(MMLogger.get_current_instance().instance_name.encode()) + 1
    if bits <= 8 or int.from_bytes(_WARNED_RUN[:8], 'little') == run:
        return
    levels, different = (np.count_nonzero(np.bincount(array.ravel())) for array in (image, values))
    if levels < _FEW_LEVELS and different > levels:
        _WARNED_RUN[:8] = run.to_bytes(8, 'little')
        print_log(
            f'{printable(name)} has {bits} bits a value, of which the upper 8 count: its {different:,} different '
            f'values, {values.min()} to {values.max()}, become {levels} levels. Give LoadImageFromFile '
            'value_range=(black, white), as (0, 4095) for 12 bits, or percentiles=(1, 99). Other images are not warned '
            'of.',
            logger='current',
            level=logging.WARNING,
        )
