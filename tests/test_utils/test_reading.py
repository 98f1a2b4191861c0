"""A passing failure is not a bad file: who is at fault, what is tried again, and what ends a run."""

import builtins
import errno
import http.client
import io
import re
import socket
import ssl
from urllib.error import HTTPError, URLError

import cv2
import numpy as np
import pytest
from awkward_files import encode, scene
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine.registry import DefaultScope
from PIL import Image

from mmvice.cli.images import ImageReader
from mmvice.datasets import LabeledImageDataset, SeededIndex, UnlabeledImageDataset
from mmvice.datasets.transforms import LoadImageFromFile, Resize
from mmvice.utils import image_files, reading
from mmvice.utils.image_files import UnusableFileError, decode_image
from mmvice.utils.reading import Fault, decoding_of, fault_of, read_file

LOAD = [dict(type='LoadImageFromFile')]
DEEP = dict(type='LoadImageFromFile', value_range=(0, 9))
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.EHOSTUNREACH)
LACKS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def http_error(code):
    return HTTPError('http://x/a.png', code, 'reason', {}, io.BytesIO())


@pytest.mark.parametrize(
    ('error', 'fault'),
    [
        *((OSError(number, 'text'), Fault.STORAGE) for number in PASSING),
        *((OSError(number, 'text'), Fault.PROCESS) for number in LACKS),
        *((OSError(number, 'text'), Fault.FILE) for number in (errno.ENOENT, errno.EACCES, errno.ELOOP)),
        (MemoryError(), Fault.PROCESS),
        (TimeoutError('timed out'), Fault.STORAGE),
        (URLError(ConnectionRefusedError(errno.ECONNREFUSED, 'refused')), Fault.STORAGE),
        (URLError(OSError(errno.EMFILE, 'too many')), Fault.PROCESS),
        (URLError(ssl.SSLError(ssl.SSL_ERROR_SSL, 'bad record mac')), Fault.STORAGE),  # 1, which is EPERM elsewhere
        (ssl.SSLError(ssl.SSL_ERROR_WANT_READ, 'again'), Fault.STORAGE),  # 2, ENOENT
        (URLError(socket.herror(1, 'unknown host')), Fault.STORAGE),
        (http.client.IncompleteRead(b''), Fault.STORAGE),
        (http_error(503), Fault.STORAGE),
        (http_error(429), Fault.STORAGE),
        (http_error(404), Fault.FILE),
        (ValueError('embedded null byte'), Fault.FILE),
        (TypeError(), Fault.CODE),
    ],
)
def test_whose_fault_an_error_is(error, fault):
    assert fault_of(error) is fault


@pytest.fixture
def failing(monkeypatch):
    """Reads of files named ``fails*`` raise the errors of the list, one after the other."""
    errors, real, real_open = [], builtins.open, io.open
    monkeypatch.setattr(reading, 'WAITS', (0, 0, 0))

    def opening(path, *args, **kwargs):
        if '/fails' in str(path) and errors:
            raise errors.pop(0)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, 'open', opening)
    assert real is real_open
    return errors


@pytest.mark.parametrize('number', PASSING)
def test_what_passes_is_tried_again_and_not_remembered(tmp_path, failing, number):
    (tmp_path / 'fails.png').write_bytes(encode(scene(), 'PNG'))
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD)
    failing.extend([OSError(number, 'text')] * 3)
    assert dataset[SeededIndex(0, (0, 0))]['img'].shape == (48, 64, 3) and not dataset.skipped
    failing.extend([OSError(number, 'text')] * 4)
    with pytest.raises(OSError, match=r"fails\.png' cannot be read: text, in 4 tries: a failure of the disk") as error:
        dataset[SeededIndex(0, (0, 0))]
    assert error.value.errno == number and not dataset.skipped
    assert dataset[SeededIndex(0, (0, 0))]['img'].shape == (48, 64, 3)


@pytest.mark.parametrize('number', LACKS)
def test_a_lack_of_the_process_ends_the_run_and_is_no_bad_image(tmp_path, failing, number):
    (tmp_path / 'fails.png').write_bytes(encode(scene(), 'PNG'))
    for dataset in (
        UnlabeledImageDataset(str(tmp_path), pipeline=LOAD),
        UnlabeledImageDataset(str(tmp_path), pipeline=[MMCVLoadImageFromFile()]),
    ):
        failing.append(OSError(number, 'text'))
        advice = dict(zip(LACKS, ('raise the limit (ulimit -n)', 'all programs together', 'lacks memory: use fewer')))
        with pytest.raises(OSError, match='the file is not at fault: .*' + re.escape(advice[number])) as error:
            dataset[SeededIndex(0, (0, 0))]
        assert error.value.errno == number and not dataset.skipped
        assert dataset[SeededIndex(0, (0, 0))]['img'].shape == (48, 64, 3)
    reader = ImageReader()
    failing.append(OSError(number, 'text'))
    with pytest.raises(OSError, match='not at fault'):
        list(reader.read([str(tmp_path / 'fails.png')], 'x'))
    assert not reader.skipped


def test_label_maps_are_read_alike(tmp_path, failing):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'images/fails.jpg').write_bytes(encode(scene(), 'JPEG'))
    (tmp_path / 'labels/fails.png').write_bytes(encode(np.zeros((48, 64), np.uint8), 'PNG'))
    dataset = LabeledImageDataset(
        str(tmp_path),
        dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=['a']),
        pipeline=[dict(type='LoadAnnotations')],
    )
    failing.extend([OSError(errno.EIO, 'text')] * 2)
    assert dataset[0]['gt_seg_map'].shape == (48, 64)
    failing.append(OSError(errno.EMFILE, 'Too many open files'))
    with pytest.raises(OSError, match='Too many open files'):
        dataset[0]
    assert not dataset.skipped


def test_no_memory_to_decode_is_no_bad_image(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise MemoryError

    (tmp_path / 'x.png').write_bytes(encode(scene(), 'PNG'))
    monkeypatch.setattr(Image, 'open', refuse)
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD)
    with pytest.raises(MemoryError):
        dataset[SeededIndex(0, (0, 0))]
    assert not dataset.skipped


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: LoadImageFromFile(imdecode_backend='pilow'), "imdecode_backend must be one of .* got 'pilow'"),
        (lambda: LoadImageFromFile(color_type='colour'), "color_type must be one of .* got 'colour'"),
        (lambda: LoadImageFromFile(value_range=(5, 5)), r'value_range must be \(black, white\)'),
        (lambda: LoadImageFromFile(percentiles=(1, 101)), r'percentiles must lie in \[0, 100\]'),
        (lambda: LoadImageFromFile(value_range=(0, 1), percentiles=(1, 99)), 'not both'),
        (lambda: Resize(scale=(128, 0)), 'scale must be of at least 1 px'),
        (lambda: Resize(scale=8, interpolation='bilnear'), "interpolation must be one of .*'area'.* got 'bilnear'"),
        (lambda: Resize(scale=8, interpolation=2), "interpolation must be one of .*backend='cv2', got 2"),
        (lambda: Resize(scale=8, interpolation='area', backend='pillow'), "'hamming'.*backend='pillow', got 'area'"),
        (lambda: Resize(scale=8, backend='opencv'), r"backend must be one of .* got 'opencv'"),
        (
            lambda: read_file('x.png', dict(backend='nowhere')),
            "backend_args={'backend': 'nowhere'} give no storage .* 'local'",
        ),
        (lambda: read_file('x.png', dict(bucket='a')), r'LocalBackend.. takes no arguments; leave backend_args out'),
        (lambda: read_file('x.png', dict(backend='petrel')), 'install petrel_client'),
        (lambda: LoadImageFromFile(backend_args='petrel'), 'LoadImageFromFile: backend_args must be a dict'),
    ],
)
def test_wrong_settings_are_named_and_condemn_no_image(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert not isinstance(error.value, UnusableFileError)


@pytest.mark.parametrize(
    'step',
    [
        dict(type='Resize', scale=(64, 48)),
        dict(type='RandomResize', scale=(64, 48), ratio_range=(0.5, 2.0)),
        dict(type='RandomChoiceResize', scales=[(64, 48)]),
        dict(type='ResizeShortestEdge', scale=48, max_size=100),
    ],
)
def test_a_wrong_interpolation_of_any_resizing_step_is_named_as_a_data_set_is_built(tmp_path, step):
    """Those of other projects build a Resize; MMSegmentation's ResizeShortestEdge has no such setting."""
    steps = [*LOAD, dict(step, interpolation='bilnear')]
    with DefaultScope.overwrite_default_scope('mmvice'):
        with pytest.raises((ValueError, TypeError), match=r"interpolation must be one of|argument 'interpolation'"):
            UnlabeledImageDataset(str(tmp_path), pipeline=steps)
        UnlabeledImageDataset(str(tmp_path), pipeline=[*LOAD, step], lazy_init=True)


def test_a_loader_shows_all_of_its_settings():
    shown = repr(LoadImageFromFile(value_range=(0, 4095)))
    assert shown.startswith("LoadImageFromFile(ignore_empty=False, to_float32=False, color_type='color'")
    assert shown.endswith('backend_args=None, value_range=(0, 4095), percentiles=None)')
    assert repr(LoadImageFromFile(percentiles=(1, 99))).endswith('value_range=None, percentiles=(1, 99))')


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(train_dataloader=dict(dataset=dict(pipeline=[DEEP]))), dict(value_range=(0, 9))),
        (dict(test_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=[DEEP])))), DEEP),
        (dict(test_dataloader=dict(dataset=dict(datasets=[dict(pipeline=[]), dict(pipeline=[DEEP])]))), DEEP),
        (dict(test_dataloader=None, train_dataloader=dict(dataset=dict(pipeline=LOAD))), {}),
        ({}, {}),
    ],
)
def test_what_the_loader_of_a_config_says_of_deep_values(cfg, expected):
    assert decoding_of(cfg) == {key: value for key, value in expected.items() if key != 'type'}


@pytest.mark.parametrize(
    'loader',
    [
        MMCVLoadImageFromFile(imdecode_backend='pilow'),
        LoadImageFromFile(to_float32=True),
        LoadImageFromFile(color_type='grayscale'),
        LoadImageFromFile(backend_args=dict(backend='nowhere')),
    ],
)
def test_a_setting_that_no_image_can_pass_is_an_error_at_the_first_image(tmp_path, loader):
    for number in range(4):
        (tmp_path / f'{number}.png').write_bytes(encode(scene(), 'PNG'))
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=[loader])
    with pytest.raises(ValueError, match='Correct its settings: |backend_args='):
        dataset[SeededIndex(0, (0, 0))]
    assert not dataset.skipped


def test_what_ends_a_draw_carries_the_last_reason(tmp_path):
    for number in range(4):
        (tmp_path / f'{number}.png').write_bytes(encode(scene(), 'PNG'))
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=[*LOAD, lambda results: None], max_refetch=5)
    with pytest.raises(RuntimeError, match=r"max_refetch=5\); the last one: .*lambda.* took nothing from '.*\.png'"):
        dataset[SeededIndex(0, (0, 0))]
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD, min_size=500, max_refetch=1)
    with pytest.raises(RuntimeError, match='the last one: .*is too small: 64x48 px, and min_size is 500'):
        dataset[SeededIndex(0, (0, 0))]


def test_a_damaged_file_is_still_a_bad_file():
    with pytest.raises(UnusableFileError, match='cut off or damaged'):
        decode_image(encode(scene(), 'PNG')[:900])


@pytest.mark.parametrize('number', LACKS)
def test_a_lack_that_a_download_has_met_is_told_too(number):
    def read():
        raise URLError(OSError(number, 'text'))

    with pytest.raises(reading.ReadingError, match='the file is not at fault') as error:
        reading.retry(read, 'x')
    assert error.value.errno == number and ('ulimit' in str(error.value)) == (number == errno.EMFILE)


@pytest.mark.parametrize('error', [OSError(errno.EMFILE, 'Too many open files'), OSError(errno.ENOMEM, 'No memory')])
def test_what_a_decoder_lacks_condemns_no_file(monkeypatch, error):
    """Pillow imports the parts that read a format as it needs them."""
    content = cv2.imencode('.png', np.zeros((4, 5, 3), np.uint8))[1].tobytes()

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, 'open', fail)
    with pytest.raises(OSError) as raised:
        image_files.open_image(content)
    assert raised.value is error


@pytest.mark.parametrize('value', [7, (0, 'x'), (1, 0), (0, 1, 2), 'ab'])
def test_a_range_that_is_none_is_one_sentence(value):
    with pytest.raises(ValueError, match=r'value_range must be \(black, white\), .* got '):
        image_files.check_stretch(value, None, 'cv2')


def test_backend_that_cannot_decode_sound_images_is_told(tmp_path):
    grey = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    names = dict(tifffile='sound.jpg', pillow='deep.png')
    assert cv2.imwrite(str(tmp_path / 'sound.jpg'), grey.astype(np.uint8))
    assert cv2.imwrite(str(tmp_path / 'deep.png'), grey)
    (tmp_path / 'damaged.jpg').write_bytes((tmp_path / 'sound.jpg').read_bytes()[:40])
    for backend, name in names.items():
        load = LoadImageFromFile(imdecode_backend=backend)
        with pytest.raises(
            ValueError, match=f"imdecode_backend='{backend}' cannot decode an undamaged image"
        ) as caught:
            load(dict(img_path=str(tmp_path / name)))
        assert not isinstance(caught.value, UnusableFileError) and name in str(caught.value)
        with pytest.raises(UnusableFileError, match='damaged.jpg'):
            load(dict(img_path=str(tmp_path / 'damaged.jpg')))
