"""Which formats are decoded and looked for, and what headers say."""

import numpy as np
import pytest
import tifffile
from awkward_files import encode, scene, tiff
from PIL import Image

from mmvice.datasets import UnlabeledImageDataset
from mmvice.utils import reading
from mmvice.utils.conversion import recode_labels
from mmvice.utils.image_files import IMAGE_EXTENSIONS, UnusableFileError, decode_image, decode_labels
from mmvice.utils.image_headers import read_header
from mmvice.utils.reading import read_image_header

ENDS = {
    'TGA': 'tga',
    'PCX': 'pcx',
    'SGI': 'rgb',
    'DDS': 'dds',
    'QOI': 'qoi',
    'DIB': 'dib',
    'BMP': 'bmp',
    'PNG': 'apng',
    'TIFF': 'tif',
    'PPM': 'pnm',
    'ICO': 'ico',
    'ICNS': 'icns',
    'JPEG2000': 'jpx',
    'AVIF': 'avifs',
}
SQUARE = scene(64, 64)


def test_every_format_that_is_decoded_is_looked_for(tmp_path):
    for kind, end in ENDS.items():
        options = dict(sizes=[(64, 64)]) if kind == 'ICO' else {}
        (tmp_path / f'{kind}.{end.upper()}').write_bytes(encode(SQUARE, kind, **options))
    images = UnlabeledImageDataset(str(tmp_path), pipeline=[dict(type='LoadImageFromFile')])
    assert len(images) == len(ENDS)
    for image in map(images.__getitem__, range(len(images))):
        lossy = 8 if 'AVIF' in image['img_path'] else 0
        decoded = image['img'][:: len(image['img']) // 64, :: len(image['img']) // 64]  # icons of a Mac are enlarged
        assert np.abs(decoded.astype(int) - SQUARE).mean() <= (30 if 'ICNS' in image['img_path'] else lossy)


def test_what_is_decoded_and_what_is_looked_for_are_the_same_formats():
    decoded = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind != 'PPM'}
    for end in decoded - set(IMAGE_EXTENSIONS):
        assert end in '.bufr .grib .h5 .hdf .fit .fits .ps .eps .wmf .emf .mpg .mpeg .gbr .iim'.split()
    for content in (
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n',
        b'\x89HDF\r\n\x1a\n',
        b'GRIB\0\0\0\1',
        b'Pf\n',
    ):
        with pytest.raises(UnusableFileError, match='is not an image of a known format|damaged header'):
            decode_image(content.ljust(4000, b'\0'))
    pfm = encode(Image.fromarray(SQUARE[..., 0].astype(np.float32)), 'PPM')
    for decode in (decode_image, decode_labels):
        with pytest.raises(UnusableFileError, match='is a PFM file, and floating-point formats are not read'):
            decode(pfm)


@pytest.mark.parametrize('kind', ['TGA', 'PCX', 'SGI', 'GIF', 'WEBP'])
def test_ids_of_other_formats_are_those_stored(kind):
    ids = np.arange(64, dtype=np.uint8).reshape(8, 8)
    if kind == 'WEBP':
        with pytest.raises(ValueError, match='has the channels RGB'):
            decode_labels(encode(ids, kind, lossless=True))
    else:
        np.testing.assert_array_equal(decode_labels(encode(ids, kind)), ids)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_deep_tiff_is_turned_as_one_of_8_bits(orientation, tmp_path):
    for name, values in dict(deep=SQUARE[:40] * np.uint16(257), flat=SQUARE[:40]).items():
        options = dict(photometric='rgb', extratags=[(274, 3, 1, orientation, True)])
        tifffile.imwrite(tmp_path / f'{name}.tif', values[..., ::-1], **options)
    exif = Image.Exif()
    exif[274] = orientation
    expected = decode_image(encode(SQUARE[:40], 'PNG', exif=exif))
    for name in ('deep', 'flat'):
        content = (tmp_path / f'{name}.tif').read_bytes()
        np.testing.assert_array_equal(decode_image(content), expected)
        assert (read_image_header(tmp_path / f'{name}.tif').orientation > 4) == (orientation > 4)
        np.testing.assert_array_equal(decode_image(content, 'color_ignore_orientation'), SQUARE[:40])


@pytest.mark.parametrize('bands', [1, 3, 5])
def test_a_header_says_the_size_of_files_that_pillow_does_not_know(bands):
    header = read_header(tiff(np.zeros((20, 30, bands), np.float32), planar=True))
    assert (header.height, header.width, header.bits) == (20, 30, 32)


def test_headers_are_read_again_where_the_system_fails_for_a_moment(tmp_path, monkeypatch):
    (tmp_path / 'x.jpg').write_bytes(encode(SQUARE, 'JPEG'))
    (tmp_path / 'x.png').write_bytes(encode(np.ones((64, 64), np.uint8), 'PNG'))
    errors, real = [], reading.fileio.LocalBackend.get

    def get(self, path):
        if errors:
            raise errors.pop()
        return real(self, path)

    monkeypatch.setattr(reading, 'WAITS', (0, 0, 0))
    monkeypatch.setattr(reading.fileio.LocalBackend, 'get', get)
    errors += [OSError(5, 'Input/output error')] * 3
    assert read_image_header(tmp_path / 'x.jpg').width == 64 and not errors
    errors += [OSError(5, 'Input/output error')] * 2
    recode_labels(str(tmp_path / 'x.png'), str(tmp_path / 'y.png'), range(256), str(tmp_path / 'x.jpg'))
    errors += [OSError(24, 'Too many open files')]
    with pytest.raises(reading.ReadingError, match='the file is not at fault: this process may open no more files'):
        read_image_header(tmp_path / 'x.jpg')
