"""The results of runs beside the paper's figures."""

import json
import runpy
import shlex
from pathlib import Path

import cv2
import pytest
from mmengine.runner import CheckpointLoader
from paper_example import CONFIGS, write_example, write_pretraining, write_probe, write_session

from mmvice.experiments.collect import collect
from mmvice.experiments.commands import commands
from mmvice.experiments.plan import Planner
from mmvice.experiments.reader import read_experiments
from mmvice.experiments.results import Results
from mmvice.experiments.tables import select

ROOT = Path(__file__).parents[2]


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells of all rows of the tables in a text, by the row's name."""
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line[:1] == '|']
    return {line[0]: line[1:] for line in lines if line[0].strip('-')}


def collected(experiments, runs: Path, *names: str, charts: Path | None = None) -> str:
    planner = Planner.of(experiments, work_dirs=runs)
    return collect(planner, Results(), select(experiments, names), charts)


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / 'work_dirs'


@pytest.fixture
def rows(tmp_path, runs):
    """The rows of a table of the example: ``rows('1')``."""
    experiments = write_example(tmp_path)
    return lambda name: rows_of(collected(experiments, runs, name))


def test_nothing_is_there_before_it_has_run(rows):
    assert rows('1') == {
        'PiCIE': ['13.84', 'quoted', '–', 'quoted', '', ''],
        'ViCE (L)': ['24.09', '', '62.26', '', '5h 31min', ''],
        'random': ['7.50', ''],
    }
    assert rows('3')['step'][:2] == ['429', '']


def test_the_document_names_tables_groups_and_notes(tmp_path, runs):
    text = collected(write_example(tmp_path), runs, '1')
    assert text.startswith(f'Columns marked *paper* are what the paper prints; the others are of the runs in `{runs}`')
    assert '## table-1: Low resolution\n\n### COCO\n\n|          | mIoU, *paper* | mIoU   | aAcc, *paper* |' in text
    assert text.endswith('\na note\n')


def test_one_finished_run_is_its_value(rows, runs):
    write_session(runs / 'pre', CONFIGS['vice/pre'], {50: 2.0, 100: 60.0}, 100, saved=[100])
    write_probe(runs / 'pre/linear_num_filters-45', mIoU=23.456, aAcc=61.0)
    assert rows('1')['ViCE (L)'] == ['24.09', '23.46', '62.26', '61.00', '5h 31min', '52min']  # 50 x 2 s + 50 x 60 s


def test_several_seeds_are_mean_and_sample_deviation(rows, runs):
    for seed, value in {'': 20.0, '_seed-1': 22.0, '_seed-12': 27.0}.items():
        write_pretraining(runs / f'pre{seed}')
        write_probe(runs / f'pre{seed}/linear_num_filters-45', mIoU=value, aAcc=value)
        write_probe(runs / f'random{seed}', 'probe/random', mIoU=value / 2)
    assert rows('1')['ViCE (L)'][1::2] == ['23.00 ± 3.61 (3)', '23.00 ± 3.61 (3)', '50s ± 0s (3)']
    assert rows('1')['random'][1] == '11.50 ± 1.80 (3)'
    write_pretraining(runs / 'pre_seed-5')  # without a probe
    assert rows('1')['ViCE (L)'][1] == '23.00 ± 3.61 (3 of 4)'


def test_unfinished_runs_say_how_far_they_are(rows, runs):
    write_session(runs / 'pre', CONFIGS['vice/pre'], {50: 1.0}, 100)
    assert rows('1')['ViCE (L)'][1::2] == ['pretraining running (step 50 of 100)'] * 2 + ['running (step 50 of 100)']
    (runs / 'pre/iter_100.pth').touch()
    assert rows('1')['ViCE (L)'][1::2] == ['', '', '50s']
    assert rows('figure-7')['Cityscapes'] == ['26.05', '']
    validated = {500: dict(mIoU=9.0)}
    write_session(runs / 'pre/linear_num_filters-45', CONFIGS['probe/linear'], {550: 0.1}, 1000, validated)
    assert rows('1')['ViCE (L)'][1] == 'running (step 550 of 1000)'
    (runs / 'random/20260101_000000/vis_data').mkdir(parents=True)
    assert rows('1')['random'][1] == 'running (step 0 of 1000)'


def test_a_probe_of_an_unfinished_pretraining_is_no_result(rows, runs):
    write_session(runs / 'pre', CONFIGS['vice/pre'], {50: 1.0}, 100, saved=[50])
    write_probe(runs / 'pre/linear_num_filters-45', mIoU=20.0)
    assert rows('1')['ViCE (L)'][1] == 'pretraining running (step 50 of 100)'


def test_a_folder_with_only_a_benchmark_is_no_run(rows, runs):
    (runs / 'pre').mkdir(parents=True)
    (runs / 'pre/benchmark_train.json').write_text('{"milliseconds": {"Forward": 31.5}}')
    assert rows('3')['step'][:2] == ['429', '31.50']
    assert rows('1')['ViCE (L)'][1::2] == [''] * 3


def test_a_run_cut_short_by_an_option_has_not_finished(rows, runs):
    short = CONFIGS['vice/pre'].replace('max_epochs=4', 'max_epochs=1')
    write_session(runs / 'pre', short, {25: 1.0}, 25, saved=[25])
    assert rows('1')['ViCE (L)'][5] == 'running (step 25 of 100)'
    write_session(runs / 'random', CONFIGS['probe/random'], {5: 0.1}, 5, {5: dict(mIoU=1.0)})
    assert rows('1')['random'][1] == 'running (step 5 of 1000)'


def test_a_run_of_another_kind_is_refused(rows, runs):
    write_session(runs / 'pre', CONFIGS['vice/small'], {25: 1.0}, 500)
    with pytest.raises(ValueError, match='config.py: the length of this run is not in epochs'):
        rows('1')


def test_parts_of_a_resumed_run_are_put_together(rows, runs):
    """The first part logged up to step 75, was resumed at 50, and its slower step 75 does not count."""
    write_session(runs / 'pre', CONFIGS['vice/pre'], {25: 1.0, 50: 1.0, 75: 100.0}, 100)
    write_session(runs / 'pre', CONFIGS['vice/pre'], {70: 2.0, 100: 1.0}, 100, start='20260102_000000', saved=[100])
    assert rows('1')['ViCE (L)'][5] == '2min'  # 50 x 1 s + 20 x 2 s + 30 x 1 s = 120 s


def test_a_run_that_started_afresh_forgets_the_old_one(rows, runs):
    write_probe(runs / 'random', 'probe/random', mIoU=9.0)
    write_session(runs / 'random', CONFIGS['probe/random'], {50: 0.1}, 1000, start='20260102_000000')
    assert rows('1')['random'][1] == 'running (step 50 of 1000)'


def test_a_probe_measured_twice_counts_with_the_latest(rows, runs):
    for day, value in {'2': 8.0, '1': 9.0}.items():
        write_session(
            runs / 'small/cluster', CONFIGS['probe/cluster'], {}, 1, {1: dict(mIoU=value)}, f'2026010{day}_000000'
        )
    assert rows('figure-4')['grid 5'] == ['20.50', '8.00']


def test_differences_are_of_the_same_seed(rows, runs):
    for seed, base, changed in [('', 20.0, 21.0), ('_seed-1', 30.0, 33.0), ('_seed-2', None, 50.0)]:
        write_pretraining(runs / f'pre{seed}')
        write_probe(runs / f'pre{seed}/linear', mIoU=changed)
        if base:
            write_probe(runs / f'small{seed}/linear', mIoU=base)
    assert rows('2')['changed'] == ['34.67 ± 14.57 (3)', '+2.34', '+2.00 ± 1.41 (2 of 3)']


def test_a_difference_waits_for_its_baseline(rows, runs):
    write_pretraining(runs / 'pre')
    write_probe(runs / 'pre/linear', mIoU=21.0)
    assert rows('2')['changed'][1:] == ['+2.34', 'baseline not run']
    write_probe(runs / 'small_seed-1/linear', mIoU=20.0)
    assert rows('2')['changed'][2] == 'baseline has other seeds'


def test_a_metric_that_was_not_logged_is_said_to_be_missing(rows, runs):
    write_probe(runs / 'random', 'probe/random', aAcc=9.0)
    assert rows('1')['random'][1] == 'no mIoU logged'


def test_a_row_may_mix_pretrainings(rows, runs):
    write_session(runs / 'fine_ann_file-half', CONFIGS['finetune/fine'], {20: 0.1}, 20, {20: dict(mIoU=40.0)})
    assert rows('3')['fine-tuned'][2:] == ['', '55.68', '40.00']
    write_session(runs / 'pre/fine_ann_file-half', CONFIGS['finetune/fine'], {20: 0.1}, 20, {20: dict(mIoU=41.0)})
    assert rows('3')['fine-tuned'][2:] == ['41.00', '55.68', '40.00']


def test_a_line_broken_by_a_crash_is_left_out_only_at_the_end(rows, runs):
    file = write_session(runs / 'random', CONFIGS['probe/random'], {50: 0.1, 100: 0.1}, 1000)
    lines = file.read_text().splitlines()
    file.write_text('\n'.join([lines[0], lines[1][:30]]))
    assert rows('1')['random'][1] == 'running (step 50 of 1000)'
    file.write_text('\n'.join([lines[0][:30], lines[1]]))
    with pytest.raises(ValueError, match='scalars.json, line 1 is damaged'):
        rows('1')
    file.write_text('{"loss": 1}\n')
    with pytest.raises(ValueError, match='scalars.json, line 1 lacks the step or time'):
        rows('1')


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'is no JSON file'),
        ('[]', 'must be a mapping'),
        ('{}', 'milliseconds is missing'),
        ('{"milliseconds": {"Forward": "1"}}', 'must be a num'),
    ],
)
def test_a_file_that_is_no_benchmark_is_an_error(rows, runs, content, message):
    (runs / 'pre').mkdir(parents=True)
    (runs / 'pre/benchmark_train.json').write_text(content)
    with pytest.raises(ValueError, match=f'benchmark_train.json.*{message}'):
        rows('3')


def test_charts_are_drawn_of_sweeps_and_curves(tmp_path, runs, monkeypatch):
    drawn = {}
    monkeypatch.setattr('matplotlib.axes.Axes.errorbar', lambda self, *args, label, **_: drawn.update({label: args}))
    for seed, add in {'': 0.0, '_seed-1': 2.0}.items():
        write_pretraining(runs / f'pre{seed}', saved=(50, 100))
        write_probe(runs / f'pre{seed}/linear', mIoU=20.0 + add)
        write_probe(runs / f'pre{seed}/linear_iter-50', mIoU=9.0 + add)
    write_session(runs / 'pre/linear_iter-75', CONFIGS['probe/linear'], {50: 0.1}, 1000)
    text = collected(write_example(tmp_path), runs, 'figure-4', 'figure-7', charts=tmp_path / 'out')
    deviation = pytest.approx((2**0.5, 2**0.5))
    assert drawn == {
        'grid': ((20,), (21.0,), pytest.approx((2**0.5,))),
        'Cityscapes': ((2.0, 4.0), (10.0, 21.0), deviation),
    }
    assert rows_of(text)['Cityscapes'] == ['26.05', '21.00 ± 1.41 (2)']
    assert '| Cityscapes, mIoU | 2     | 4     |' in text
    for name in ('figure-4', 'figure-7'):
        assert f'![{name}]({name}.png)' in text
        picture = cv2.imread(str(tmp_path / f'out/{name}.png'))
        assert picture.std() > 5


def test_pictures_are_said_to_be_made_when_they_are(tmp_path, runs):
    (runs / 'small/figure-5').mkdir(parents=True)
    (runs / 'small/figure-5/a.png').touch()
    text = collected(write_example(tmp_path), runs, 'figure-5')
    assert f'- pictures in `{runs}/small/figure-5`: made\n' in text
    assert f'- pictures in `{runs}/pre/figure-5`: not made\n' in text


def test_a_mean_that_leaves_classes_out_says_over_how_many_it_is(rows, runs):
    write_probe(runs / 'random', 'probe/random', **{'mIoU': 9.0, 'IoU.road': 9.0, 'IoU.sign': float('nan')})
    assert rows('1')['random'][1] == '9.00 over 1 of 2 classes'


REAL_PAPER = """
tables:
  table-1:
    title: real runs
    rows:
    - name: tiny
      pretrain: vice/tiny
      results:
      - {probe: probe/tiny_linear, metrics: {Linear: mIoU}}
      - {probe: probe/tiny_cluster, options: {model.decode_head.num_clusters: 9}, metrics: {Cluster: aAcc}}
      - {source: pretraining, metrics: {Time: train_time}}
      paper: {Linear: 1}
"""
SMALL = 'num_workers=0, persistent_workers=False, dataset=dict(num_scenes=4)'
REAL_CONFIGS = {
    'vice/tiny': f"""_base_ = '{ROOT}/configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
train_dataloader = dict(batch_size=2, {SMALL})
train_cfg = dict(_delete_=True, type='EpochCountedTrainLoop', max_epochs=2)
custom_hooks = []
auto_scale_lr = dict(base_batch_size=2)
""",
    **{
        f'probe/tiny_{kind}': f"""_base_ = '{ROOT}/configs/{kind}_probe/{name}.py'
train_dataloader = dict(batch_size=2, {SMALL})
val_dataloader = dict({SMALL})
{length}"""
        for kind, name, length in [
            (
                'linear',
                'vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128',
                'train_cfg = dict(max_iters=3, val_interval=2)\n',
            ),
            ('cluster', 'vice_r18-w32_light-fpn_cluster-64_synthetic-96x128', 'train_cfg = dict(max_samples=2000)\n'),
        ]
    },
}


@pytest.mark.slow
def test_real_runs_of_the_printed_commands_are_read(tmp_path, monkeypatch, runs):
    """What MMEngine writes today is what the logs are taken to be."""
    for name, content in REAL_CONFIGS.items():
        file = tmp_path / 'configs' / f'{name}.py'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp_path / 'configs/paper.yml').write_text(REAL_PAPER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)
    experiments = read_experiments(tmp_path / 'configs/paper.yml')
    tables = select(experiments, ['1'])
    planner = Planner.of(experiments, work_dirs=runs)
    lines = [line for line in commands(planner, tables, Results()) if not line.startswith('#')]
    assert len(lines) == 3
    for line in lines:
        _, script, *argv = shlex.split(line)
        runpy.run_path(str(ROOT / script))['main'](argv)
    assert commands(planner, tables, Results())[1:] == ['# tiny', '# nothing left to run']
    cells = rows_of(collected(experiments, runs, '1'))['tiny']
    found = {}
    for probe in ('tiny_linear', 'tiny_cluster_num_clusters-9'):
        [file] = (runs / 'tiny' / probe).glob('*/vis_data/scalars.json')
        found[probe] = json.loads(file.read_text().splitlines()[-1])
    assert cells[:3] == [
        '1',
        f'{found["tiny_linear"]["mIoU"]:.2f}',
        f'{found["tiny_cluster_num_clusters-9"]["aAcc"]:.2f}',
    ]
    [file] = (runs / 'tiny').glob('*/vis_data/scalars.json')
    logged = [json.loads(line) for line in file.read_text().splitlines()]
    assert cells[3] == f'{sum(2 * line["time"] for line in logged):.0f}s'  # of each of 2 epochs of 2 steps
