"""What files of all kinds are decoded to, and what is said of those that cannot be."""

import builtins
import os
import resource
from multiprocessing import get_context

import numpy as np
import pytest
from awkward_files import encode, png, scene, turned, unusable_images, usable_images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmvice.utils.image_files import (
    UnusableFileError,
    decode_image,
    decode_labels,
    printable,
)
from mmvice.utils.reading import read_image, read_image_header

USABLE, UNUSABLE = usable_images(), unusable_images()


@pytest.mark.parametrize('name', USABLE)
def test_images_of_every_kind_come_out_as_they_are_shown(name):
    content, expected, tolerance = USABLE[name]
    image = decode_image(content)
    assert image.dtype == np.uint8 and image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() <= tolerance


@pytest.mark.parametrize('name', UNUSABLE)
def test_unusable_images_are_named_with_the_reason(name, tmp_path):
    content, reason = UNUSABLE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableFileError, match=rf"^'.*{name}' ({reason})") as error:
        read_image(tmp_path / name)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_every_orientation_is_turned_upright(orientation):
    image = scene()
    upright = [None, image, image[:, ::-1], image[::-1, ::-1], image[::-1], image.transpose(1, 0, 2)]
    upright += [np.rot90(image, -1), image[::-1, ::-1].transpose(1, 0, 2), np.rot90(image)]
    np.testing.assert_array_equal(decode_image(turned(image, 'PNG', orientation)), upright[orientation])


def test_one_pixel_and_one_line():
    for shape in ((1, 1), (1, 300), (300, 1)):
        image = scene(*shape)
        np.testing.assert_array_equal(decode_image(encode(image, 'PNG')), image)


def _memory_to_decode(content, results):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for decode in (decode_image, decode_labels):
        try:
            decode(content)
        except ValueError as error:
            results.put(str(error))
        else:
            results.put('decoded')
    results.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def test_a_small_file_cannot_ask_for_gigabytes():
    """A whole PNG of 20000x20000 black pixels: 1.2 GB once decoded."""
    content = png(20_000, 20_000, 20_000)
    assert len(content) < 10 << 20
    context = get_context('fork')
    results = context.Queue()
    process = context.Process(target=_memory_to_decode, args=(content, results))
    process.start()
    *said, grown = (results.get(timeout=300) for _ in range(3))
    process.join()
    assert process.exitcode == 0
    assert all('has more than 178,956,970 pixels' in message for message in said)
    assert grown < 50 << 10, 'kilobytes'


def test_the_limit_is_that_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(UnusableFileError, match='has more than 2,000 pixels'):
        decode_image(encode(scene(), 'PNG'))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    assert decode_image(encode(scene(), 'PNG')).shape == (48, 64, 3)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(['PNG', 'JPEG', 'GIF', 'WEBP', 'BMP', 'TIFF', 'PPM']),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=8),
)
def test_whatever_happens_to_a_file_it_is_an_image_or_one_error(kind, cut, flips):
    content = bytearray(encode(scene(20, 30), kind))
    for place, change in flips:
        content[place % len(content)] ^= change
    content = bytes(content[: round(cut * len(content))])
    for decode in (decode_image, decode_labels):
        try:
            array = decode(content)
        except ValueError as error:
            assert str(error) and '\n' not in str(error)
        else:
            assert array.ndim == (3 if decode is decode_image else 2)


LABELS = np.arange(20, dtype=np.uint8).reshape(4, 5)


def palette_labels():
    image = Image.fromarray(LABELS)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return image


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (encode(LABELS, 'PNG'), LABELS),
        (encode(palette_labels(), 'PNG'), LABELS),
        (encode(palette_labels(), 'GIF', optimize=False), LABELS),
        (encode(LABELS.astype(np.uint16) * 300, 'PNG'), LABELS.astype(int) * 300),
        (encode(Image.fromarray(LABELS > 7), 'PNG'), LABELS > 7),
        (encode(LABELS[:1], 'PNG'), LABELS[:1]),
        (encode(LABELS[:, :1], 'TIFF'), LABELS[:, :1]),
        (encode(LABELS[:1, :1], 'BMP'), LABELS[:1, :1]),
        (turned(LABELS, 'PNG'), LABELS),
    ],
    ids=['8 bit', 'palette', 'GIF', '16 bit', '1 bit', 'row', 'column', 'pixel', 'with an EXIF tag'],
)
def test_label_maps_are_their_values(content, expected):
    labels = decode_labels(content)
    assert labels.dtype.kind in 'iu'
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize('name', [name for name in UNUSABLE if name.endswith('.png')])
def test_unusable_label_maps(name):
    with pytest.raises(UnusableFileError, match='is empty|damaged|cannot be decoded|pixels'):
        decode_labels(UNUSABLE[name][0])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (encode(scene(), 'PNG'), 'must have one channel of ids, but has the channels RGB: is it a colour image'),
        (encode(Image.merge('LA', [Image.fromarray(LABELS)] * 2), 'PNG'), 'has the channels LA'),
        (encode(LABELS, 'JPEG'), 'is a JPEG, which changes ids as it compresses: store label maps as PNG'),
        (encode(Image.fromarray(LABELS.astype(np.float32)), 'TIFF'), 'but has floating-point numbers'),
    ],
    ids=['RGB', 'with alpha', 'JPEG', 'floats'],
)
def test_images_that_are_no_label_maps(content, message):
    with pytest.raises(ValueError, match=message) as error:
        decode_labels(content)
    assert not isinstance(error.value, UnusableFileError), 'a mistake of a whole set, not a damaged file'


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='no image file at .*gone.png'):
        read_image(tmp_path / 'gone.png')
    with pytest.raises(FileNotFoundError, match='no image file at '):
        read_image(tmp_path)
    (tmp_path / 'secret.png').write_bytes(encode(scene(), 'PNG'))

    def refuse(path, *args, **kwargs):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(builtins, 'open', refuse)
    with pytest.raises(UnusableFileError, match=r"secret\.png' cannot be read: Permission denied$"):
        read_image(tmp_path / 'secret.png')


def test_names_of_any_bytes_can_be_printed(tmp_path):
    path = os.path.join(tmp_path, os.fsdecode(b'caf\xe9 \xc3\xbc.png'))
    with open(path, 'wb') as file:
        file.write(encode(scene(), 'PNG'))
    assert read_image(path).shape == (48, 64, 3)
    assert printable(path).endswith(r"/caf\udce9 ü.png'")


def test_a_quarter_turn_is_told(tmp_path):
    for orientation in range(1, 9):
        (tmp_path / 'x.jpg').write_bytes(turned(scene(), 'JPEG', orientation))
        assert (read_image_header(tmp_path / 'x.jpg').orientation > 4) == (orientation > 4)


def test_what_is_longer_than_a_path_is_not_printed_in_full():
    shown = printable('a' * 3000 + 'b' * 2000)
    assert len(shown) < 300 and shown.startswith("'aaa") and "bbb' (5,000 characters)" in shown
    assert printable('b' * 400) == repr('b' * 400)
