"""tools/visualization/embeddings.py, run on a tiny model and tiny images."""

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvice.apis import embed_image, init_model
from mmvice.visualization import EmbeddingClusters, draw_labels, palette

TOOL = Path(__file__).parents[2] / 'tools' / 'visualization' / 'embeddings.py'
PARTS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
    data_preprocessor=dict(type='ViCEDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, bgr_to_rgb=True),
)
VICE = dict(type='ViCE', **PARTS, head=dict(type='DenseSwAVHead', num_concepts=300))
LINEAR = dict(type='ProbeSegmentor', **PARTS, decode_head=dict(type='LinearProbeHead', num_classes=3))
CLUSTER = dict(type='ProbeSegmentor', **PARTS, decode_head=dict(type='ClusterProbeHead', num_classes=3, num_clusters=5))
SIZES = {'a.png': (40, 56), 'sub/a.jpg': (64, 48), 'sub/c.png': (30, 90)}


def saved(folder: Path, name: str, model: dict, **rest) -> tuple[Path, Path]:
    """Config and checkpoint of a randomly initialised model."""
    config, checkpoint = folder / f'{name}.py', folder / f'{name}.pth'
    cfg = Config(dict(default_scope='mmvice', model=model, **rest))
    cfg.dump(config)
    torch.manual_seed(0)
    built = init_model(cfg)
    if hasattr(built, 'decode_head') and hasattr(built.decode_head, 'centroids'):
        built.decode_head.centroids.normal_()
        built.decode_head.cluster_classes.copy_(torch.arange(5) % 3)
    meta = dict(dataset_meta=dict(classes=('sky', 'road', 'car'), palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    torch.save(dict(state_dict=built.state_dict(), meta=meta if hasattr(built, 'decode_head') else {}), checkpoint)
    return config, checkpoint


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / 'images'
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(TOOL))
    monkeypatch.setattr(names['sys'], 'path', list(names['sys'].path))

    def run(*arguments: object) -> None:
        names['main']([str(argument) for argument in arguments])

    return run


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_concept_ids_come_back_from_the_label_maps(tool, images, tmp_path):
    config, checkpoint = saved(tmp_path, 'vice', VICE)
    tool(config, checkpoint, images, '--concepts', '--save-raw', '--device', 'cpu')
    out = tmp_path / 'work_dirs' / 'vice' / 'embeddings'
    model = init_model(config, checkpoint)
    for name, stem in (('a.png', 'a'), ('sub/a.jpg', 'sub/a'), ('sub/c.png', 'sub/c')):
        expected = (embed_image(model, images / name).dense()[0].permute(1, 2, 0) @ model.head.concepts.T).argmax(2)
        ids = read(out / 'concepts' / f'{stem}.png')
        assert ids.dtype == np.uint16 and ids.shape == SIZES[name]
        assert (ids == expected.numpy()).mean() > 0.999  # rounding may decide ties
        assert read(out / 'panels' / f'{stem}.png').ndim == 3
    assert read(out / 'index.png').ndim == 3
    page = (out / 'index.html').read_text(encoding='utf-8')
    assert page.count('<img') == 9 and '300 concepts' in page and 'src="http' not in page


def test_clusters_are_of_the_fitted_images_and_size_is_what_the_network_sees(tool, images, tmp_path):
    config, checkpoint = saved(tmp_path, 'vice', VICE)
    arguments = (config, checkpoint, images / 'sub' / 'c.png', '--num-clusters', 4, '--save-raw')
    tool(*arguments, '--fit-images', images / '*.png', '--size', 45, '--output-dir', 'one')
    ids = read(tmp_path / 'one' / 'clusters' / 'c.png')
    assert ids.dtype == np.uint8 and ids.shape == (30, 90) and ids.max() < 4
    tool(*arguments, '--fit-images', images / '*.png', '--cfg-options', 'x=1', '--output-dir', 'two')
    assert (read(tmp_path / 'two' / 'clusters' / 'c.png') != ids).any()
    tool(*arguments, '--fit-images', images / '*.png', '--size', 45, '--output-dir', 'three')
    np.testing.assert_array_equal(read(tmp_path / 'three' / 'clusters' / 'c.png'), ids)


@pytest.mark.parametrize('size', [(1300, 900), (400, 300), (90, 1200)])
def test_tools_and_python_see_an_image_alike_to_the_pixel(tool, tmp_path, size):
    """Photographs larger than the pictures too."""
    pipeline = [dict(type='LoadImageFromFile'), dict(type='ResizeShortestEdge', scale=48, max_size=1000)]
    loader = dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=pipeline)))
    config, checkpoint = saved(tmp_path, 'vice', VICE, train_dataloader=loader)
    coarse = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    cv2.imwrite('a.png', cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    tool(config, checkpoint, 'a.png', '--concepts', '--save-raw', '--output-dir', 'out')
    model = init_model(config, checkpoint)
    expected = EmbeddingClusters(model.head.unit_concepts()).assign(embed_image(model, 'a.png'))[0]
    np.testing.assert_array_equal(read(Path('out/concepts/a.png')), expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize('model', [LINEAR, CLUSTER])
def test_a_probe_shows_its_segmentation_with_its_classes(tool, images, tmp_path, model):
    config, checkpoint = saved(tmp_path, 'probe', model)
    tool(config, checkpoint, images, '--save-raw', '--max-images', 2, '--output-dir', 'out')
    probe = init_model(config, checkpoint)
    classes = tmp_path / 'out' / 'classes'
    assert sorted(str(path.relative_to(classes)) for path in classes.rglob('*.png')) == ['a.png', 'sub/a.png']
    with torch.no_grad():
        embeddings = embed_image(probe, images / 'a.png')
        classes = probe.decode_head(embeddings).argmax(1)[0].numpy()
    np.testing.assert_array_equal(read(tmp_path / 'out' / 'classes' / 'a.png'), classes)
    page = (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')
    assert all(name in page for name in ('sky', 'road', 'car', 'rgb(7,8,9)', '2</dd>'))
    if model is CLUSTER:
        clusters = EmbeddingClusters(probe.decode_head.centroids).assign(embeddings)[0]
        np.testing.assert_array_equal(read(tmp_path / 'out' / 'clusters' / 'a.png'), clusters)
        drawn = draw_labels(clusters.repeat(6, 0).repeat(6, 1), palette(5))
        assert drawn.shape == (240, 336, 3)


def test_unreadable_images_are_skipped_and_counted(tool, images, tmp_path, capsys):
    config, checkpoint = saved(tmp_path, 'vice', VICE)
    (images / 'broken.jpg').write_bytes(b'not an image')
    tool(config, checkpoint, images, '--output-dir', 'out')
    said = capsys.readouterr().err
    assert 'skipped 1 of 4 images' in said and "broken.jpg' is not an image" in said
    assert len(list((tmp_path / 'out' / 'panels').rglob('*.png'))) == 3
    with pytest.raises(SystemExit, match='none of 1 images can be read'):
        tool(config, checkpoint, images / 'broken.jpg')


@pytest.mark.parametrize(
    ('model', 'arguments', 'message'),
    [
        (VICE, ('nowhere/*.png',), r'no image found at nowhere/\*\.png'),
        (VICE, ('.', '--fit-images', 'empty'), 'no image found in the folder empty'),
        (LINEAR, ('.', '--concepts'), 'a ProbeSegmentor has no concepts'),
        (VICE, ('.', '--num-clusters', '999999'), '999999 clusters cannot be found'),
    ],
)
def test_mistakes_are_told_in_one_line(tool, images, tmp_path, model, arguments, message):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SystemExit, match=f'^error: {message}|^error: --concepts.*{message}'):
        tool(*saved(tmp_path, 'model', model), *arguments)


def test_missing_checkpoints_are_named(tool, images, tmp_path, capsys):
    config, _ = saved(tmp_path, 'vice', VICE)
    with pytest.raises(SystemExit):
        tool(config, 'gone.pth', images)
    assert 'no such file: gone.pth' in capsys.readouterr().err
