"""Reading label maps from image files: the stored ids, without a decoder's conversions."""

import re

import numpy as np
from PIL import Image

from .file_errors import DAMAGED, UnusableFileError, explain, pass_on_of_system
from .image_headers import pnm_maximum, read_header
from .stored_values import JPEG_IN_TIFF, stored_values

ONE_CHANNEL = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
"""Pillow's names of the modes with one channel of integers; a palette counts by its indices."""


def decode_labels(content: bytes) -> np.ndarray:
    """Decode a label map: integers (H, W), the values of its one channel, or the indices of a palette.

    The values are as stored, at any number of bits, also if white is stored as 0. An EXIF tag does not turn it: its
    pixels fit the upright image.

    Raises:
        UnusableFileError: If the file is empty, cut off or damaged, or has more pixels than :func:`open_image` allows.
        ValueError: If it is not a label map: it has several channels, or is a JPEG, which changes values. Both messages
            complete a sentence that begins with the name of the file.
    """
    header = read_header(content)
    image = header.opened
    if header.format in ('JPEG', 'MPO') or getattr(image, 'compression', None) in JPEG_IN_TIFF:
        raise ValueError('is a JPEG, which changes ids as it compresses: store label maps as PNG')
    of_pillow = isinstance(image, Image.Image) and header.format != 'JPEG2000'
    try:
        labels = _ids(image) if of_pillow else stored_values(content, header, indices=True).values
    except UnusableFileError:
        raise
    except Exception as error:
        pass_on_of_system(error)
        raise UnusableFileError(f'{DAMAGED} ({explain(error)})') from error
    if of_pillow and image.mode not in ONE_CHANNEL:
        raise ValueError(f'must have one channel of ids, but has the channels {image.mode}: is it a colour image?')
    labels = labels.reshape(*labels.shape[:2], -1)
    if labels.shape[2] > 1:
        raise ValueError(f'must have one channel of ids, but has {labels.shape[2]} bands: is it a colour image?')
    if labels.dtype.kind not in 'iu':
        raise ValueError('must have one channel of ids, but has floating-point numbers')
    return labels[..., 0]


def _ids(image: Image.Image) -> np.ndarray:
    """Undo Pillow's scaling to 8 or 16 bits and its inversion, by the arguments of its decoder."""
    maximum, arguments = pnm_maximum(image), image.tile[0][-1] if image.tile else None  # loading clears them
    labels = np.array(image)
    labels = labels.astype(np.uint8) if labels.dtype == bool else labels
    if maximum is not None:
        return np.rint(labels * (maximum / (255 if maximum < 256 else 65535))).astype(np.uint16)
    raw = str(arguments[0] if isinstance(arguments, tuple) else arguments)
    if raw == '1;I':
        return 1 - labels
    match = re.fullmatch(r'L;([24])?(I?)R?', raw)
    if match is None:
        return labels
    largest = (1 << int(match[1] or 8)) - 1
    labels = labels // np.uint8(255 // largest)
    return np.uint8(largest) - labels if match[2] else labels
