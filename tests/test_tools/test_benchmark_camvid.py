"""tools/benchmark_camvid.py and its collector: the true trainings at a few steps, and what is said of mistakes."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_configs import make_camvid

ROOT = Path(__file__).parents[2]
RUN, COLLECT = ROOT / 'tools' / 'benchmark_camvid.py', ROOT / 'tools' / 'analysis_tools' / 'benchmark_camvid.py'


def call(tool, *arguments, cwd):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(tool), *map(str, arguments)]
    run = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def short_benchmark(folder):
    """The configs with trainings of two steps of two images, in a folder of their own."""
    shutil.copytree(ROOT / 'configs' / '_base_', folder / 'configs' / '_base_')
    copy = folder / 'configs' / 'benchmark' / 'camvid'
    shutil.copytree(ROOT / 'configs' / 'benchmark' / 'camvid', copy)
    for file in (copy / 'cpu').glob('*.py'):
        text = re.sub(r'max_iters=\d+, val_interval=\d+', 'max_iters=2, val_interval=2', file.read_text())
        file.write_text(text.replace('batch_size=8', 'batch_size=2'))
    views = folder / 'configs' / '_base_' / 'datasets' / 'camvid_views_96.py'
    views.write_text(views.read_text().replace('batch_size=4', 'batch_size=2'))
    return copy / 'benchmark.yml'


@pytest.mark.stress
def test_rows_are_trained_probed_collected_and_drawn(tmp_path):
    make_camvid(tmp_path / 'data' / 'camvid', np.random.default_rng(0))
    same = ['--benchmark', short_benchmark(tmp_path)]
    words = [*same, '--rows', 'random', 'superpixels', '--seeds', 0, '--probes', 'linear-256', '--jobs', 2]
    status, out, err = call(RUN, *words, cwd=tmp_path)
    assert status == 0, out + err
    folder = tmp_path / 'work_dirs' / 'benchmark_camvid' / 'cpu'
    result = json.loads((folder / 'superpixels/seed-0/table/decoder_linear-256/result.json').read_text())
    assert 0 <= result['mIoU'] <= 100 and len(result['classes']) == 11 and result['steps'] == 2
    assert result['options']['model.embedder_checkpoint'] == 'superpixels/seed-0/pretraining/iter_2.pth'
    assert str(tmp_path) not in json.dumps(result), 'results do not tell of the machine'
    assert (folder / 'superpixels/seed-0/pretraining/iter_2.pth').is_file()

    status, out, _ = call(RUN, *words, cwd=tmp_path)
    assert status == 0 and '5 trainings: 5 finished, 0 left' in out
    status, out, _ = call(COLLECT, 'table', *same, '--export', 'kept', cwd=tmp_path)
    [row] = [line for line in out.splitlines() if line.startswith('| random initialisation  ')]
    random = json.loads((folder / 'random/seed-0/table/decoder_linear-256/result.json').read_text())
    assert f'{random["mIoU"]:.2f} / ' in row and 'ViCE, superpixels, linear-256 | 0' in re.sub(' +', ' ', out)
    assert len(list((tmp_path / 'kept').iterdir())) == 5
    pictures = ['pictures', *same, '--rows', 'random', 'superpixels', '--out', 'shown']
    status, out, err = call(COLLECT, *pictures, cwd=tmp_path)
    assert status == 0, out + err
    page = (tmp_path / 'shown' / 'index.html').read_text()
    assert 'random initialisation: principal components' in page and 'ViCE, superpixels: principal components' in page
    assert (tmp_path / 'shown' / 'curve.png').stat().st_size > 5000

    tried = [*same, '--rows', 'superpixels', '--seeds', 0, '--probes', '--variant', 'v', 'model.head.num_concepts=8']
    status, out, err = call(RUN, *tried, cwd=tmp_path)
    assert status == 0, out + err
    shutil.rmtree(folder)
    status, out, err = call(RUN, *words, '--kept', 'kept', cwd=tmp_path)
    assert status == 0 and '5 results from kept' in out and '5 trainings: 5 finished, 0 left' in out


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ['--rows', 'superpixel'],
            'error: there is no row superpixel; there are random, random-zero, color-position, pixels',
        ),
        (['--probes', 'linear-5'], 'error: there is no probe linear-5'),
        (['--variant', 'model.head.k=5'], 'error: --variant takes a name and then KEY=VALUE, got model.head.k=5'),
        (
            ['--rows', 'grid', '--seeds', '0', '--probes'],
            'error: there is no folder data/camvid/images/train, which is read',
        ),
        (
            ['--rows', 'grid', '--variant', 'v', 'model.hed.queue_length=0', '--dry-run'],
            'vice.py has no model.hed to be changed',
        ),
        (['--variant', 'name', 'model'], 'error: --variant takes a name and then KEY=VALUE, got name model'),
        (
            ['--rows', 'densecl', '--variant', 'v', 'train_dataloader.dataset.pipeline.SuperpixelSLIC.region_size=3'],
            'has 0 steps SuperpixelSLIC there; its steps are LoadImageFromFile, Resize',
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence_before_anything_runs(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=re.escape(message)):
        runpy.run_path(str(RUN))['main'](arguments)
    assert not list(tmp_path.iterdir())


def test_settings_that_are_tried_are_not_measured_on_the_validation_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tool = runpy.run_path(str(RUN))['main']
    words = ['--rows', 'grid', '--seeds', '0', '--probes', 'linear-11', '--dry-run']
    tool([*words, '--variant', 'v', 'train_cfg.max_iters=5'])
    assert 'grid@v seed 0: tune decoder linear-11' in capsys.readouterr().out
    tool(words)
    assert 'grid seed 0: table decoder linear-11' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool([*words, '--probe-options', 'train_cfg.max_iters=5'])
    assert 'probes of other settings need a name' in capsys.readouterr().err


def test_pictures_need_probes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'runs').mkdir()
    with pytest.raises(SystemExit, match=r'error: .* run random seed 0: table decoder linear-256, or'):
        runpy.run_path(str(COLLECT))['main'](['pictures', '--rows', 'random', '--work-dir', 'runs'])


def test_a_table_needs_results_of_its_size():
    with pytest.raises(SystemExit, match=r'error: .*gpu has no results of --size cpu for this table'):
        runpy.run_path(str(COLLECT))['main'](['table', '--work-dir', str(ROOT / 'docs' / 'camvid_benchmark' / 'gpu')])


def test_the_plan_is_listed_with_commands_that_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(RUN))['main'](['--dry-run', '--rows', 'grid', '--seeds', '0', '--probes'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['left', 'grid', 'seed', '0:', 'pretraining']
    assert lines[1].split()[:2] == ['python', 'tools/train.py'] and 'pipeline.2.type=SuperpixelGrid' in lines[1]


def test_rows_named_first_come_first_and_their_probes_as_soon_as_they_can(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    tool = runpy.run_path(str(RUN))['main']
    tool(['--size', 'gpu', '--dry-run', '--first', 'superpixels', 'grid'])
    names = [line[9:] for line in capsys.readouterr().out.splitlines() if line.startswith('left')]
    trained = [name for name in names if name.endswith(': pretraining')]
    wanted = [f'{row} seed {seed}: pretraining' for seed in (1, 2) for row in ('superpixels', 'grid')]
    assert trained[:4] == wanted and trained[4] == 'random seed 0: pretraining'
    assert all('superpixels' in name or 'grid' in name for name in names[: names.index(trained[0])])
    tool(['--size', 'gpu', '--dry-run'])
    others = [line[9:] for line in capsys.readouterr().out.splitlines() if line.startswith('left')]
    assert sorted(others) == sorted(names) and others[0] == 'random seed 0: pretraining'
