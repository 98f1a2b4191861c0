"""Values of any depth, and TIFFs of any number of bands: read as what they are, or refused with the reason."""

import io
import logging

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from awkward_files import encode, png_of_bits, scene, tiff
from mmengine.logging import MMLogger
from PIL import Image

from mmvice.utils import eight_bits
from mmvice.utils.conversion import read_labels
from mmvice.utils.image_files import UnusableFileError, decode_image, decode_labels

IDS = np.arange(32, dtype=np.uint16).reshape(4, 8)
DEEP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
MANY = np.random.default_rng(0).integers(0, 256, (20, 30, 8), dtype=np.uint8)


def pgm(values, maximum, plain=False):
    head = b'P%d %d %d %d\n' % (2 if plain else 5, values.shape[1], values.shape[0], maximum)
    body = (
        b' '.join(b'%d' % v for v in values.flat)
        if plain
        else values.astype('>u2' if maximum > 255 else 'u1').tobytes()
    )
    return head + body


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        *((png_of_bits(IDS % (1 << bits), bits), IDS % (1 << bits)) for bits in (1, 2, 4)),
        *((tiff(IDS % (1 << bits), bits), IDS % (1 << bits)) for bits in (1, 2, 4)),
        *((tiff(IDS.astype(np.uint16) * 20, bits), IDS * 20.0) for bits in (10, 12, 14)),
        *((tiff(IDS % (1 << bits), bits, photometric=0), IDS % (1 << bits)) for bits in (1, 2, 4, 8)),
        *((pgm(IDS % (top + 1), top, plain), IDS % (top + 1)) for top in (1, 3, 31, 100, 255) for plain in (0, 1)),
        *((pgm(IDS * 9.0 // 1, top, plain), IDS * 9.0) for top in (300, 4095, 65535) for plain in (0,)),
        (tiff(IDS.astype(np.int8) - 3), IDS.astype(int) - 3),
        (encode(Image.fromarray(IDS.astype(np.uint8)), 'JPEG2000'), IDS),
    ],
)
def test_ids_are_those_stored(content, expected):
    np.testing.assert_array_equal(decode_labels(content), expected)


def test_converters_read_them_alike(tmp_path):
    (tmp_path / 'x.png').write_bytes(png_of_bits(IDS % 4, 2))
    np.testing.assert_array_equal(read_labels(str(tmp_path / 'x.png')), IDS % 4)


@pytest.fixture
def warned(monkeypatch):
    messages = []
    monkeypatch.setattr(
        MMLogger.get_current_instance(),
        'log',
        lambda level, message, *args, **kwargs: messages.append(message) if level >= logging.WARNING else None,
    )
    eight_bits._WARNED_RUN[:8] = bytes(8)
    return messages


@pytest.mark.parametrize(('top', 'levels'), [(4096, 16), (1024, 4), (256, 1)])
def test_values_in_the_lower_byte_are_warned_of_once_a_run(warned, top, levels):
    content = cv2.imencode('.png', DEEP % top)[1].tobytes()
    for _ in range(3):
        assert len(np.unique(decode_image(content, name='a/x.png'))) == levels
    (warning,) = warned
    assert f"'a/x.png' has 16 bits a value, of which the upper 8 count: its {top:,} different values" in warning
    assert f'become {levels} levels' in warning and 'value_range=(black, white)' in warning


def test_values_of_16_bits_are_not_warned_of(warned):
    for values in (DEEP * 16, np.full((4, 4), 7, np.uint16), (DEEP % 256) * 257):
        for ending in ('.png', '.tiff'):
            content = cv2.imencode(ending, values)[1].tobytes()
            np.testing.assert_array_equal(decode_image(content)[..., 0], values >> 8)
            np.testing.assert_array_equal(decode_image(content), cv2.imdecode(np.frombuffer(content, np.uint8), 1))
    assert not warned


def test_a_range_or_percentiles_say_what_is_black_and_white(warned):
    content = cv2.imencode('.png', DEEP)[1].tobytes()
    ranged = decode_image(content, value_range=(0, 4095))[..., 1]
    np.testing.assert_array_equal(ranged, np.rint(DEEP * (255 / 4095)))
    cut = decode_image(content, percentiles=(10, 90))[..., 2].ravel()
    assert (np.diff(cut.astype(int)) >= 0).all() and cut[400] == 0 and cut[-400] == 255 and 120 < cut[2048] < 135
    narrow = cv2.imencode('.png', np.dstack([DEEP % 256 + 7000] * 3))[1].tobytes()
    assert len(np.unique(decode_image(narrow, value_range=(7000, 7255)))) == 256
    eight = encode(scene(), 'PNG')
    np.testing.assert_array_equal(decode_image(eight, value_range=(0, 10)), scene())
    assert not warned


def test_a_portable_greymap_says_itself_what_is_white(warned):
    for top, plain in ((15, 0), (100, 0), (4095, 0)):
        values = np.linspace(0, top, 32).round().reshape(4, 8)
        np.testing.assert_allclose(decode_image(pgm(values, top, plain))[..., 0], values * (255 / top), atol=0.51)
    assert not warned


@pytest.mark.parametrize('kind', [np.int8, np.int16, np.int32, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize('bands', [1, 3])
def test_other_values_need_a_range_and_never_wrap(kind, bands):
    values = np.linspace(0 if kind is np.uint32 else -100, 100, 60).reshape(5, 12).astype(kind)
    content = tiff(np.repeat(values[..., None], bands, 2))
    with pytest.raises(UnusableFileError, match='their white is unknown: give LoadImageFromFile value_range'):
        decode_image(content)
    image = decode_image(content, value_range=(-100, 100))
    expected = np.rint((values.astype(float) + 100) * (255 / 200))
    assert image.shape == (5, 12, 3) and np.abs(image - expected[..., None]).max() <= 1


@pytest.mark.parametrize('kind', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ('gaps', 'told'),
    [
        ([np.nan], '2.0 to 41.0, and their white'),
        ([np.inf, np.nan], '2.0 to 41.0, and their white'),
        ([-np.inf], '2.0 to 41.0, and their white'),
        ([np.nan] * 40, 'none of which is finite'),
        ([np.inf] * 40, 'none of which is finite'),
    ],
)
def test_the_values_that_are_told_are_finite(kind, gaps, told):
    values = np.arange(2, 42, dtype=kind)
    values[np.arange(len(gaps)) + (10 if len(gaps) < 40 else 0)] = gaps
    with pytest.raises(UnusableFileError, match=f'has {np.dtype(kind)} values, {told}'):
        decode_image(tiff(values.reshape(5, 8, 1)))


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('bands', [3, 4, 5, 6, 8])
@pytest.mark.parametrize('planar', [False, True])
@pytest.mark.parametrize('photometric', [1, 2])
def test_the_first_three_bands_are_the_colours_in_every_layout_and_depth(kind, bands, planar, photometric):
    values = MANY[..., :bands].astype(kind) * kind(257 if kind is np.uint16 else 1)
    content = tiff(values, planar=planar, photometric=photometric)
    ranged = dict(value_range=(0, 255)) if kind is np.float32 else {}
    np.testing.assert_array_equal(decode_image(content, **ranged), MANY[..., 2::-1])
    with pytest.raises(ValueError, match=f'must have one channel of ids, but has {bands} bands'):
        decode_labels(content)
    if kind is not np.float32:
        raw = decode_image(content, 'unchanged')
        np.testing.assert_array_equal(raw, values[..., [2, 1, 0, *range(3, bands)]])
        np.testing.assert_array_equal(decode_image(content, 'grayscale'), cv2.cvtColor(MANY[..., 2::-1].copy(), 6))


@pytest.mark.parametrize('planar', [False, True])
def test_of_two_bands_the_first_is_grey(planar):
    for values in (MANY[..., :2], MANY[..., :2] * np.uint16(257)):
        np.testing.assert_array_equal(decode_image(tiff(values, planar=planar)), MANY[..., [0, 0, 0]])


def written(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


RGB, DEEP_RGB = MANY[..., :3], MANY[..., :3] * np.uint16(257)
RGBX = dict(photometric='rgb', extrasamples=['unassalpha'])
KINDS = {
    'LZW with a predictor': written(DEEP_RGB, photometric='rgb', compression='lzw', predictor=True),
    'deflate, planar tiles': written(
        DEEP_RGB.transpose(2, 0, 1), photometric='rgb', planarconfig='separate', compression='deflate', tile=(16, 16)
    ),
    'Zstandard': written(RGB, photometric='rgb', compression='zstd', predictor=True),
    'tiles': written(RGB, photometric='rgb', tile=(16, 16)),
    'big-endian': written(DEEP_RGB, photometric='rgb', byteorder='>'),
    'BigTIFF': written(DEEP_RGB, photometric='rgb', bigtiff=True),
    'JPEG 2000 within': written(DEEP_RGB, photometric='rgb', compression='jpeg2000'),
    'pages': written(np.stack([DEEP_RGB, 65535 - DEEP_RGB]), photometric='rgb'),
    'alpha': written(np.dstack([RGB, MANY[..., 3]]), **RGBX),
    'deep alpha': written(np.dstack([DEEP_RGB, DEEP_RGB[..., 0]]), **RGBX),
    'upright by a tag': written(np.rot90(DEEP_RGB).copy(), photometric='rgb', extratags=[(274, 3, 1, 6, True)]),
    'inks': written(np.dstack([255 - RGB, 0 * RGB[..., :1]]), photometric='separated'),
    'deep inks': written(np.dstack([65535 - DEEP_RGB, 0 * DEEP_RGB[..., :1]]), photometric='separated'),
    'JPEG 2000': imagecodecs.jpeg2k_encode(DEEP_RGB, level=0, reversible=True),
    '12 bits': tiff(DEEP_RGB >> 4, 12),
    'JPEG 2000 of 12 bits': imagecodecs.jpeg2k_encode(DEEP_RGB >> 4, level=0, reversible=True, bitspersample=12),
    'JPEG in TIFF': written(RGB * 0 + 90, photometric='rgb', compression='jpeg'),
    'AVIF of 10 bits': imagecodecs.avif_encode(DEEP_RGB >> 6, level=100, bitspersample=10),
    'AVIF of 12 bits': imagecodecs.avif_encode(DEEP_RGB >> 4, level=100, bitspersample=12),
}


@pytest.mark.parametrize('kind', KINDS)
def test_colours_of_every_kind_of_file(kind, warned, capfd):
    expected = RGB[..., ::-1] if 'JPEG in' not in kind else RGB * 0 + 90
    np.testing.assert_allclose(decode_image(KINDS[kind]).astype(int), expected, atol='bits' in kind)
    assert capfd.readouterr() == ('', '') and not warned


def test_a_palette_gives_its_colours_and_as_a_label_map_its_indices():
    ids, colours = IDS.astype(np.uint8), np.random.default_rng(0).integers(0, 256, (3, 256), dtype=np.uint16)
    for values, scale in ((ids, 257), (ids, 256), (ids.astype(np.uint16) * 1000, 257)):
        table = np.repeat(colours, 1 << 8 * values.itemsize - 8, axis=1)
        content = written(values, photometric='palette', colormap=table * np.uint16(scale))
        np.testing.assert_array_equal(decode_image(content, value_range=(0, 9)), table.T[values][..., ::-1])
        np.testing.assert_array_equal(decode_labels(content), values)


@pytest.mark.parametrize('bits', [1, 2, 4, 8, 12, 16])
def test_white_may_be_zero_at_any_depth(bits):
    top = (1 << bits) - 1
    values = (IDS * 2113 & top).astype(np.uint16 if bits > 8 else np.uint8)
    image = decode_image(tiff(values, None if bits in (8, 16) else bits, photometric=0))[..., 0]
    np.testing.assert_allclose(image, (top - values.astype(float)) * (255 / top), atol=0.51 if bits < 16 else 1)


def deep_file(values, kind, bits):
    if kind == 'TIFF':
        return tiff(values, bits)
    if kind == 'JPEG 2000':
        return imagecodecs.jpeg2k_encode(values, level=0, reversible=True, bitspersample=bits)
    encoder = imagecodecs.avif_encode if kind == 'AVIF' else imagecodecs.jpeg_encode
    return encoder(np.dstack([values] * 3), level=100, bitspersample=bits)


DEPTHS = {'JPEG 2000': (10, 12, 14), 'TIFF': (10, 12, 14), 'AVIF': (10, 12), 'JPEG': (12,)}


@pytest.mark.parametrize(('kind', 'bits'), [(kind, bits) for kind, depths in DEPTHS.items() for bits in depths])
def test_a_range_holds_in_every_deep_format(kind, bits, warned):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) // 20
    content = deep_file(values, kind, bits)
    expected = values if kind != 'JPEG' else imagecodecs.jpeg_decode(content)[..., 0]
    np.testing.assert_allclose(decode_image(content, value_range=(0, 255))[..., 1], expected, atol=1)
    cut = decode_image(content, percentiles=(10, 90))[..., 0]
    assert cut[:4].max() == 0 and cut[-4:].min() == 255 and len(np.unique(cut)) > 150
    assert not warned
    assert len(np.unique(decode_image(content))) < 70
    (warning,) = warned
    assert f'has {bits} bits a value' in warning and 'value_range=(black, white)' in warning


def test_ids_of_jpeg_2000_at_every_depth():
    for bits in (4, 8, 10, 12, 16):
        values = IDS & (1 << bits) - 1
        kind = np.uint8 if bits <= 8 else np.uint16
        content = imagecodecs.jpeg2k_encode(values.astype(kind), level=0, reversible=True, bitspersample=bits)
        np.testing.assert_array_equal(decode_labels(content), values)


@pytest.mark.parametrize('options', [dict(), dict(compression='lzw'), dict(tile=(16, 16)), dict(compression='zstd')])
def test_label_maps_in_tiffs(options):
    for values in (IDS, IDS.astype(np.uint8), IDS.astype(np.int16) - 3, IDS.astype('>u2')):
        np.testing.assert_array_equal(decode_labels(written(values, photometric='minisblack', **options)), values)
    jpeg = written(np.zeros((32, 32), np.uint8), compression='jpeg')
    with pytest.raises(ValueError, match='is a JPEG, which changes ids'):
        decode_labels(jpeg)


def test_half_precision_needs_a_range():
    content = written(np.linspace(-1, 1, 256, dtype=np.float16).reshape(16, 16))
    with pytest.raises(UnusableFileError, match='has float16 values'):
        decode_image(content)
    np.testing.assert_allclose(decode_image(content, value_range=(-1, 1))[..., 0].ravel(), np.arange(256), atol=1)


def test_a_depth_that_only_8_bits_are_read_of_is_refused_where_a_range_is_given():
    head = b'\x01\xda\0\x02\0\x02' + (8).to_bytes(2, 'big') + (4).to_bytes(2, 'big') + b'\0\x01'
    content = head.ljust(512, b'\0') + (IDS * 2000).astype('>u2').tobytes()
    np.testing.assert_array_equal(decode_image(content)[..., 0], (IDS.astype(int) * 2000 % 65536 >> 8)[::-1])
    with pytest.raises(UnusableFileError, match='has 16 bits a value, of which only the upper 8 .* SGI'):
        decode_image(content, value_range=(0, 4095))


@pytest.mark.parametrize('cut', [0.3, 0.6, 0.95])
def test_what_is_cut_off_is_told_as_such_without_a_line_of_the_decoders(cut, capfd, recwarn):
    codecs = (None, 'lzw', 'deflate', 'jpeg', 'jpeg2000')
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    files = [
        *(written(noise, photometric='rgb', compression=kind) for kind in codecs),
        *(
            written(noise * np.uint16(257), photometric='rgb', tile=(16, 16), compression=kind)
            for kind in (None, 'zstd')
        ),
        written(noise.transpose(2, 0, 1), photometric='rgb', planarconfig='separate'),
        imagecodecs.jpeg2k_encode(noise * np.uint16(257), level=0),
        imagecodecs.jpeg2k_encode(noise, level=0),
        imagecodecs.jpeg_encode(noise.astype(np.uint16) << 4, level=95, bitspersample=12),
        encode(noise, 'TIFF'),
        encode(noise, 'TIFF', compression='tiff_lzw'),
        encode(noise, 'TGA'),
        encode(noise, 'GIF'),
    ]
    for content in files:
        with pytest.raises(UnusableFileError, match='cut off or damaged'):
            decode_image(content[: round(len(content) * cut)])
    assert capfd.readouterr() == ('', '') and not recwarn.list


def test_the_true_reason_is_told():
    content = bytearray(written(RGB, photometric='rgb'))
    place = content.index(b'\x03\x01\x03\0\x01\0\0\0')  # the tag of the compression
    content[place + 8 : place + 10] = (999).to_bytes(2, 'little')
    with pytest.raises(UnusableFileError, match='cannot be decoded: .*999'):
        decode_image(bytes(content))
    with pytest.raises(UnusableFileError, match='has complex numbers'):
        decode_image(written(np.zeros((4, 5), np.complex64)), value_range=(0, 1))


def test_a_tiff_that_pillow_does_not_know_cannot_ask_for_gigabytes():
    content = bytearray(tiff(MANY[..., :4], planar=True))
    for tag in (256, 257):
        place = content.index(tag.to_bytes(2, 'little') + (4).to_bytes(2, 'little'), 10)
        content[place + 8 : place + 12] = (100_000).to_bytes(4, 'little')
    with pytest.raises(UnusableFileError, match='has more than 178,956,970 pixels'):
        decode_image(bytes(content))
