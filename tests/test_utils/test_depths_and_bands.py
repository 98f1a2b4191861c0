"""Values of any depth, and TIFFs of any number of bands: read as what they are, or refused with the reason."""

import logging

import cv2
import numpy as np
import pytest
from awkward_files import encode, png_of_bits, scene, tiff
from mmengine.logging import MMLogger
from PIL import Image

from mmvice.utils import image_files
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
    image_files._WARNED_RUN[:8] = bytes(8)
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
    with pytest.raises(UnusableFileError, match='nothing says which is white: give LoadImageFromFile value_range'):
        decode_image(content)
    image = decode_image(content, value_range=(-100, 100))
    expected = np.rint((values.astype(float) + 100) * (255 / 200))
    assert image.shape == (5, 12, 3) and np.abs(image - expected[..., None]).max() <= 1


@pytest.mark.parametrize('bands', [3, 4])
@pytest.mark.parametrize('planar', [False, True])
def test_colours_of_planar_files_and_of_more_bands(bands, planar):
    np.testing.assert_array_equal(decode_image(tiff(MANY[..., :bands], planar=planar)), MANY[..., 2::-1])


@pytest.mark.parametrize('bands', [5, 6])
def test_more_bands_are_read_where_a_decoder_reads_them(bands):
    np.testing.assert_array_equal(decode_image(tiff(MANY[..., :bands])), MANY[..., 2::-1])


@pytest.mark.parametrize(('values', 'planar'), [(MANY, True), (MANY.astype(np.uint16), False), (MANY[..., :6], True)])
def test_what_cannot_be_read_is_told_with_the_true_reason(values, planar):
    reason = rf'a TIFF of {values.shape[2]} bands, unsigned integers of {8 * values.itemsize} bits, which neither'
    with pytest.raises(UnusableFileError, match=reason):
        decode_image(tiff(values, planar=planar))
    with pytest.raises(ValueError, match=f'must have one channel of ids, but has {values.shape[2]} bands'):
        decode_labels(tiff(values, planar=planar))


@pytest.mark.parametrize('flag', ['color', 'unchanged', 'grayscale'])
@pytest.mark.parametrize('bands', [2, 3, 4, 5])
def test_deep_planar_files_are_refused_as_opencv_mixes_their_bands_up(bands, flag):
    content = tiff(MANY[..., :bands].astype(np.uint16) * 257, planar=True)
    with pytest.raises(UnusableFileError, match=f'{bands} bands of 16 bits, one stored after the other'):
        decode_image(content, flag)


def test_a_tiff_that_pillow_does_not_know_cannot_ask_for_gigabytes():
    content = bytearray(tiff(MANY[..., :4], planar=True))
    for tag in (256, 257):
        place = content.index(tag.to_bytes(2, 'little') + (4).to_bytes(2, 'little'), 10)
        content[place + 8 : place + 12] = (100_000).to_bytes(4, 'little')
    with pytest.raises(UnusableFileError, match='has more than 178,956,970 pixels'):
        decode_image(bytes(content))
