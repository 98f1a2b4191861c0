"""tools/benchmark_camvid.py and its collector: the true trainings at a few steps, and what is said of mistakes."""

import json
import os
import re
import runpy
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


@pytest.mark.stress
def test_rows_are_trained_probed_collected_and_drawn(tmp_path):
    make_camvid(tmp_path / 'data' / 'camvid', np.random.default_rng(0))
    short = ['--seeds', 0, '--probes', 'linear-256', '--jobs', 2, '--probe-options', 'train_cfg.max_iters=2']
    short.append('train_dataloader.batch_size=2')
    tried = ['--variant', 'short', 'train_cfg.max_iters=2', 'train_dataloader.batch_size=2']
    status, out, err = call(RUN, '--rows', 'random', 'color-position', *short, cwd=tmp_path)
    assert status == 0, out + err
    status, out, err = call(RUN, '--rows', 'superpixels', *short, *tried, cwd=tmp_path)
    assert status == 0, out + err
    folder = tmp_path / 'work_dirs' / 'benchmark_camvid' / 'cpu'
    result = json.loads((folder / 'superpixels@short/seed-0/table/decoder_linear-256/result.json').read_text())
    assert 0 <= result['mIoU'] <= 100 and len(result['classes']) == 11 and result['steps'] == 2
    assert str(tmp_path) not in json.dumps(result), 'results do not tell of the machine'
    assert (folder / 'superpixels@short/seed-0/pretraining/iter_2.pth').is_file()

    status, out, _ = call(RUN, '--rows', 'superpixels', *short, *tried, cwd=tmp_path)
    assert status == 0 and '2 trainings: 2 finished, 0 left' in out
    status, out, _ = call(COLLECT, 'table', '--export', 'kept', cwd=tmp_path)
    [row] = [line for line in out.splitlines() if line.startswith('| random initialisation  ')]
    assert f'{json.loads(next(folder.rglob("random/**/result.json")).read_text())["mIoU"]:.2f} / ' in row
    assert len(list((tmp_path / 'kept').iterdir())) == 4
    status, out, err = call(COLLECT, 'pictures', '--rows', 'random', 'color-position', '--out', 'shown', cwd=tmp_path)
    assert status == 0, out + err
    page = (tmp_path / 'shown' / 'index.html').read_text()
    assert 'random initialisation: principal components' in page and 'colour and place: principal components' in page


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ['--rows', 'superpixel'],
            'error: there is no row superpixel; there are random, random-zero, color-position, pixels',
        ),
        (['--probes', 'linear-5'], 'error: there is no probe linear-5'),
        (['--variant', 'model.head.k=5'], 'error: --variant takes a name and then KEY=VALUE, got model.head.k=5'),
        (['--rows', 'grid', '--seeds', '0', '--probes'], 'error: there is no folder data/camvid, which has the images'),
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


def test_the_plan_is_listed_with_commands_that_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(RUN))['main'](['--dry-run', '--rows', 'grid', '--seeds', '0', '--probes'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['left', 'grid', 'seed', '0:', 'pretraining']
    assert lines[1].split()[:2] == ['python', 'tools/train.py'] and 'pipeline.2.type=SuperpixelGrid' in lines[1]
