"""What the header of a TIFF file says, also of files that Pillow does not know."""

import io
from typing import NamedTuple

from PIL import Image, TiffImagePlugin

_SAMPLE_FORMATS = {1: 'unsigned integers', 2: 'signed integers', 3: 'floating-point numbers'}


class TiffHeader(NamedTuple):
    """The first image of a TIFF file."""

    width: int
    height: int
    bands: int
    bits: int
    sample_format: int
    photometric: int
    planar: bool

    def __str__(self) -> str:
        bands = 'one band' if self.bands == 1 else f'{self.bands} bands'
        numbers = _SAMPLE_FORMATS.get(self.sample_format, 'numbers of an unknown kind')
        return f'a TIFF of {bands}, {numbers} of {self.bits} bits, which neither OpenCV nor Pillow decodes'


def read_tiff_header(content: bytes) -> TiffHeader | None:
    """The header of a TIFF file; None for other files, and for one that is damaged there."""
    if content[:4] not in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        return None
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if 43 in content[2:4] else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        bits = tags.get(258, (1,))
        formats = tags.get(339, (1,))
        return TiffHeader(
            width=int(tags[256]),
            height=int(tags[257]),
            bands=int(tags.get(277, 1)),
            bits=int(bits[0]),
            sample_format=int(formats[0]),
            photometric=int(tags.get(262, 1)),
            planar=tags.get(284, 1) == 2,
        )
    except MemoryError:
        raise
    except Exception:  # Pillow raises whatever it likes on a damaged file: whoever decodes it says so
        return None


def too_many_pixels(header: TiffHeader) -> bool:
    """Whether the image has more pixels than Pillow's limit allows."""
    limit = Image.MAX_IMAGE_PIXELS
    return limit is not None and header.width * header.height > 2 * limit
