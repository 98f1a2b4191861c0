"""The tools over a folder of images of every kind: what can be shown is, and what cannot is named and counted."""

import os
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from awkward_files import encode, scene, unusable_images, usable_images, write_files
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvice.apis import embed_image, init_model

TOOLS = Path(__file__).parents[2] / 'tools'
PARTS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
    data_preprocessor=dict(type='ViCEDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, bgr_to_rgb=True),
)
VICE = dict(type='ViCE', **PARTS, head=dict(type='DenseSwAVHead', num_concepts=7))
LINEAR = dict(type='ProbeSegmentor', **PARTS, decode_head=dict(type='LinearProbeHead', num_classes=3))
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='SuperpixelSLIC', region_size=8),
    dict(type='ContextualViewCrop', num_views=3, view_size=32),
    dict(type='SuperpixelMask'),
    dict(type='RandomViewFlip'),
    dict(type='MutualRegions'),
    dict(type='PackViCEInputs'),
]
USABLE = {name: content for name, (content, *_) in usable_images().items()}
SMALL = {f'{height}x{width}.png': encode(scene(height, width), 'PNG') for height, width in ((1, 1), (1, 300), (2, 9))}
UNUSABLE = {name: content for name, (content, _) in unusable_images().items()}
ODD_NAME = os.fsdecode(b'caf\xe9.png')


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a tool in a folder with images of every kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    write_files(tmp_path / 'images', USABLE | SMALL | UNUSABLE | {ODD_NAME: USABLE['deep.png']})
    (tmp_path / 'images' / 'loop').symlink_to(tmp_path / 'images')
    return lambda name, *argv: runpy.run_path(str(TOOLS / name))['main']([str(argument) for argument in argv])


def saved(model, name='model'):
    """Config and checkpoint of a randomly initialised model."""
    cfg = Config(dict(default_scope='mmvice', model=model))
    cfg.dump(f'{name}.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=init_model(cfg).state_dict(), meta={}), f'{name}.pth')
    return f'{name}.py', f'{name}.pth'


@pytest.mark.parametrize('name', USABLE | SMALL)
def test_images_of_every_kind_can_be_embedded(name, tmp_path):
    content = (USABLE | SMALL)[name]
    write_files(tmp_path, {name: content})
    embeddings = embed_image(init_model(Config(dict(default_scope='mmvice', model=VICE))), tmp_path / name)
    expected = usable_images()[name][1].shape[:2] if name in USABLE else tuple(map(int, name[:-4].split('x')))
    assert embeddings.size == expected and embeddings.dense().isfinite().all()


def assert_told(said, total):
    assert f'skipped {len(UNUSABLE)} of {total} images' in said
    assert sum(f"{name}' " in said for name in UNUSABLE) == 10, 'the first ten are named'


@pytest.mark.slow
def test_embeddings_of_a_mixed_folder(run, capsys):
    config, checkpoint = saved(VICE)
    shown = len(USABLE) + len(SMALL) + 1
    run('visualization/embeddings.py', config, checkpoint, 'images', '--save-raw', '--output-dir', 'out')
    assert_told(capsys.readouterr().err, shown + len(UNUSABLE))
    assert len(list(Path('out/panels').iterdir())) == len(list(Path('out/clusters').iterdir())) == shown
    for name, (_, expected, _) in usable_images().items():
        stem = Path(name).stem
        ids = np.fromfile(f'out/clusters/{stem}.png', np.uint8)
        if sum(Path(other).stem == stem for other in usable_images()) == 1:
            assert cv2.imdecode(ids, cv2.IMREAD_UNCHANGED).shape == expected.shape[:2]


@pytest.mark.slow
def test_comparison_over_a_mixed_folder(run, capsys):
    run('visualization/compare.py', '--model', 'probe', *saved(LINEAR), 'images', '--max-images', 99, '--pca')
    shown = len(USABLE) + len(SMALL) + 1
    assert_told(capsys.readouterr().err, shown + len(UNUSABLE))
    page = Path('work_dirs/compare/index.html').read_text(encoding='utf-8')
    assert page.count('<img') == 3 * shown


def test_comparison_leaves_out_label_maps_that_do_not_fit(run, capsys):
    labels = {f'{number}.png': encode(np.zeros((48, 64), np.uint8), 'PNG') for number in range(6)}
    write_files(Path('few'), dict.fromkeys(labels, USABLE['deep.png']))
    labels['1.png'] = b''
    labels['2.png'] = encode(np.zeros((48, 60), np.uint8), 'PNG')
    labels['3.png'] = encode(np.full((48, 64), 3, np.uint8), 'PNG')
    labels['4.png'] = USABLE['deep.png']
    labels['5.png'] = labels['5.png'][:-30]
    write_files(Path('labels'), labels)
    run('visualization/compare.py', '--model', 'probe', *saved(LINEAR), 'few', '--labels', 'labels')
    said = capsys.readouterr().err
    assert 'skipped 5 of 6 images' in said and Path('work_dirs/compare/index.html').read_text().count('<img') == 3
    for reason in (
        "1.png' is empty",
        "2.png' has 60x48 px, but its image 64x48",
        "3.png' holds the id 3, but the models know the classes 0 to 2",
        "4.png' must have one channel",
        "5.png' cannot be decoded",
    ):
        assert reason in said
    Path('labels/0.png').write_bytes(b'')
    with pytest.raises(SystemExit, match=r"error: none of 6 images can be read; the first: 'labels/0\.png' is empty"):
        run('visualization/compare.py', '--model', 'probe', 'model.py', 'model.pth', 'few', '--labels', 'labels')


def write_config(**options):
    dataset = dict(type='UnlabeledImageDataset', data_root='images', pipeline=PIPELINE, **options)
    Config(dict(default_scope='mmvice', train_dataloader=dict(dataset=dataset))).dump('config.py')


def test_views_of_a_mixed_folder(run, capsys):
    write_config(min_size=1)
    run('visualization/browse_views.py', 'config.py', '--not-show', '--output-dir', 'out')
    assert len(list(Path('out').iterdir())) == len(USABLE) + len(SMALL) + len(UNUSABLE) + 1


def test_superpixels_of_a_mixed_folder(run, capsys):
    write_config()
    with DefaultScope.overwrite_default_scope('mmvice'):
        run('dataset_converters/superpixels.py', 'config.py', 'out', '--workers', 1)
    said = capsys.readouterr().out
    assert f'left out {len(UNUSABLE) + len(SMALL)} images, as training does' in said
    assert {path.name for path in Path('out').glob('*.png')} == {f'{name}.png' for name in (*USABLE, ODD_NAME)}
    for name, (_, expected, _) in usable_images().items():
        ids = cv2.imdecode(np.fromfile(f'out/{name}.png', np.uint8), cv2.IMREAD_UNCHANGED)
        assert ids.shape == expected.shape[:2]
