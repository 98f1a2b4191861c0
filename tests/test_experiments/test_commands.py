"""The commands that run a table."""

import subprocess
from pathlib import Path

import pytest
from mmengine.config import DictAction
from paper_example import PAPER, write_example, write_pretraining, write_probe

from mmvice.experiments.commands import commands
from mmvice.experiments.configs import setting
from mmvice.experiments.plan import Planner
from mmvice.experiments.results import Results
from mmvice.experiments.tables import select

PRE = 'python tools/train.py configs/vice/pre.py --work-dir work_dirs/pre'
PRE_32 = 'bash tools/dist_train.sh configs/vice/pre.py 32 --work-dir work_dirs/pre --resume'
SEED = '--cfg-options randomness.seed=0'
PROBE = (
    'python tools/train.py configs/probe/linear.py --work-dir work_dirs/pre/linear_num_filters-45 --resume '
    '--cfg-options model.decode_head.num_filters=45 randomness.seed=0 model.embedder_checkpoint=work_dirs/pre '
    'model.decoder.embed_dims=64'
)
RANDOM = f'python tools/train.py configs/probe/random.py --work-dir work_dirs/random --resume {SEED}'


@pytest.fixture
def lines_of(tmp_path, monkeypatch):
    """The lines of a table of the example: ``lines_of('1', gpus=8)``."""
    monkeypatch.chdir(tmp_path)

    def lines(name: str, text: str = PAPER, missing: bool = False, **kwargs) -> list[str]:
        experiments = write_example(tmp_path, text)
        planner = Planner.of(experiments, **kwargs)
        return commands(planner, select(experiments, [name]), Results() if missing else None)

    return lines


def test_a_table_is_run_as_its_configs_say(lines_of):
    assert lines_of('1') == [
        '# table-1: Low resolution',
        '# COCO, ViCE (L)',
        f'{PRE_32} {SEED}',
        PROBE,
        '# none, random',
        RANDOM,
    ]


def test_other_seeds_have_other_folders(lines_of):
    found = [line for line in lines_of('1', seeds=[0, 1]) if not line.startswith('#')]
    other = [line.replace('seed=0', 'seed=1').replace('/pre', '/pre_seed-1', 2) for line in found[:2]]
    first, probe = (line.replace('vice/pre_seed-1.py', 'vice/pre.py') for line in other)
    assert found[2].split() == first.replace('--work-dir work_dirs/pre ', '--work-dir work_dirs/pre_seed-1 ').split()
    assert found[3] == probe
    assert found[5] == RANDOM.replace('work_dirs/random', 'work_dirs/random_seed-1').replace('seed=0', 'seed=1')


@pytest.mark.parametrize(
    'launch, start, options',
    [
        # a quarter of the images: four times the steps; the queue of all GPUs keeps its 32 x 5000 vectors
        (
            dict(gpus=8),
            f'{PRE_32.replace(" 32 ", " 8 ")} --auto-scale-lr',
            'model.head.queue_start_iter=1252 model.head.freeze_concepts_iters=1252 model.head.queue_length=20000',
        ),
        (
            dict(gpus=1, images_per_gpu=16),
            f'{PRE} --resume --auto-scale-lr',
            'train_dataloader.batch_size=16 model.head.queue_start_iter=2504 model.head.freeze_concepts_iters=2504 '
            'model.head.queue_length=160000',
        ),
        # the same images on fewer GPUs: only the queue of each is longer
        (
            dict(gpus=8, images_per_gpu=16),
            PRE_32.replace(' 32 ', ' 8 '),
            'train_dataloader.batch_size=16 model.head.queue_length=20000',
        ),
        (
            dict(images_per_gpu=8),
            f'{PRE_32} --auto-scale-lr',
            'train_dataloader.batch_size=8 model.head.queue_start_iter=156 model.head.freeze_concepts_iters=156',
        ),
        (dict(gpus=32, images_per_gpu=4), PRE_32, ''),
    ],
)
def test_other_gpus_scale_what_depends_on_them(lines_of, launch, start, options):
    found = lines_of('1', **launch)
    assert found[2].split() == f'{start} --cfg-options {options} randomness.seed=0'.split()
    assert found[3] == PROBE


def test_a_config_for_one_process_runs_in_one(lines_of):
    small = 'python tools/train.py configs/vice/small.py --work-dir work_dirs/small --resume'
    assert lines_of('2')[2] == f'{small} {SEED}'
    assert '# small makes 500 steps, of another number of images here' in lines_of('2', gpus=2)


def test_each_run_is_printed_once(lines_of):
    found = lines_of('all', seeds=[0, 1])
    runs = [line for line in found if not line.startswith('#') and line]
    assert len(runs) == len(set(runs)) and found.count(f'{PRE_32} {SEED}') == 1
    assert found[found.index('# grid, grid 20') + 1] == '# the same runs as above'


def test_files_and_weights_are_made_before_they_are_needed(lines_of):
    fine = 'python tools/train.py configs/finetune/fine.py --work-dir work_dirs'
    assert lines_of('3')[1:] == [
        '# step',  # nothing is read from the run, so that no training is needed
        'python bench.py configs/vice/pre.py --out work_dirs/pre/benchmark_train.json',
        '# fine-tuned',
        f'{PRE_32} {SEED}',
        'python convert.py work_dirs/pre work_dirs/pre/mmseg.pth',
        f'{fine}/pre/fine_ann_file-half --resume --cfg-options dataset.ann_file=lists/half.txt '
        'custom_hooks.0.checkpoint=work_dirs/pre/mmseg.pth randomness.seed=0',
        f'{fine}/fine_ann_file-half --resume --cfg-options dataset.ann_file=lists/half.txt randomness.seed=0',
    ]


def test_pictures_come_after_the_runs_that_they_show(lines_of):
    assert lines_of('figure-5')[1:] == [
        '# pictures of vice/small',
        'python views.py configs/vice/small.py --output-dir work_dirs/small/figure-5',
        '# pictures of vice/pre',
        f'{PRE_32} {SEED}',
        'python tools/train.py configs/probe/cluster.py --work-dir work_dirs/pre/cluster --resume --cfg-options '
        'randomness.seed=0 train_cfg.seed=0 model.embedder_checkpoint=work_dirs/pre model.decoder.embed_dims=64',
        'python look.py configs/probe/cluster.py work_dirs/pre/cluster images --output-dir work_dirs/pre/figure-5',
    ]


def test_a_curve_probes_every_checkpoint_and_the_last_one_in_the_ordinary_folder(lines_of, tmp_path):
    *_, probe, loop = lines_of('figure-7', work_dirs=tmp_path / 'my$runs')
    run = tmp_path / 'my$runs/pre'
    run.mkdir(parents=True)
    for step in (9, 50, 100):
        (run / f'iter_{step}.pth').touch()
    (run / 'last_checkpoint').write_text(str(run / 'iter_100.pth'))
    assert f'model.embedder_checkpoint={run}' in probe and f"--work-dir '{run}/linear' " in probe
    loop = loop.replace('python tools/train.py', "printf '<%s>'")
    done = subprocess.run(['bash', '-ec', loop], capture_output=True, text=True, check=True)
    calls = [
        ['configs/probe/linear.py', '--work-dir', f'{run}/linear_iter-{step}', '--resume', '--cfg-options']
        + [f'model.embedder_checkpoint={run}/iter_{step}.pth', 'randomness.seed=0', 'model.decoder.embed_dims=64']
        for step in (50, 9)
    ]
    assert done.stdout == ''.join(f'<{word}>' for call in calls for word in call)


def test_missing_leaves_out_what_has_finished(lines_of, tmp_path):
    runs = tmp_path / 'runs'
    launch = dict(missing=True, work_dirs=runs)
    assert lines_of('all', **launch) == lines_of('all', work_dirs=runs)
    write_pretraining(runs / 'pre', saved=(50, 100))
    write_probe(runs / 'pre/linear_num_filters-45', mIoU=1.0)
    write_probe(runs / 'pre/linear', mIoU=1.0)
    found = lines_of('1', **launch)
    assert found[1:3] == ['# COCO, ViCE (L)', '# nothing left to run'] and len(found) == 5
    [line] = [line for line in lines_of('figure-7', **launch) if not line.startswith('#')]
    assert f'--work-dir {runs}/pre/linear_iter-50 ' in line and f'embedder_checkpoint={runs}/pre/iter_50.pth' in line
    write_probe(runs / 'pre/linear_iter-50', mIoU=1.0)
    (runs / 'pre/benchmark_train.json').touch()
    (runs / 'pre/figure-5').mkdir()
    write_probe(runs / 'pre/cluster', 'probe/cluster', mIoU=1.0)
    assert lines_of('figure-7', **launch)[1:] == ['# Cityscapes', '# nothing left to run']
    assert lines_of('3', **launch)[1:3] == ['# step', '# nothing left to run']
    assert lines_of('figure-5', **launch)[-2:] == ['# pictures of vice/pre', '# nothing left to run']


def test_words_are_quoted_for_the_shell(lines_of):
    text = PAPER.replace('num_filters: 45}', "num_filters: 45, model.head: 'a$b', model.size: [1, 2]}")
    line = lines_of('1', text=text, work_dirs=Path('my$runs'))[3]
    assert "--work-dir 'my$runs/pre/linear_num_filters-45_head-a-b_size-1-2'" in line
    assert "model.decode_head.num_filters=45 'model.head=a$b' 'model.size=[1,2]'" in line
    assert "python convert.py 'my$runs/pre' 'my$runs/pre'/mmseg.pth" in lines_of('3', work_dirs=Path('my$runs'))


def test_a_folder_that_settings_cannot_name_is_refused(lines_of):
    with pytest.raises(ValueError, match="embedder_checkpoint: 'my runs/pre' cannot be given on a command line"):
        lines_of('1', work_dirs=Path('my runs'))


@pytest.mark.parametrize('value', [(0.5, 1.0), (1,), [1, 'x', None], [(1, 2), 3], ((96, 128), (1, 2))])
def test_a_command_line_says_the_same_value(value):
    key, _, text = setting('train_pipeline.scale', value).partition('=')
    assert (key, DictAction._parse_iterable(text)) == ('train_pipeline.scale', value)


def test_mixed_precision_is_for_pretraining(lines_of):
    found = [line for line in lines_of('1', amp=True) if not line.startswith('#')]
    assert found == [f'{PRE_32} --amp {SEED}', PROBE, RANDOM]
