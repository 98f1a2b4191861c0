"""Superpixels stored by the tool: the same training samples as computed ones; every mishap."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvice.datasets import SeededIndex
from mmvice.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmvice_scope')

PROJECT = Path(__file__).parents[2]
CONFIG = """
train_dataloader = dict(dataset=dict(
    type='UnlabeledImageDataset',
    data_root={root!r},
    data_prefix=dict(img_path=['images']),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='ResizeShortestEdge', scale=72, max_size=1000),
        dict(type='CenterCrop', crop_size=(72, 72)),
        dict(type='SuperpixelSLIC', region_size=8),
        dict(type='ContextualViewCrop', num_views=3, view_size=48, scale_range=(0.5, 1.5)),
        dict(type='SuperpixelMask', max_ratio=0.25, preserve_ratio=0.25),
        dict(type='RandomViewFlip', prob=0.5),
        dict(type='ViewColorDistortion', strength=0.5),
        dict(type='MutualRegions'),
        dict(type='PackViCEInputs'),
    ],
))
"""


@pytest.fixture
def tool():
    return runpy.run_path(str(PROJECT / 'tools/dataset_converters/superpixels.py'))['main']


@pytest.fixture
def config(tmp_path):
    """A config, with images in subfolders: one has a name of its own kind, one is no image, one is too small."""
    rng = np.random.default_rng(0)
    for name in ('a.jpg', 'b/c/a.jpg', 'b/a.png', 'b/{stem} ü.png'):
        write_image(tmp_path / 'data/images' / name, rng)
    (tmp_path / 'data/images/broken.jpg').write_bytes(b'no image')
    write_image(tmp_path / 'data/images/tiny.png', rng, (20, 20))
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(tmp_path / 'data')))
    return path


def write_image(path, rng, size=(110, 90)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), size))


def stored(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*.png')}


NAMES = {'images/a.jpg.png', 'images/b/c/a.jpg.png', 'images/b/a.png.png', 'images/b/{stem} ü.png.png'}


@pytest.mark.parametrize('workers', [1, 2])
def test_samples_are_those_of_computed_superpixels_bit_for_bit(tool, config, tmp_path, capsys, workers):
    tool([str(config), str(tmp_path / 'sp'), '--workers', str(workers)])
    out, err = capsys.readouterr()
    assert stored(tmp_path / 'sp') == NAMES
    assert '6 images, about' in out and 'kB an image, mean of 4' in out
    assert 'left out 2 images' in out and "broken.jpg' is not an image" in out and "tiny.png' is too small" in out
    assert '4 complete, 4 of them written now' in err
    lines = out[out.index('_base_ =') :]
    (tmp_path / 'stored.py').write_text(lines)
    datasets = [
        DATASETS.build(Config.fromfile(path).train_dataloader.dataset) for path in (config, tmp_path / 'stored.py')
    ]
    assert [step.type for step in Config.fromfile(tmp_path / 'stored.py').train_dataloader.dataset.pipeline][3:5] == [
        'LoadSuperpixels',
        'ContextualViewCrop',
    ]
    for index in range(6):  # for an image that is left out, another one is drawn
        for epoch in range(2):
            computed, read = (dataset[SeededIndex(index, (7, epoch))] for dataset in datasets)
            assert torch.equal(computed['inputs'], read['inputs'])
            a, b = computed['data_samples'], read['data_samples']
            assert torch.equal(a.regions, b.regions) and torch.equal(a.view_masks, b.view_masks)
            assert (a.img_path, a.num_regions, a.noise_seed) == (b.img_path, b.num_regions, b.noise_seed)


def test_the_printed_config_has_the_settings_of_the_command_line(tool, config, tmp_path, capsys):
    root = str(tmp_path / 'other')
    write_image(Path(root, 'images/x.jpg'), np.random.default_rng(1))
    start = 'train_dataloader.dataset'
    options = [f'{start}.data_root={root}', f'{start}.pipeline.1.scale=60', f'{start}.pipeline.2.crop_size=(60,60)']
    tool([str(config), str(tmp_path / 'sp'), '--workers', '1', '--cfg-options', *options])
    out = capsys.readouterr().out
    (tmp_path / 'stored.py').write_text(out[out.index('_base_ =') :])
    expected = Config.fromfile(config).train_dataloader.dataset
    expected.data_root, expected.pipeline[1].scale, expected.pipeline[2].crop_size = root, 60, (60, 60)
    dataset = Config.fromfile(tmp_path / 'stored.py').train_dataloader.dataset
    assert dataset.pipeline[3] == dict(type='LoadSuperpixels', folder=str(tmp_path / 'sp'), img_root=root)
    for part in (expected, dataset):
        del part.pipeline[3]
    assert dataset == expected
    assert DATASETS.build(Config.fromfile(tmp_path / 'stored.py').train_dataloader.dataset)[0] is not None


def test_an_interrupted_run_goes_on_and_other_settings_are_refused(tool, config, tmp_path, capsys):
    arguments = [str(config), str(tmp_path / 'sp'), '--workers', '1']
    tool(arguments)
    first = {name: (tmp_path / 'sp' / name).read_bytes() for name in NAMES}
    (tmp_path / 'sp/images/a.jpg.png').unlink()
    half = tmp_path / 'sp/images/b/a.png.png'
    half.write_bytes(half.read_bytes()[:50])
    untouched = (tmp_path / 'sp/images/b/c/a.jpg.png').stat().st_mtime_ns
    capsys.readouterr()
    tool(arguments)
    assert '4 complete, 2 of them written now' in capsys.readouterr().err
    assert {name: (tmp_path / 'sp' / name).read_bytes() for name in NAMES} == first
    assert (tmp_path / 'sp/images/b/c/a.jpg.png').stat().st_mtime_ns == untouched
    with pytest.raises(SystemExit, match='made with other settings'):
        tool([*arguments, '--cfg-options', 'train_dataloader.dataset.pipeline.3.region_size=9'])


def test_images_outside_the_root_write_nothing(tool, config, tmp_path):
    write_image(tmp_path / 'secret/a.jpg', np.random.default_rng(0))
    for line in ('../secret/a.jpg', str(tmp_path / 'secret/a.jpg'), 'images/../../secret/a.jpg'):
        (tmp_path / 'data/list.txt').write_text(f'images/a.jpg\n{line}\n')
        options = ['train_dataloader.dataset.ann_file=list.txt', 'train_dataloader.dataset.data_prefix.img_path=""']
        with pytest.raises(SystemExit, match=r'secret/a\.jpg. is not in the folder'):
            tool([str(config), str(tmp_path / 'sp'), '--cfg-options', *options])
    assert not (tmp_path / 'sp').exists() and {p.name for p in (tmp_path / 'secret').iterdir()} == {'a.jpg'}


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ("'CenterCrop', crop_size=(72, 72)", "'RandomFlip', prob=0.5", 'RandomFlip draws random numbers'),
        ("'SuperpixelSLIC', region_size=8", "'TreatAsOriginal'", 'must begin with LoadImageFromFile and have one of'),
        ("dict(type='LoadImageFromFile'),", '', 'must begin with LoadImageFromFile'),
        (
            "'UnlabeledImageDataset'",
            "'CamVidDataset'",
            'must be an UnlabeledImageDataset, but is of type',
        ),
        ("'SuperpixelSLIC', region_size=8", "'SuperpixelGrid', region_size=1", 'files hold 65,536 at most'),
    ],
)
def test_what_cannot_be_stored_is_refused(tool, config, tmp_path, old, new, message):
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new).replace('72', '300' if 'Grid' in new else '72'))
    (tmp_path / 'data/images/b/a.png').unlink()
    with pytest.raises(SystemExit, match=message):
        tool([str(config), str(tmp_path / 'sp'), '--workers', '1'])
    assert not stored(tmp_path / 'sp')


def test_superpixels_are_not_put_among_the_images(tool, config, tmp_path):
    with pytest.raises(SystemExit, match='which is searched for images'):
        tool([str(config), str(tmp_path / 'data/images/sp')])


CLASSES = """
from mmcv.transforms import CenterCrop
from mmseg.datasets.transforms import ResizeShortestEdge
from mmvice.datasets import UnlabeledImageDataset
from mmvice.datasets.transforms import (
    ContextualViewCrop, LoadImageFromFile, MutualRegions, PackViCEInputs, SuperpixelSLIC
)

train_dataloader = dict(dataset=dict(
    type=UnlabeledImageDataset,
    data_root={root!r},
    data_prefix=dict(img_path=['images']),
    pipeline=[
        dict(type=LoadImageFromFile),
        dict(type=ResizeShortestEdge, scale=72, max_size=1000),
        dict(type=CenterCrop, crop_size=(72, 72)),
        dict(type=SuperpixelSLIC, region_size=8),
        dict(type=ContextualViewCrop, num_views=3, view_size=48, scale_range=(0.5, 1.5)),
        dict(type=MutualRegions),
        dict(type=PackViCEInputs),
    ],
))
"""


def test_a_config_of_classes_is_stored_and_the_printed_one_trains_with_the_files(tool, config, tmp_path, capsys):
    config.write_text(CLASSES.format(root=str(tmp_path / 'data')))
    tool([str(config), str(tmp_path / 'sp'), '--workers', '1', '--cfg-options', 'train_dataloader.dataset.min_size=9'])
    out = capsys.readouterr().out
    assert stored(tmp_path / 'sp') >= NAMES
    (tmp_path / 'stored.py').write_text(out[out.index('from mmengine') :])
    computing, reading = (Config.fromfile(path).train_dataloader.dataset for path in (config, tmp_path / 'stored.py'))
    computing.min_size = 9
    assert reading.min_size == 9 and reading.pipeline[3].type == 'LoadSuperpixels'
    computed, read = (DATASETS.build(part)[SeededIndex(0, (7, 0))] for part in (computing, reading))
    assert torch.equal(computed['inputs'], read['inputs'])
    assert torch.equal(computed['data_samples'].regions, read['data_samples'].regions)
    names = [step['type'] for step in json.loads((tmp_path / 'sp/superpixels.json').read_text())['steps']]
    assert names[0] == 'mmvice.datasets.transforms.LoadImageFromFile'


def test_another_data_set_is_named_by_its_class(tool, config, tmp_path):
    text = CLASSES.replace('UnlabeledImageDataset', 'CamVidDataset').format(root=str(tmp_path / 'data'))
    config.write_text(text)
    with pytest.raises(SystemExit, match="must be an UnlabeledImageDataset, but is of type 'CamVidDataset'"):
        tool([str(config), str(tmp_path / 'sp')])
