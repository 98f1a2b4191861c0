"""The last lines of a training."""

import shlex
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmvice.cli import next_step
from mmvice.engine.loops import ClusterFitLoop
from mmvice.models import DenseSwAVHead

VICE = 'configs/vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'


@pytest.fixture
def runner(tmp_path):
    folder = tmp_path / 'my run'
    folder.mkdir()
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_7.pth'))
    dataset = SimpleNamespace(folders=['data/my images'])
    model = SimpleNamespace(head=DenseSwAVHead(6, 5))
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(work_dir=str(folder), iter=7, model=model, train_dataloader=loader, train_loop=None)


def test_after_pretraining(runner, pytestconfig):
    done, look, measuring, measure = next_step(Config.fromfile(pytestconfig.rootpath / VICE), runner).split('\n')
    look, measure = map(shlex.split, (look, measure))
    checkpoint = f'{runner.work_dir}/iter_7.pth'
    assert done == f'Trained for 7 steps: {checkpoint}. See what it has learned:'
    assert measuring == 'Measure it by a probe:'
    config = f'{runner.work_dir}/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'
    assert look == [
        'python', 'tools/visualization/embeddings.py', config, checkpoint, 'data/my images', '--concepts'
    ]  # fmt: skip
    probe = 'configs/linear_probe/vice_r18_light-fpn_linear-64-1k_camvid-96x128.py'
    assert measure == [
        'python', 'tools/train.py', probe, '--cfg-options', f'model.embedder_checkpoint={checkpoint}'
    ]  # fmt: skip
    assert (pytestconfig.rootpath / probe).is_file()


def test_what_has_to_be_filled_in_is_told(runner, tmp_path, monkeypatch):
    """A config outside the project has no probe beside it, and some data sets have no folder."""
    config = tmp_path / 'mine' / 'vice' / 'my.py'
    config.parent.mkdir(parents=True)
    config.write_text('model = dict()')
    lines = next_step(Config.fromfile(config), runner).split('\n')
    assert lines[2] == (
        'Measure it by a probe (put the config of a probe for this embedder in the place of path/to/probe.py):'
    )
    assert shlex.split(lines[3])[2] == 'path/to/probe.py'
    probe = config.parents[1] / 'linear_probe' / 'my_probe.py'
    probe.parent.mkdir()
    probe.write_text("model = dict(embedder_checkpoint='work_dirs/my/iter_7.pth')")
    for folder, expected in ((probe.parent, 'my_probe.py'), (tmp_path / 'my run', str(probe))):
        monkeypatch.chdir(folder)
        lines = next_step(Config.fromfile(config), runner).split('\n')
        assert lines[2] == 'Measure it by a probe:' and shlex.split(lines[3])[2] == expected
    runner.train_dataloader.dataset = SimpleNamespace()
    lines = next_step(Config.fromfile(config), runner).split('\n')
    assert lines[0].endswith('(put the folder of your images in the place of path/to/images):')
    assert shlex.split(lines[1])[4] == 'path/to/images'


def test_after_a_probe_and_where_nothing_was_saved(runner, tmp_path):
    runner.model = SimpleNamespace(decode_head=None)
    file = tmp_path / 'probe.py'
    file.write_text('test_dataloader = dict()')
    done, measure = next_step(Config.fromfile(file), runner).split('\n')
    assert done.endswith('Measure it:')
    assert shlex.split(measure) == [
        'python',
        'tools/test.py',
        f'{runner.work_dir}/probe.py',
        f'{runner.work_dir}/iter_7.pth',
    ]
    runner.iter = 1
    assert next_step(Config.fromfile(file), runner).startswith('Trained for 1 step: ')
    runner.train_loop = ClusterFitLoop.__new__(ClusterFitLoop)  # whose fit counts as a step for hooks
    assert next_step(Config.fromfile(file), runner).startswith(f'Fitted: {runner.work_dir}/iter_7.pth. Measure it:')
    file.write_text('model = dict()')
    assert next_step(Config.fromfile(file), runner) is None
    runner.work_dir = str(tmp_path)
    assert next_step(Config.fromfile(file), runner) is None
