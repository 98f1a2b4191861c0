"""The stored values of deep images, at any number of bits and bands: TIFF, JPEG 2000, AVIF and 12-bit JPEG."""

from functools import partial
from typing import NamedTuple

import imagecodecs
import numpy as np
from tifffile import TiffFileError

from .file_errors import DAMAGED, UnusableFileError, explain, pass_on_of_system
from .image_headers import PALETTE, Header
from .quiet_decoders import quiet_decoders

_WHITE_IS_ZERO, _INKS, _YCBCR = 0, 5, 6
_OTHER_COLOURS = (8, 9, 10, 32844, 32845)  # L*a*b* and logarithms of luminance, which libtiff turns into RGB
JPEG_IN_TIFF = (6, 7)
_DECODERS = {
    'AVIF': partial(imagecodecs.avif_decode, index=0),
    'JPEG2000': imagecodecs.jpeg2k_decode,
    'JPEG': imagecodecs.jpeg_decode,
}


class Stored(NamedTuple):
    """Values (H, W) or (H, W, B), and the white value if the file has one.

    ``inverted``: whether white and black are swapped.
    """

    values: np.ndarray
    white: int | None
    inverted: bool = False


def holds_values(header: Header) -> bool:
    """Whether :func:`stored_values` reads the file; others have 8 bits, or OpenCV reads their stored values."""
    if header.format != 'TIFF':
        return header.format in _DECODERS and header.bits != 8
    kind = header.opened.photometric
    jpeg = kind == _YCBCR and header.opened.compression == 7  # decoded to RGB
    return jpeg or kind not in (_YCBCR, *_OTHER_COLOURS)


def stored_values(content: bytes, header: Header, indices: bool = False) -> Stored:
    """Decode a file for which :func:`holds_values` is true, in its order of bands: RGB for colours.

    Args:
        content: The file.
        header: Its header.
        indices: Keep indices of a palette, and inks, unchanged.

    Raises:
        UnusableFileError: If the file is damaged, or of an unknown kind.
    """
    try:
        with quiet_decoders():
            if header.format == 'TIFF':
                return _tiff(header, indices)
            values = _DECODERS[header.format](content)
            return Stored(values, _white(values, header.bits))
    except UnusableFileError:
        raise
    except Exception as error:  # decoders raise whatever they like on a damaged file
        pass_on_of_system(error)
        reason = explain(error)
        damaged = isinstance(error, (TiffFileError, RuntimeError)) or reason.startswith('failed to read')
        damaged = damaged and not isinstance(error, NotImplementedError)
        raise UnusableFileError(f'{DAMAGED} ({reason})' if damaged else f'cannot be decoded: {reason}') from error


def _tiff(header: Header, indices: bool) -> Stored:
    page = header.opened
    planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # (planes, H, W, bands)
    values = planes.transpose(1, 2, 0, 3).reshape(*planes.shape[1:3], -1)
    if values.dtype.kind == 'c':
        raise UnusableFileError('has complex numbers, which have no order from black to white')
    values = values.astype(np.uint8) if values.dtype == bool else values
    white = _white(values, header.bits)
    if page.photometric == PALETTE and not indices:
        colours = page.colormap.T
        return Stored((colours >> (8 if colours.max() > 255 else 0)).astype(np.uint8)[values[..., 0]], 255)
    if page.photometric == _INKS and white and values.shape[2] > 3 and not indices:
        light = white - values[..., :4].astype(np.float64)
        values = np.rint(light[..., :3] * light[..., 3:] / white).astype(values.dtype)
    return Stored(values, white, page.photometric == _WHITE_IS_ZERO)


def _white(values: np.ndarray, bits: int) -> int | None:
    return (1 << bits) - 1 if values.dtype.kind == 'u' and bits <= 16 else None
