"""tools/visualization/compare.py, run on tiny models and tiny images."""

import base64
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmvice.apis import embed_image, init_model
from mmvice.utils.reading import read_image
from mmvice.visualization import draw_labels, enlarge_small

TOOL = Path(__file__).parents[2] / 'tools' / 'visualization' / 'compare.py'
PARTS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
    data_preprocessor=dict(type='ViCEDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, bgr_to_rgb=True),
)
VICE = dict(type='ViCE', **PARTS, head=dict(type='DenseSwAVHead', num_concepts=7))
LINEAR = dict(type='ProbeSegmentor', **PARTS, decode_head=dict(type='LinearProbeHead', num_classes=3))
CLUSTER = dict(type='ProbeSegmentor', **PARTS, decode_head=dict(type='ClusterProbeHead', num_classes=3, num_clusters=5))
CLASSES, PALETTE = ('sky', 'road', 'car'), [[250, 0, 0], [0, 250, 0], [0, 0, 250]]
SIZE = (48, 64)


def saved(name, model, classes=CLASSES, **loading):
    """Name, config and checkpoint of a randomly initialised model, as --model takes them."""
    pipeline = [dict(type='LoadImageFromFile', **loading)]
    cfg = Config(dict(default_scope='mmvice', model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    cfg.dump(f'{name}.py')
    torch.manual_seed(0)
    built = init_model(cfg)
    embeddings = embed_image(built, cv2.imread('images/c.png'))
    with torch.no_grad():
        if model is LINEAR:  # classes that embeddings of an image differ in
            conv = built.decode_head.conv_seg
            conv.weight.normal_()
            conv.bias.copy_(-conv.weight.flatten(1) @ embeddings.moments()[0])
        elif model is CLUSTER:
            built.decode_head.centroids.copy_(embeddings.dense()[0, :, 5::10, 40].T)
            built.decode_head.cluster_classes.copy_(torch.arange(5) % 3)
    meta = dict(dataset_meta=dict(classes=classes, palette=PALETTE)) if 'decode_head' in model else {}
    torch.save(dict(state_dict=built.state_dict(), meta=meta), f'{name}.pth')
    return '--model', name, f'{name}.py', f'{name}.pth'


@pytest.fixture
def tool(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    rng = np.random.default_rng(0)
    for folder in ('images/sub', 'labels/sub'):
        Path(folder).mkdir(parents=True)
    for name in ('sub/a', 'sub/b', 'c'):
        coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(f'images/{name}.png', cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC))
        blocks = rng.choice(np.array([0, 1, 2, 255], np.uint8), (3, 4))
        cv2.imwrite(f'labels/{name}.png', blocks.repeat(16, 0).repeat(16, 1))
    main = runpy.run_path(str(TOOL))['main']
    return lambda *argv: main([str(argument) for argument in argv])


def cells(page, number):
    """The pictures of the page, row by row."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 1)[..., ::-1] for one in found]
    return [pictures[i : i + number] for i in range(0, len(pictures), number)]


def assert_like(picture, expected):
    """The same picture, but for JPEG's losses."""
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 6


def painted(image, ids):
    return draw_labels(enlarge_small(ids, 240), PALETTE, enlarge_small(image[..., ::-1], 240), alpha=0.75, border=False)


def test_every_column_shows_what_its_title_says(tool):
    models = saved('linear', LINEAR), saved('clusters', CLUSTER)
    tool(*models[0], *models[1], 'images', '--labels', 'labels', '--output-dir', 'out', '--device', 'cpu')
    page = Path('out/index.html').read_text(encoding='utf-8')
    captions = re.findall('<figcaption>([^<]+)', page)
    assert captions == ['image', 'truth', 'linear', 'clusters'] * 3
    assert all(f'</i>{name}</li>' in page for name in CLASSES)
    rows = cells(page, 4)
    segmentations = []
    for name, row in zip(('c', 'sub/a', 'sub/b'), rows):
        image = cv2.imread(f'images/{name}.png')
        assert_like(row[0], enlarge_small(image[..., ::-1], 240))
        assert_like(row[1], painted(image, cv2.imread(f'labels/{name}.png', 0).astype(int)))
        for picture, (_, _, config, checkpoint) in zip(row[2:], models):
            model = init_model(config, checkpoint)
            with torch.no_grad():
                classes = model.decode_head(embed_image(model, image)).argmax(1)[0].numpy()
            segmentations.append(classes)
            assert_like(picture, painted(image, classes))
    for of_model in (segmentations[::2], segmentations[1::2]):
        assert len(np.unique(of_model)) > 1
    sheet = cv2.imread('out/index.png')
    assert sheet.shape[1] > 4 * 300 and sheet.shape[0] > 3 * 200


def test_other_views_of_a_model_have_columns_of_their_own(tool):
    arguments = [*saved('vice', VICE), *saved('probe', CLUSTER), 'images', '--max-images', 1]
    tool(*arguments, '--pca', '--clusters')
    page = Path('work_dirs/compare/index.html').read_text(encoding='utf-8')
    assert re.findall('<figcaption>([^<]+)', page) == [
        'image',
        *('vice: principal components', 'vice: 7 concepts', 'vice: 16 clusters'),
        *('probe', 'probe: principal components', 'probe: 5 clusters'),
    ]
    tool(*arguments[:4], 'images', '--output-dir', 'plain')
    page = Path('plain/index.html').read_text(encoding='utf-8')
    assert re.findall('<figcaption>([^<]+)', page) == ['image', 'vice: 7 concepts'] * 3


def test_each_model_gets_values_of_more_than_8_bits_as_its_own_loader_reads_them(tool):
    """12 bits: the upper 8 of 16 are dark, a range or percentiles are not."""
    cv2.imwrite('images/deep.png', cv2.imread('images/c.png').astype(np.uint16) * 16)
    saved_models = dict(
        upper=saved('upper', LINEAR),
        ranged=saved('ranged', LINEAR, value_range=(0, 4095)),
        cut=saved('cut', LINEAR, percentiles=(5, 95)),
    )
    options = dict(upper={}, ranged=dict(value_range=(0, 4095)), cut=dict(percentiles=(5, 95)))
    images = {name: read_image('images/deep.png', **how) for name, how in options.items()}
    for order in (['upper', 'ranged', 'cut'], ['ranged', 'upper']):
        tool(*(part for name in order for part in saved_models[name]), 'images/deep.png', '--output-dir', 'out')
        (row,) = cells(Path('out/index.html').read_text(encoding='utf-8'), 1 + len(order))
        assert_like(row[0], enlarge_small(images[order[0]][..., ::-1], 240))
        for picture, name in zip(row[1:], order):
            model = init_model(*saved_models[name][2:])
            with torch.no_grad():
                classes = model.decode_head(embed_image(model, images[name])).argmax(1)[0].numpy()
            assert_like(picture, painted(images[name], classes))
    assert np.abs(images['upper'].astype(int) - images['ranged']).mean() > 50


def test_an_image_that_one_of_the_models_cannot_read_is_skipped(tool, capsys):
    Image.fromarray(np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)).save('images/floats.tiff')
    tool(*saved('ranged', LINEAR, value_range=(0, 1)), *saved('plain', LINEAR), 'images', '--output-dir', 'out')
    assert 'skipped 1 of 4 images' in capsys.readouterr().err
    assert Path('out/index.html').read_text(encoding='utf-8').count('<img') == 3 * 3


def test_unreadable_images_are_skipped(tool, capsys):
    Path('images/broken.png').write_bytes(b'no image')
    tool(*saved('linear', LINEAR), 'images', '--output-dir', 'out')
    assert 'skipped 1 of 4 images' in capsys.readouterr().err
    assert Path('out/index.html').read_text(encoding='utf-8').count('<img') == 6
    with pytest.raises(SystemExit, match='none of 1 images can be read'):
        tool(*saved('linear', LINEAR), 'images/broken.png')


def test_mistakes_are_told_in_one_line(tool, capsys):
    linear = saved('one', LINEAR)
    other = saved('two', LINEAR, classes=('sky', 'road', 'boat'))
    with pytest.raises(SystemExit, match=r"'one' has 3 \(sky, road, car\) but 'two' has 3 \(sky, road, boat\)"):
        tool(*linear, *other, 'images')
    with pytest.raises(SystemExit, match='^error: --labels needs a probe'):
        tool(*saved('vice', VICE), 'images', '--labels', 'labels')
    with pytest.raises(SystemExit, match='none of the 1 images has a label map under images/none'):
        tool(*linear, 'images/sub/a.png', '--labels', 'images/none')
    with pytest.raises(SystemExit, match='^error: no image found at nowhere'):
        tool(*linear, 'nowhere')
    for argv, message in [
        ((*linear, *linear, 'images'), 'every model needs a name of its own, got one, one'),
        (('--model', 'a', 'gone.py', 'one.pth', 'images'), 'no such file or folder: gone.py'),
        ((*linear, 'images', '--suffixes', 'a', 'b'), '--suffixes is about the names of --labels'),
    ]:
        with pytest.raises(SystemExit) as stop:
            tool(*argv)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
