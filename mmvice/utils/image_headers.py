"""The header of an image file, read before its pixels: format, size, depth and orientation."""

import io
import re
from typing import NamedTuple

from PIL import ExifTags, Image, UnidentifiedImageError
from tifffile import TiffFile, TiffPage

from .file_errors import DAMAGED, UnusableFileError, explain, pass_on_of_system
from .quiet_decoders import quiet_decoders

_NO_PICTURES = {
    *('BUFR', 'GRIB', 'HDF5', 'FITS', 'MCIDAS', 'SPIDER'),  # measurements, of which nothing says what is white
    *('EPS', 'WMF', 'MPEG'),  # drawings and films
    *('GBR', 'IMT', 'IPTC', 'XVTHUMB'),  # parts of other programs' files
}
Image.init()
_FORMATS = tuple(name for name in Image.ID if name not in _NO_PICTURES)

_ENDS = {end for end, name in Image.registered_extensions().items() if name in (*_FORMATS, 'MPO')}
IMAGE_EXTENSIONS = (*sorted(_ENDS - {'.pfm'} | {'.sr'}),)
"""Ends of the names of image files: those that Pillow knows for the formats that are decoded, and .sr (Sun).

Formats of floating-point numbers (EXR, HDR, PFM) are not among them: nothing says which of their values is white.
"""

PALETTE = 3
_TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_JPEG_OF_12_BITS = re.compile(rb'\xff[\xc0-\xc2]\0.\x0c(..)(..)', re.DOTALL)  # the start of a frame


class Header(NamedTuple):
    """The header of the first image of a file.

    ``bits`` is the depth of a stored value, for formats that OpenCV does not read with all their bits. ``opened`` is
    Pillow's image, or tifffile's page, or None for a JPEG of 12 bits.
    """

    format: str
    height: int
    width: int
    bits: int
    opened: Image.Image | TiffPage | None

    @property
    def orientation(self) -> int:
        """Orientation as a value of the EXIF tag; above 4, height and width are swapped."""
        if isinstance(self.opened, TiffPage):
            tag = self.opened.tags.get(ExifTags.Base.Orientation)
            return tag.value if tag is not None and tag.value in range(1, 9) else 1
        if self.opened is None or self.format == 'AVIF':
            return 1
        return self.opened.getexif().get(ExifTags.Base.Orientation, 1)


def read_header(content: bytes) -> Header:
    """The header of an image file.

    Raises:
        UnusableFileError: See :func:`open_image`.
    """
    if content[:4] in _TIFF_STARTS:
        page = _tiff_page(content)
        bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
        bits = 8 if page.photometric == PALETTE else bits  # of its colours
        header = Header('TIFF', page.imagelength, page.imagewidth, bits, page)
        limit = Image.MAX_IMAGE_PIXELS
        # all bands are decoded: as many bytes as three of 32 bits have at most
        if limit is not None and max(header.height * header.width, page.nbytes // 12) > 2 * limit:
            raise _too_many_pixels()
        # a decoder sees where plain values lack, but that of a JPEG fills them up
        least = (0 if page.compression == 1 else length for length in page.databytecounts)
        if any(start + length > len(content) for start, length in zip(page.dataoffsets, least)):
            raise UnusableFileError(DAMAGED)
        return header
    try:
        image = open_image(content)
    except UnusableFileError:
        frame = _JPEG_OF_12_BITS.search(content, 0, 1 << 17) if content[:2] == b'\xff\xd8' else None
        if frame is None:
            raise
        height, width = (int.from_bytes(length, 'big') for length in frame.groups())
        if Image.MAX_IMAGE_PIXELS is not None and height * width > 2 * Image.MAX_IMAGE_PIXELS:
            raise _too_many_pixels() from None
        if content.find(b'\xff\xd9', frame.end()) < 0:
            raise UnusableFileError(DAMAGED) from None
        return Header('JPEG', height, width, 12, None)
    return Header(image.format, image.height, image.width, _bits(image.format, content), image)


def _tiff_page(content: bytes) -> TiffPage:
    try:
        with quiet_decoders():
            page = TiffFile(io.BytesIO(content)).pages[0]
        if not page.shape:
            raise ValueError('it has no pixels')
        return page
    except Exception as error:  # decoders raise whatever they like on a damaged file
        pass_on_of_system(error)
        raise UnusableFileError(f'{DAMAGED} ({explain(error)})') from error


def _bits(kind: str, content: bytes) -> int:
    if kind == 'JPEG2000':  # of each channel's three bytes, the first is sign and bits less one
        sizes = content.find(b'\xff\x4f\xff\x51') + 2
        channels = int.from_bytes(content[sizes + 38 : sizes + 40], 'big')
        depths = content[sizes + 40 : sizes + 40 + 3 * channels : 3]
        return max(((depth & 0x7F) + 1 + (depth >> 7) for depth in depths), default=8)
    if kind == 'AVIF':
        flags = content[content.find(b'av1C') + 6]
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    return 8 * content[3] if kind == 'SGI' else 8


def _too_many_pixels() -> UnusableFileError:
    most = f'{2 * Image.MAX_IMAGE_PIXELS:,} pixels'
    return UnusableFileError(f'has more than {most}, the most that are decoded: shrink it or cut it into tiles')


def open_image(content: bytes) -> Image.Image:
    """Open an image file with Pillow, which only reads its header, in a fraction of a millisecond.

    A small file can need gigabytes when decoded. The number of pixels is therefore limited to Pillow's own limit, twice
    :data:`PIL.Image.MAX_IMAGE_PIXELS` (by default 178,956,970: half a gigabyte).

    Raises:
        UnusableFileError: If the file is empty, has an unknown format or too many pixels. The message completes a
            sentence that begins with the name of the file.
    """
    if not content:
        raise UnusableFileError('is empty: a file of 0 bytes')
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise UnusableFileError(
            'is not an image of a known format and depth, or its beginning is damaged '
            '(floating-point formats are not read)'
        ) from error
    except Exception as error:  # decoders raise whatever they like on a damaged file
        pass_on_of_system(error)
        raise UnusableFileError(f'has a damaged header: {explain(error)}') from error
    if image.format == 'PPM' and image.mode == 'F':
        raise UnusableFileError('is a PFM file, and floating-point formats are not read: convert it to TIFF')
    return image


def pnm_maximum(image: Image.Image) -> int | None:
    """The white value that a PGM or PPM file states, if it is not all bits set."""
    arguments = image.tile[0][-1] if image.format == 'PPM' and image.tile else None
    maximum = arguments[1] if isinstance(arguments, tuple) and isinstance(arguments[1], int) else 255
    return None if maximum in (255, 65535) else maximum
