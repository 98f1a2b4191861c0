"""tools/experiments.py: the true trainings at a few steps, all its verbs, and what is said of mistakes."""

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
import torch
from paper_example import CONFIGS, write_example
from small_benchmark import write_benchmark
from test_configs import make_camvid

from mmvice.experiments import execute

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'experiments.py'
CAMVID = ROOT / 'configs' / 'experiments' / 'camvid.yml'


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Run the tool in this process, in an empty folder, and give what it printed: ``tool('list', file)``."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        capsys.readouterr()
        runpy.run_path(str(TOOL))['main']([str(word) for word in words])
        return capsys.readouterr().out

    return run


def short_benchmark(folder):
    """The configs with trainings of two steps of two images, in a folder of their own."""
    configs = folder / 'configs'
    for name in ('_base_', 'benchmark/camvid', 'experiments'):
        shutil.copytree(ROOT / 'configs' / name, configs / name)
    for file in (configs / 'benchmark' / 'camvid' / 'cpu').glob('*.py'):
        text = re.sub(r'max_iters=\d+, val_interval=\d+', 'max_iters=2, val_interval=2', file.read_text())
        file.write_text(text.replace('batch_size=8', 'batch_size=2').replace('batch_size=4', 'batch_size=2'))
    views = configs / '_base_' / 'datasets' / 'camvid_views_96.py'
    views.write_text(views.read_text().replace('batch_size=4', 'batch_size=2'))
    return configs / 'experiments' / 'camvid.yml'


@pytest.mark.stress
def test_rows_are_trained_probed_collected_and_drawn(tmp_path):
    def call(*words):
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        command = [sys.executable, str(TOOL), *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    make_camvid(tmp_path / 'data' / 'camvid', np.random.default_rng(0))
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    file = short_benchmark(tmp_path)
    words = ['run', file, '--rows', 'random', 'superpixels', '--seeds', 0, '--probes', 'linear-256', '--jobs', 2]
    call(*words)
    folder = tmp_path / 'work_dirs' / 'benchmark_camvid' / 'cpu'
    result = json.loads((folder / 'superpixels/table_decoder_linear-256/result.json').read_text())
    assert 0 <= result['mIoU'] <= 100 and len(result['classes']) == 11 and result['steps'] == 2
    assert result['options']['model.embedder_checkpoint'] == 'superpixels/iter_2.pth'
    assert str(tmp_path) not in json.dumps(result), 'results do not tell of the machine'
    assert (folder / 'superpixels/iter_2.pth').is_file()

    assert '5 trainings: 5 finished, 0 left' in call(*words)
    out = call('collect', file, '--export', 'kept.jsonl')
    [row] = [line for line in out.splitlines() if line.startswith('| random initialisation  ')]
    random = json.loads((folder / 'random/table_decoder_linear-256/result.json').read_text())
    assert f'{random["mIoU"]:.2f} / ' in row and 'ViCE, superpixels, linear-256 | 0' in re.sub(' +', ' ', out)
    assert len((tmp_path / 'kept.jsonl').read_text().splitlines()) == 5
    call('pictures', file, '--rows', 'random', 'superpixels', '--out', 'shown', '--add', '--max-images 2')
    page = (tmp_path / 'shown' / 'index.html').read_text()
    assert 'random initialisation: principal components' in page and 'ViCE, superpixels: principal components' in page
    assert (tmp_path / 'shown' / 'camvid.png').stat().st_size > 5000

    tried = ['--rows', 'superpixels', '--seeds', 0, '--probes', '--variant', 'v', 'model.head.num_concepts=8']
    call('run', file, *tried)
    shutil.rmtree(folder)
    assert '5 trainings: 5 finished, 0 left' in call(*words, '--kept', 'kept.jsonl')


@pytest.mark.parametrize(
    'words, message',
    [
        (['--rows', 'superpixel'], 'there is no row superpixel; there are random, random-zero, color-position, pixels'),
        (['--probes', 'linear-5'], 'there is no probe linear-5'),
        (['--variant', 'model.head.k=5'], '--variant takes a name and then KEY=VALUE, got model.head.k=5'),
        (['--rows', 'grid', '--seeds', '0', '--probes'], 'there is no folder data/camvid/images/train, which is read'),
        (['--rows', 'grid', '--variant', 'v', 'model.hed.k=0', '--dry-run'], 'vice.py has no model.hed to be changed'),
        (['--variant', 'name', 'model'], '--variant takes a name and then KEY=VALUE, got name model'),
        (['--probe-options', 'train_cfg.max_iters=5'], 'settings that are tried: need a name'),
        (
            ['--rows', 'densecl', '--variant', 'v', 'train_dataloader.dataset.pipeline.SuperpixelSLIC.region_size=3'],
            'has 0 steps SuperpixelSLIC there; its steps are LoadImageFromFile, Resize',
        ),
        (['--kept', 'none.jsonl'], 'No such file'),
    ],
)
def test_a_mistake_is_told_before_anything_runs(words, message, tmp_path, tool):
    with pytest.raises(SystemExit, match=f'error: (.*\n)*.*{re.escape(message)}'):
        tool('run', CAMVID, *words)
    assert not list(tmp_path.iterdir())


def test_settings_that_are_tried_are_not_measured_on_the_validation_images(tool):
    words = ['run', CAMVID, '--rows', 'grid', '--seeds', '0', '--probes', 'linear-11', '--dry-run']
    assert 'grid@v seed 0: tune decoder linear-11' in tool(*words, '--variant', 'v', 'train_cfg.max_iters=5')
    lines = tool(*words).splitlines()
    assert [line.split(maxsplit=1) for line in lines[::2]] == [
        ['left', 'grid seed 0: pretraining'],
        ['left', 'grid seed 0: table decoder linear-11'],
    ]
    assert lines[1].split()[:2] == ['python', 'tools/train.py'] and 'pipeline.2.type=SuperpixelGrid' in lines[1]


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (
            ['--size', 'gpu', '--minutes', 9],
            'trainings at a time: 3 (16 cores, 5 each; 100 GiB free on the GPU, 8 each;',
        ),
        (['--size', 'gpu', '--minutes', 9, '--jobs', 7], None),
        (['--size', 'cpu'], 'trainings at a time: 1 (the file names no needs of this size)'),
    ],
)
def test_how_many_trainings_run_at_a_time_is_said_unless_it_is_given(tool, monkeypatch, words, expected):
    workers = []

    class Nothing:
        stopped = True

        def __init__(self, _train, _results, count, say, _seconds):
            workers.append(count)
            self.run = lambda _jobs: {}

    monkeypatch.setattr(execute, 'Executor', Nothing)
    monkeypatch.setattr(execute, 'check_data', lambda _: None)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(16))
    for name, value in dict(is_available=True, device_count=1, mem_get_info=(100 * 2**30, 139 * 2**30)).items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    said = tool('run', CAMVID, '--rows', 'grid', '--seeds', 1, '--probes', 'linear-11', *words)
    assert workers == [int(expected.split()[4]) if expected else 7]
    assert expected in said if expected else 'at a time' not in said


def test_a_table_says_which_results_it_does_not_have(tool, tmp_path):
    gpu = ROOT / 'docs' / 'camvid_benchmark' / 'gpu.jsonl'
    assert '42.28 / 80.40' in tool('collect', CAMVID, '--size', 'gpu', '--kept', gpu, '--rows', 'superpixels')
    assert '42.28' not in tool('collect', CAMVID, '--kept', gpu, '--rows', 'superpixels')
    listed = tool('run', CAMVID, '--size', 'gpu', '--kept', gpu, '--rows', 'grid', '--seeds', 0, '--dry-run')
    assert listed.count('kept') == 7
    words = ['--size', 'gpu', '--kept', gpu, '--rows', 'superpixels', '--seeds', 0, '--probes', 'linear-256']
    assert '5 trainings: 5 finished, 0 left' in tool('run', CAMVID, *words), 'nothing is trained, and no GPU is needed'
    assert '42.28 / 80.40' in (tmp_path / 'work_dirs/benchmark_camvid/gpu/camvid.md').read_text()


def test_rows_named_first_come_first_and_their_probes_as_soon_as_they_can(tool):
    def names(*words):
        found = tool('run', CAMVID, '--size', 'gpu', '--probes', 'linear-11', '--dry-run', *words)
        return [line[9:] for line in found.splitlines() if line.startswith('left')]

    found = names('--first', 'superpixels', 'grid')
    trained = [name for name in found if name.endswith(': pretraining')]
    wanted = [f'{row} seed {seed}: pretraining' for seed in (1, 2) for row in ('superpixels', 'grid')]
    assert trained[:4] == wanted and trained[4] == 'random seed 0: pretraining'
    assert all('superpixels' in name or 'grid' in name for name in found[: found.index(trained[0])])
    others = names()
    assert sorted(others) == sorted(found) and others[0] == 'random seed 0: pretraining'


def test_the_tool_lists_commands_and_collects_the_paper(tool, tmp_path):
    write_example(tmp_path)
    file = tmp_path / 'configs/paper.yml'
    assert tool('list', file).count('\n## ') == 5
    found = tool('commands', file, '1', '--gpus', '8', '--seeds', '0-1', '--missing', '--work-dirs', 'runs')
    assert 'configs/vice/pre.py 8 --work-dir runs/pre_seed-1 --resume --auto-scale-lr' in found
    tool('collect', file, 'all', '--work-dirs', 'runs', '--out', 'out/all.md')
    assert '## figure-7' in (tmp_path / 'out/all.md').read_text()
    assert (tmp_path / 'out/figure-7.png').is_file()  # the paper's figures alone
    with pytest.raises(SystemExit, match='error: there is no table table-99; there are table-1'):
        tool('list', file, 'table-99')
    with pytest.raises(SystemExit, match='error: .*no.yml'):
        tool('collect', 'no.yml')


def test_rows_that_cannot_be_run_are_named(tool, tmp_path, monkeypatch):
    monkeypatch.setitem(CONFIGS, 'vice/pre', CONFIGS['vice/pre'].replace('depth=18', 'depth=34'))
    write_example(tmp_path)
    with pytest.raises(
        SystemExit, match='has rows that cannot be run:\n  table-2, row .changed.: model.backbone.depth'
    ):
        tool('commands', tmp_path / 'configs/paper.yml', '2')


def test_a_table_of_ones_own_is_twenty_lines(tool):
    file = ROOT / 'configs' / 'experiments' / 'example.yml'
    lines = [line for line in file.read_text().splitlines() if line.strip() and not line.lstrip().startswith('#')]
    assert len(lines) <= 20
    text = tool('collect', file)
    assert '*paper*' in text and 'Δ ' in text and '× ' in text
    assert tool('run', file, '--dry-run').count('left') >= 10


def test_documents_are_filled_with_the_tables_of_their_marks(tool, tmp_path):
    file = write_benchmark(tmp_path / 'benchmark')
    document = tmp_path / 'page.md'
    document.write_text(f'before\n<!-- collect {file} --rows grid -->\nold\n<!-- end -->\nafter\n')
    tool('document', document)
    text = document.read_text()
    assert 'old' not in text and '\n| on a grid |' in text and 'nothing learned' not in text
    assert text.startswith('before\n') and text.endswith('<!-- end -->\nafter\n')
    tool('document', document)
    assert document.read_text() == text


@pytest.mark.parametrize('verb', ['list', 'commands', 'run', 'collect', 'pictures', 'steps', 'document'])
def test_help_explains_each_verb(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOL))['main']([verb, '--help'])
    assert stop.value.code == 0 and 'FILE' in capsys.readouterr().out
