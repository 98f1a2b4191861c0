"""Image files as arrays: what can be used comes out alike, and what cannot says why."""

import io
import logging
import mmap
import os
import re
import stat
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.logging import MMLogger, print_log
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .tiff_header import TiffHeader, read_tiff_header, too_many_pixels

IMAGE_EXTENSIONS = (
    *('.apng', '.avif', '.avifs', '.bmp', '.dib', '.gif', '.j2c', '.j2k', '.jfif', '.jp2', '.jpc', '.jpe', '.jpeg'),
    *('.jpf', '.jpg', '.jpx', '.mpo', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.ras', '.sr', '.tif', '.tiff', '.webp'),
)
"""Ends of the names of image files: the formats that OpenCV decodes to 8 bits, and whose header Pillow reads.

Formats of floating-point numbers (EXR, HDR, PFM) are not among them: nothing says which of their values is white.
"""

ONE_CHANNEL = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
"""Pillow's names of the modes with one channel of integers; a palette counts by its indices."""

_CV2_FLAGS = {'color': cv2.IMREAD_COLOR, 'grayscale': cv2.IMREAD_GRAYSCALE}
_DEEP_FORMATS = ('PNG', 'TIFF', 'PPM')  # whose values OpenCV gives as they are stored; of others it knows the range
_FEW_LEVELS = 64
_WARNED_RUN = mmap.mmap(-1, 8)  # shared with forked workers: the run that has had the warning of few levels
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


def decode_image(
    content: bytes,
    flag: str = 'color',
    backend: str = 'cv2',
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] | None = None,
    name: str | Path = 'an image',
) -> np.ndarray:
    """Decode an image file: by default BGR uint8 (H, W, 3), whatever the file holds.

    One channel becomes three equal ones, a palette its colours, CMYK RGB. Of 16 bits the upper eight count, unless
    ``value_range`` or ``percentiles`` say which values are black and white; if few grey levels are left of more, that
    is warned of once a run. Transparency and bands after the third are dropped. The image is turned upright by its
    EXIF tag (in an AVIF file it is not). Of an animation or several pages, the first is taken.

    Args:
        content: The file.
        flag, backend: As in :func:`mmcv.imfrombytes`. With 'unchanged' values stay as they are stored.
        value_range: The stored values that become 0 and 255, in files of more than 8 bits a value; those between them
            become linear. It is needed for signed, 32-bit and floating-point values.
        percentiles: The same as percentiles of the image's own values, as (1, 99).
        name: The file, for warnings.

    Raises:
        UnusableFileError: If the file is empty, cut off, damaged where a decoder notices (JPEG has no checksum), of a
            format that is not known, of values without an 8-bit form, or has more pixels than :func:`open_image`
            allows. The message is the end of a sentence that begins with the name of the file.
    """
    tiff = read_tiff_header(content)
    header = None
    try:
        header = open_image(content)
    except UnusableFileError:
        if tiff is None:
            raise
        _check_pixels(tiff)
    kind = 'TIFF' if tiff is not None else header.format
    stretch = value_range or percentiles
    if tiff is not None and tiff.planar and tiff.bands > 1 and tiff.bits > 8 and backend in (None, 'cv2'):
        raise UnusableFileError(
            f'is a TIFF of {tiff.bands} bands of {tiff.bits} bits, one stored after the other, which OpenCV mixes up: '
            'store the values of a pixel together (gdal_translate -co INTERLEAVE=PIXEL)'
        )
    with header or nullcontext():
        if backend not in (None, 'cv2') or (flag not in _CV2_FLAGS and not stretch):
            return _by_mmcv(content, flag, backend, header)
        cv2_flag = _CV2_FLAGS.get(flag, cv2.IMREAD_UNCHANGED) | (cv2.IMREAD_ANYDEPTH if kind in _DEEP_FORMATS else 0)
        image = _by_opencv(content, cv2_flag)
        if image is None and tiff is not None and tiff.bands == 1:  # 32 bits and more, which are not made three
            image = _by_opencv(content, cv2.IMREAD_UNCHANGED)
            image = image if image is None or flag == 'grayscale' else np.repeat(image[..., None], 3, 2)
        maximum = _pnm_maximum(header)
        if image is None:
            image, maximum = _by_pillow(header, tiff, flag), None
        white_is_zero = tiff is not None and tiff.photometric == 0 and image.dtype == np.uint16
        if image.dtype == np.uint8 and maximum is None:
            return image
        if not stretch and image.dtype == np.uint16 and maximum is None:
            image = 65535 - image if white_is_zero else image
            _warn_of_few_levels(image, name)
            return (image >> 8).astype(np.uint8)
        if not stretch and maximum is None:
            raise UnusableFileError(
                f'has {image.dtype} values, {image.min()} to {image.max()}, and nothing says which is white: give '
                'LoadImageFromFile value_range=(black, white), or percentiles=(1, 99)'
            )
        low, high = value_range or ((0, maximum) if maximum is not None and not percentiles else (None, None))
        if low is None:
            low, high = np.percentile(image[np.isfinite(image)], percentiles) if np.isfinite(image).any() else (0, 1)
        return _stretched(image, float(low), float(high), white_is_zero)


def check_stretch(value_range: Sequence[float] | None, percentiles: Sequence[float] | None, backend: str) -> None:
    """ValueError unless these are such as :func:`decode_image` takes."""
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


def _by_mmcv(content: bytes, flag: str, backend: str | None, header: Image.Image | None) -> np.ndarray:
    if backend == 'pillow' and header is not None and header.mode[0] in 'IF' and flag != 'unchanged':
        raise UnusableFileError(
            "has more than 8 bits a value, which imdecode_backend='pillow' would clip: use imdecode_backend='cv2'"
        )
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except Exception as error:  # decoders raise whatever they like on a damaged file
        _pass_on_of_system(error)
        raise UnusableFileError(f'cannot be decoded: {explain(error)}') from error
    if image is None:
        raise UnusableFileError('cannot be decoded: it is cut off or damaged')
    return image


def _by_opencv(content: bytes, flag: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        return None


def _by_pillow(header: Image.Image | None, tiff: TiffHeader | None, flag: str) -> np.ndarray:
    """What OpenCV does not decode: BGR uint8 or uint16 (H, W, 3), or the reason why Pillow does not, either."""
    if header is None:
        raise UnusableFileError(f'cannot be decoded: it is {tiff}, or damaged')
    try:
        header.load()
    except Exception as error:
        _pass_on_of_system(error)
        raise UnusableFileError(f'cannot be decoded: it is cut off or damaged ({explain(error)})') from error
    header = ImageOps.exif_transpose(header)
    if header.mode[0] in 'IF':
        image = np.array(header)
        image = (
            image.astype(np.uint16) if image.dtype.kind in 'iu' and 0 <= image.min() <= image.max() < 65536 else image
        )
        return image if flag == 'grayscale' else np.repeat(image[..., None], 3, 2)
    if flag == 'grayscale':
        return np.array(header.convert('L'))
    return np.ascontiguousarray(np.array(header.convert('RGB'))[..., ::-1])


def _pnm_maximum(header: Image.Image | None) -> int | None:
    """The value of white that a PGM or PPM file states, where it is not all bits set."""
    arguments = header.tile[0][-1] if header is not None and header.format == 'PPM' and header.tile else None
    maximum = arguments[1] if isinstance(arguments, tuple) and isinstance(arguments[1], int) else 255
    return None if maximum in (255, 65535) else maximum


def _stretched(image: np.ndarray, low: float, high: float, white_is_zero: bool) -> np.ndarray:
    kind = np.float32 if image.dtype.itemsize <= 2 else np.float64
    scaled = (image.astype(kind) - kind(low)) * kind(255 / (high - low) if high > low else 0)
    scaled = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255).round().astype(np.uint8)
    return 255 - scaled if white_is_zero else scaled


def _warn_of_few_levels(image: np.ndarray, name: str | Path) -> None:
    """Warn, once a run, of an image whose content lies in the lower byte, which is dropped."""
    run = zlib.crc32(MMLogger.get_current_instance().instance_name.encode()) + 1
    if int.from_bytes(_WARNED_RUN[:8], 'little') == run:
        return
    counts = np.bincount(image.ravel(), minlength=65536)
    levels, values = np.count_nonzero(counts.reshape(256, 256).sum(1)), np.count_nonzero(counts)
    if levels < _FEW_LEVELS and values > levels:
        _WARNED_RUN[:8] = run.to_bytes(8, 'little')
        print_log(
            f'{printable(name)} has 16 bits a value, of which the upper 8 count: its {values:,} different values, '
            f'{image.min()} to {image.max()}, become {levels} levels. Give LoadImageFromFile value_range=(black, white)'
            ', as (0, 4095) for 12 bits, or percentiles=(1, 99). Other images are not warned of.',
            logger='current',
            level=logging.WARNING,
        )


def decode_labels(content: bytes) -> np.ndarray:
    """Decode a label map: integers (H, W), the values of its one channel; of a palette the indices, not the colours.

    The values are those stored, at any number of bits, also where white is stored as 0. It is not turned by an EXIF
    tag: its pixels are those of the image as it is shown, upright.

    Raises:
        UnusableFileError: If the file is empty, cut off or damaged, or has too many pixels for :func:`open_image`.
        ValueError: If it is no label map: has several channels, or is a JPEG, whose values are not those written.
            Both messages are the end of a sentence that begins with the name of the file.
    """
    tiff = read_tiff_header(content)
    try:
        opened = open_image(content)
    except UnusableFileError:
        if tiff is None:
            raise
        return _tiff_labels(content, tiff)
    with opened as image:
        kind, mode, arguments = image.format, image.mode, image.tile[0][-1] if image.tile else None
        maximum = _pnm_maximum(image)
        try:
            labels = np.array(image)
        except Exception as error:
            _pass_on_of_system(error)
            raise UnusableFileError(f'cannot be decoded: {explain(error)}') from error
    if kind in ('JPEG', 'MPO'):
        raise ValueError('is a JPEG, which changes ids as it compresses: store label maps as PNG')
    if mode not in ONE_CHANNEL:
        raise ValueError(f'must have one channel of ids, but has the channels {mode}: an image of colours?')
    if kind == 'JPEG2000':
        labels = _unshifted(labels, content)
    labels = labels.astype(np.uint8) if labels.dtype == bool else labels
    if maximum is not None:
        return np.rint(labels * (maximum / (255 if maximum < 256 else 65535))).astype(np.uint16)
    signed = tiff is not None and tiff.sample_format == 2 and labels.dtype == np.uint8
    return labels.view(np.int8) if signed else _as_stored(labels, arguments)


def _as_stored(labels: np.ndarray, arguments: object) -> np.ndarray:
    """Values before Pillow scaled them to 8 or 16 bits or inverted them, as the arguments of its decoder say."""
    raw, *others = arguments if isinstance(arguments, tuple) else (arguments,)
    if raw == '1;I':
        return 1 - labels
    match = re.fullmatch(r'L;([24])?(I?)R?', str(raw))
    if match is None:
        return labels
    largest = (1 << int(match[1] or 8)) - 1
    labels = labels // np.uint8(255 // largest)
    return np.uint8(largest) - labels if match[2] else labels


def _unshifted(labels: np.ndarray, content: bytes) -> np.ndarray:
    """Values of a JPEG 2000 file, which Pillow shifts up to 8 or 16 bits."""
    start = content.find(b'\xff\x51')  # the marker of the sizes, 40 bytes before the number of bits less one
    bits = (content[start + 40] & 0x7F) + 1
    return labels >> max(8 * labels.dtype.itemsize - bits, 0)


def _tiff_labels(content: bytes, tiff: TiffHeader) -> np.ndarray:
    """The values of a TIFF that Pillow does not know: of 10 or 14 bits, which OpenCV shifts up to 16."""
    if tiff.bands != 1:
        raise ValueError(f'must have one channel of ids, but has {tiff.bands} bands: an image of colours?')
    if tiff.sample_format == 3:
        raise ValueError('must have class ids, but has floating-point numbers')
    _check_pixels(tiff)
    labels = _by_opencv(content, cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2:
        raise UnusableFileError(f'cannot be decoded: it is {tiff}, or damaged')
    return labels >> (8 * labels.dtype.itemsize - tiff.bits) if labels.dtype.kind == 'u' else labels


def _check_pixels(tiff: TiffHeader) -> None:
    if too_many_pixels(tiff):
        raise UnusableFileError(
            f'has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are decoded: shrink it or cut it into '
            'tiles'
        )


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
        _pass_on_of_system(error)
        raise UnusableFileError(f'has a damaged header: {explain(error)}') from error


def turns_on_its_side(path: str | Path) -> bool:
    """Whether the EXIF tag of an image file turns it by a quarter, so that height and width change places."""
    with Image.open(path) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) > 4


def _pass_on_of_system(error: Exception) -> None:
    """Raise an error of a decoder again that is the process' or the system's, and says nothing of the file."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise error


def explain(error: Exception) -> str:
    """What an error says, on one line; the name of its class if it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f'cannot be read: {error.strerror}'
    return ' '.join(str(error).split()) or type(error).__name__
