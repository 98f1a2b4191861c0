import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'visualization' / 'browse_views.py'
CONFIG = """
default_scope = 'mmvice'
train_dataloader = dict(
    dataset=dict(
        type='UnlabeledImageDataset',
        data_root='images',
        min_size=16,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='SuperpixelSLIC', region_size=8),
            dict(type='ContextualViewCrop', num_views=3, view_size=32),
            dict(type='SuperpixelMask'),
            dict(type='RandomViewFlip'),
            dict(type='MutualRegions'),
            dict(type='PackViCEInputs'),
        ],
    )
)
"""


@pytest.fixture
def browse(tmp_path, monkeypatch):
    """Run the tool in a folder with a config and three images."""
    monkeypatch.chdir(tmp_path)
    Path('config.py').write_text(CONFIG)
    Path('images').mkdir()
    for seed, name in enumerate(('first', 'second', 'third')):
        image = np.random.RandomState(seed).randint(0, 256, (50, 70, 3), dtype=np.uint8)
        cv2.imwrite(f'images/{name}.png', image)
    return lambda *arguments: runpy.run_path(str(TOOL))['main'](['config.py', '--not-show', *arguments])


def test_writes_a_picture_of_each_image_and_says_where(browse, tmp_path, capsys):
    options = ('train_dataloader.dataset.pipeline.2.num_views=4', 'train_dataloader.dataset.pipeline.2.view_size=200')
    browse('--output-dir', 'out', '--show-number', '2', '--cfg-options', *options)
    said = capsys.readouterr()
    assert said.out == f'2 pictures in {tmp_path / "out"}\n' and '2/2' in said.err
    drawn = sorted(Path('out').iterdir())
    assert [path.name for path in drawn] == ['000000_first.png', '000001_second.png']
    assert cv2.imread(str(drawn[0])).shape == (3 * 200 + 2 * 4, 4 * 200 + 3 * 4, 3)


def test_draws_the_same_again(browse):
    browse('--output-dir', 'one')
    browse('--output-dir', 'two')
    names = sorted(path.name for path in Path('one').iterdir())
    assert len(names) == 3
    for name in names:
        assert Path('one', name).read_bytes() == Path('two', name).read_bytes()


def test_says_what_is_wrong_with_the_config(browse):
    with pytest.raises(SystemExit, match='has no val_dataloader'):
        browse('--phase', 'val')
    with pytest.raises(SystemExit, match='must end with PackViCEInputs'):
        browse('--cfg-options', 'train_dataloader.dataset.pipeline.6.type=PackSegInputs')
