"""Decoding image files: usable files have a uniform result, others an error with the reason."""

from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmcv.image.io import imread_flags
from PIL import Image, ImageOps
from tifffile import TiffPage

from .eight_bits import check_stretch, to_eight_bits
from .file_errors import DAMAGED, UnusableFileError, explain, pass_on_of_system, printable
from .image_headers import IMAGE_EXTENSIONS, Header, open_image, pnm_maximum, read_header
from .label_files import decode_labels
from .quiet_decoders import quiet_decoders
from .stored_values import Stored, holds_values, stored_values

__all__ = [
    'IMAGE_EXTENSIONS',
    'UnusableFileError',
    'check_stretch',
    'decode_image',
    'decode_labels',
    'explain',
    'open_image',
    'printable',
]


def decode_image(
    content: bytes,
    flag: str = 'color',
    backend: str = 'cv2',
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] | None = None,
    name: str | Path = 'an image',
) -> np.ndarray:
    """Decode an image file: by default BGR uint8 (H, W, 3), for any content.

    One channel becomes three equal ones, a palette becomes its colours, and CMYK becomes RGB. The upper 8 of 16 bits
    are read, unless ``value_range`` or ``percentiles`` set black and white. If few grey levels remain, a warning says
    so, once a run. Transparency and bands after the third are dropped. The image is turned upright by its EXIF tag,
    except in an AVIF file. The first picture of an animation or page of several is read.

    Args:
        content: The file.
        flag, backend: As in :func:`mmcv.imfrombytes`. With 'unchanged', values are as stored.
        value_range: The stored values that become 0 and 255, in files of more than 8 bits a value; those between them
            are scaled linearly. Signed, 32-bit and floating-point values need it.
        percentiles: The same as percentiles of the image's own values, such as (1, 99).
        name: The file, for warnings.

    Raises:
        UnusableFileError: If the file is empty, cut off, damaged as far as a decoder notices (JPEG has no checksum), of
            an unknown format, of values without an 8-bit form, or has more pixels than :func:`open_image` allows. The
            message completes a sentence that begins with the name of the file.
    """
    header = read_header(content)
    if backend not in (None, 'cv2'):
        return _by_mmcv(content, flag, backend, header)
    stored = _decode(content, flag, header)
    if flag != 'unchanged' or value_range or percentiles:
        if (value_range or percentiles) and header.bits > 8 and stored.white == 255:
            raise UnusableFileError(
                f'has {header.bits} bits a value, of which only the upper 8 can be read from this kind of '
                f'{header.format}: store it as PNG or TIFF (RGB or grey), or leave value_range and percentiles out'
            )
        stored = Stored(to_eight_bits(stored, value_range, percentiles, name), 255)
    image = stored.values
    if flag.startswith('grayscale') and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if flag.startswith('color') and image.ndim == 2:
        image = np.repeat(image[..., None], 3, 2)
    return np.ascontiguousarray(image)


def _decode(content: bytes, flag: str, header: Header) -> Stored:
    """Values (H, W), or (H, W, 3) BGR, turned upright."""
    if holds_values(header):
        return _as_shown(stored_values(content, header), flag, header.orientation)
    stored = _by_opencv(content, flag, header)
    if stored is None and isinstance(header.opened, TiffPage):
        raise UnusableFileError(DAMAGED)
    return stored or _by_pillow(header.opened)


def _as_shown(stored: Stored, flag: str, orientation: int) -> Stored:
    values = stored.values[..., None] if stored.values.ndim == 2 else stored.values
    bands = values.shape[2]
    if flag == 'unchanged':
        values = values[..., [2, 1, 0, *range(3, bands)]] if bands > 2 else values
    else:
        values = values[..., 2::-1] if bands > 2 else values[..., 0]
        if not flag.endswith('ignore_orientation'):
            values = _upright(values, orientation)
    return stored._replace(values=values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    values = values.swapaxes(0, 1) if orientation > 4 else values
    values = values[:, ::-1] if orientation in (2, 3, 6, 7) else values
    return values[::-1] if orientation in (3, 4, 7, 8) else values


def _by_opencv(content: bytes, flag: str, header: Header) -> Stored | None:
    deep = cv2.IMREAD_ANYDEPTH if header.format in ('PNG', 'PPM') else 0  # the values as they are stored
    try:
        with quiet_decoders():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), imread_flags[flag] | deep)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        return None
    if image is None:
        return None
    maximum = pnm_maximum(header.opened) if header.format == 'PPM' else None
    return Stored(image, maximum or {'uint8': 255, 'uint16': 65535}.get(str(image.dtype)))


def _by_pillow(image: Image.Image) -> Stored:
    """Decode with Pillow a file that OpenCV cannot decode, or raise the reason why Pillow cannot either."""
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:
        pass_on_of_system(error)
        raise UnusableFileError(f'{DAMAGED} ({explain(error)})') from error
    if image.mode[0] in 'IF':
        values = np.array(image)
        return Stored(values, 65535 if values.dtype == np.uint16 else None)
    return Stored(np.array(image.convert('RGB'))[..., ::-1], 255)


def _by_mmcv(content: bytes, flag: str, backend: str, header: Header) -> np.ndarray:
    deep = header.bits > 8 or getattr(header.opened, 'mode', 'L')[0] in 'IF'
    if deep and backend == 'pillow' and flag != 'unchanged':
        raise UnusableFileError(
            "has more than 8 bits a value, which imdecode_backend='pillow' would clip: use imdecode_backend='cv2'"
        )
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except Exception as error:
        pass_on_of_system(error)
        raise UnusableFileError(f'cannot be decoded: {explain(error)}') from error
    if image is None:
        raise UnusableFileError(DAMAGED)
    return image
