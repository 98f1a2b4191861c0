"""Image files as arrays: what can be used comes out alike, and what cannot says why."""

import io
import os
import stat
from pathlib import Path

import mmcv
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

IMAGE_EXTENSIONS = (
    *('.apng', '.avif', '.avifs', '.bmp', '.dib', '.gif', '.j2c', '.j2k', '.jfif', '.jp2', '.jpc', '.jpe', '.jpeg'),
    *('.jpf', '.jpg', '.jpx', '.mpo', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.ras', '.sr', '.tif', '.tiff', '.webp'),
)
"""Ends of the names of image files: the formats that OpenCV decodes to 8 bits, and whose header Pillow reads.

Formats of floating-point numbers (EXR, HDR, PFM) are not among them: nothing says which of their values is white.
"""

ONE_CHANNEL = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
"""Pillow's names of the modes with one channel of integers; a palette counts by its indices."""

_LONGEST_SHOWN = 400


class UnusableFileError(ValueError):
    """A file that is no usable image or label map, or cannot be read. The message is about that one file."""


def printable(path: str | Path) -> str:
    """A path for messages, in quotation marks; bytes that are no UTF-8 are written as escapes.

    Of one that is longer than paths are, as a line of something that is no list, the beginning and the end are shown.
    """
    text = str(path)
    if len(text) <= _LONGEST_SHOWN:
        return repr(text)
    half = _LONGEST_SHOWN // 4
    return f'{text[:half]!r}...{text[-half:]!r} ({len(text):,} characters)'


def require_regular(path: str | Path) -> None:
    """Refuse what would be read for ever, or waited for: pipes, devices and sockets.

    Raises:
        UnusableFileError: If ``path`` is one of these; the message is the end of a sentence that begins with its name.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # no local file: whoever reads it says what is wrong
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnusableFileError('is no regular file, but a pipe, device or socket')


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as BGR uint8 (H, W, 3), as :func:`decode_image` does.

    Raises:
        FileNotFoundError: If there is no such file.
        UnusableFileError: If it cannot be read or decoded.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no image file at {path}')
    try:
        return decode_image(Path(path).read_bytes())
    except (OSError, UnusableFileError) as error:
        raise UnusableFileError(f'{printable(path)} {explain(error)}') from error


def decode_image(content: bytes, flag: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Decode an image file: by default BGR uint8 (H, W, 3), whatever the file holds.

    One channel becomes three equal ones, 16 bits their upper eight, a palette its colours, CMYK RGB. Transparency is
    dropped: the colours beneath it count. The image is turned upright by its EXIF tag (in an AVIF file it is not). Of
    an animation or several pages, the first is taken.

    Args:
        content: The file.
        flag, backend: As in :func:`mmcv.imfrombytes`.

    Raises:
        UnusableFileError: If the file is empty, cut off, damaged where a decoder notices (JPEG has no checksum), of a
            format that is not known, of floating-point numbers, or has more pixels than :func:`open_image` allows.
            The message is the end of a sentence that begins with the name of the file.
    """
    open_image(content).close()
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except Exception as error:  # decoders raise whatever they like on a damaged file
        raise UnusableFileError(f'cannot be decoded: {explain(error)}') from error
    if image is None:
        raise UnusableFileError('cannot be decoded: it is cut off, damaged, or of values that have no 8-bit form')
    return image


def decode_labels(content: bytes) -> np.ndarray:
    """Decode a label map: integers (H, W), the values of its one channel; of a palette the indices, not the colours.

    It is not turned by an EXIF tag: its pixels are those of the image as it is shown, upright.

    Raises:
        UnusableFileError: If the file is empty, cut off or damaged, or has too many pixels for :func:`open_image`.
        ValueError: If it is no label map: has several channels, or is a JPEG, whose values are not those written.
            Both messages are the end of a sentence that begins with the name of the file.
    """
    with open_image(content) as image:
        kind, mode = image.format, image.mode
        try:
            labels = np.array(image)
        except Exception as error:
            raise UnusableFileError(f'cannot be decoded: {explain(error)}') from error
    if kind in ('JPEG', 'MPO'):
        raise ValueError('is a JPEG, which changes ids as it compresses: store label maps as PNG')
    if mode not in ONE_CHANNEL:
        raise ValueError(f'must have one channel of class ids, but has the channels {mode}: an image of colours?')
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def open_image(content: bytes) -> Image.Image:
    """Open an image file with Pillow, which reads its header alone: a fraction of a millisecond.

    A small file can ask for gigabytes: the number of pixels is limited before they are decoded, to Pillow's own limit,
    twice :data:`PIL.Image.MAX_IMAGE_PIXELS` (by default 178,956,970: half a gigabyte).

    Raises:
        UnusableFileError: If the file is empty, of a format that is not known, or has too many pixels. The message is
            the end of a sentence that begins with the name of the file.
    """
    if not content:
        raise UnusableFileError('is empty: a file of 0 bytes')
    try:
        return Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise UnusableFileError(
            f'has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are decoded: shrink it or cut it into '
            'tiles'
        ) from error
    except UnidentifiedImageError as error:
        raise UnusableFileError(
            'is no image of a known format, or its beginning is damaged (floating-point formats are not read)'
        ) from error
    except Exception as error:  # decoders raise whatever they like on a damaged file
        raise UnusableFileError(f'has a damaged header: {explain(error)}') from error


def turns_on_its_side(path: str | Path) -> bool:
    """Whether the EXIF tag of an image file turns it by a quarter, so that height and width change places."""
    with Image.open(path) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) > 4


def explain(error: Exception) -> str:
    """What an error says, on one line; the name of its class if it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f'cannot be read: {error.strerror}'
    return ' '.join(str(error).split()) or type(error).__name__
