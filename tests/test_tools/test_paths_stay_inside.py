"""Names of images, in list files or folders, cannot make a tool write outside its output folder."""

import os
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmvice.apis import init_model
from mmvice.engine.hooks import PredictionFilesHook

ROOT = Path(__file__).parents[2]
VICE = ROOT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
CONFIG = """
randomness = dict(seed=0)
train_dataloader = dict(dataset=dict(
    type='UnlabeledImageDataset', data_root='data', ann_file='list.txt',
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='SuperpixelGrid', region_size=8),
        dict(type='ContextualViewCrop', num_views=2, view_size=32, scale_range=(0.5, 1.5)),
        dict(type='MutualRegions'),
        dict(type='PackViCEInputs'),
    ],
))
"""
OUTSIDE = ('../escape.png', 'a/../../escape.png', '{here}/escape.png', '../data2/escape.png', '..')
INSIDE = ('-rf.png', '--output-dir=x.png', 'link/inside.png', 'a/../plain.png', '$(touch x).png', '..png', '....png')


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with images in ``data``, under odd names, and others outside of it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ('data/a', 'data2', 'elsewhere'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'data/link').symlink_to(tmp_path / 'elsewhere')
    names = ('escape.png', 'data2/escape.png', 'elsewhere/inside.png', *(f'data/{name}' for name in INSIDE))
    for name in names:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / name, 'PNG')
    (tmp_path / 'config.py').write_text(CONFIG)
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield tmp_path


def tool(name: str) -> Callable:
    return runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))['main']


def files(folder: Path, leave_out: str = 'out') -> dict[str, bytes]:
    """Everything under a folder but its ``out``."""
    found = [path for path in folder.rglob('*') if path.is_file()]
    return {str(path): path.read_bytes() for path in found if path.relative_to(folder).parts[0] != leave_out}


def write_list(here: Path, *names: str) -> None:
    (here / 'data/list.txt').write_text(''.join(f'{name.format(here=here)}\n' for name in names))


@pytest.mark.parametrize('name', [*OUTSIDE, 'a\0b.png'])
def test_superpixels_of_an_image_outside_are_refused(here, name):
    write_list(here, 'a/../plain.png', name)
    before = files(here)
    with pytest.raises(SystemExit, match=r'is not in the folder|has zero bytes'):
        tool('dataset_converters/superpixels')(['config.py', 'out', '--workers', '1'])
    assert files(here) == before
    assert list((here / 'out').rglob('*.png')) == []


def test_superpixels_of_odd_names_stay_inside(here):
    write_list(here, *INSIDE)
    before = files(here)
    tool('dataset_converters/superpixels')(['config.py', 'out', '--workers', '1'])
    assert files(here) == before
    written = {str(path.relative_to(here / 'out')) for path in (here / 'out').rglob('*.png')}
    assert written == {f'{os.path.normpath(name)}.png' for name in INSIDE}


def test_superpixels_do_not_follow_a_link_in_place_of_a_file(here):
    """Such as one that an archive of somebody else's superpixels brings."""
    write_list(here, 'a/../plain.png')
    (here / 'out').mkdir()
    (here / 'out/plain.png.png').symlink_to(here / 'config.py')
    before = files(here)
    tool('dataset_converters/superpixels')(['config.py', 'out', '--workers', '1'])
    assert files(here) == before
    assert not (here / 'out/plain.png.png').is_symlink()
    assert (here / 'out/plain.png.png').is_file()


def test_pictures_of_views_stay_inside(here):
    write_list(here, *OUTSIDE[:4], *INSIDE)
    before = files(here)
    tool('visualization/browse_views')(['config.py', '--output-dir', 'out', '--not-show'])
    assert files(here) == before
    assert len(list((here / 'out').iterdir())) == 4 + len(INSIDE)


def test_pictures_of_embeddings_stay_inside(here):
    cfg = Config.fromfile(VICE)
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.dump(here / 'vice.py')
    torch.save(dict(state_dict=init_model(here / 'vice.py').state_dict()), here / 'vice.pth')
    before = files(here)
    images = ['data', 'data/a/../../escape.png', str(here / 'data2/escape.png')]
    with_options = ['--device', 'cpu', '--output-dir', 'out']
    tool('visualization/embeddings')(['vice.py', 'vice.pth', *images, '--concepts', '--save-raw', *with_options])
    assert files(here) == before
    assert len(list((here / 'out/panels').rglob('*.png'))) == len(list((here / 'out/concepts').rglob('*.png'))) >= 7
    tool('visualization/compare')(['--model', '../name', 'vice.py', 'vice.pth', *with_options, '--', *images])
    assert files(here) == before
    assert {'index.html', 'index.png'} <= {path.name for path in (here / 'out').iterdir()}


@pytest.mark.parametrize('name', ['../../escape.png', '/escape.png', 'a/../../../escape.png'])
def test_saved_predictions_stay_inside(here, name):
    loader = SimpleNamespace(dataset=type('Images', (list,), dict(get_data_info=list.__getitem__))())
    loader.dataset.append(dict(img_path=name))
    hook, sample = PredictionFilesHook('out'), SegDataSample(metainfo=dict(img_path=name))
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 4, 4))
    before = files(here)
    hook.before_test(SimpleNamespace(test_dataloader=loader))
    hook.after_test_iter(None, 0, {}, [sample])
    assert files(here) == before
    assert [path.name for path in (here / 'out').iterdir()] == ['escape.png']


@pytest.mark.parametrize('line', ['../escape', '/etc/passwd', '1/../../2', '-1', '1\0'])
def test_lists_of_coco_name_nothing_but_numbers(here, line):
    (here / 'list.txt').write_text(f'12\n{line}\n')
    read_ids = runpy.run_path(str(ROOT / 'tools/dataset_converters/coco_stuff27.py'))['read_ids']
    with pytest.raises(ValueError, match='must have an image id of digits on every line'):
        read_ids(here / 'list.txt')


def test_subsets_of_a_list_go_by_the_name_of_the_list_alone(here):
    (here / 'names.txt').write_text('../escape\n/etc/passwd\n-rf\n')
    before = files(here)
    tool('dataset_converters/few_shot_subsets')(['names.txt', 'out', '--ratios', '1'])
    assert files(here) == before
    assert [path.name for path in (here / 'out').iterdir()] == ['names_100pct_seed-0.txt']
