"""The commands that run a table."""

import subprocess
from pathlib import Path

import pytest
from mmengine.config import DictAction
from paper_example import PAPER, write_example, write_pretraining, write_probe

from mmvice.apis.paper import Launch, commands, select
from mmvice.apis.paper.configs import setting

PRE = 'python tools/train.py configs/vice/pre.py --work-dir work_dirs/pre'
PRE_32 = 'bash tools/dist_train.sh configs/vice/pre.py 32 --work-dir work_dirs/pre --resume'
PROBE = (
    'python tools/train.py configs/probe/linear.py --work-dir work_dirs/pre/linear_num_filters-45 --resume '
    '--cfg-options model.embedder_checkpoint=work_dirs/pre model.decoder.embed_dims=64 model.decode_head.num_filters=45'
)
RANDOM = 'python tools/train.py configs/probe/random.py --work-dir work_dirs/random --resume'


def lines_of(root: Path, name: str, text: str = PAPER, **launch) -> list[str]:
    paper = write_example(root, text)
    return commands(paper, select(paper, [name]), Launch(**launch))


def test_a_table_is_run_as_its_configs_say(tmp_path):
    assert lines_of(tmp_path, '1') == [
        '# table-1: Low resolution',
        '# COCO, ViCE (L)',
        PRE_32,
        PROBE,
        '# none, random',
        RANDOM,
    ]


def test_other_seeds_have_other_folders(tmp_path):
    found = [line for line in lines_of(tmp_path, '1', seeds=2) if not line.startswith('#')]
    assert found == [
        PRE_32,
        PROBE,
        'bash tools/dist_train.sh configs/vice/pre.py 32 --work-dir work_dirs/pre_seed-1 --resume '
        '--cfg-options randomness.seed=1',
        PROBE.replace('work_dirs/pre', 'work_dirs/pre_seed-1') + ' randomness.seed=1',
        RANDOM,
        f'{RANDOM.replace("work_dirs/random", "work_dirs/random_seed-1")} --cfg-options randomness.seed=1',
    ]


@pytest.mark.parametrize(
    'launch, expected',
    [
        # a quarter of the images: four times the steps; the queue of all GPUs keeps its 32 x 5000 vectors
        (
            dict(gpus=8),
            'bash tools/dist_train.sh configs/vice/pre.py 8 --work-dir work_dirs/pre --resume --auto-scale-lr '
            '--cfg-options model.head.queue_start_iter=1252 model.head.freeze_concepts_iters=1252 '
            'model.head.queue_length=20000',
        ),
        (
            dict(gpus=1, images_per_gpu=16),
            f'{PRE} --resume --auto-scale-lr --cfg-options train_dataloader.batch_size=16 '
            'model.head.queue_start_iter=2504 model.head.freeze_concepts_iters=2504 model.head.queue_length=160000',
        ),
        # the same images on fewer GPUs: only the queue of each is longer
        (
            dict(gpus=8, images_per_gpu=16),
            'bash tools/dist_train.sh configs/vice/pre.py 8 --work-dir work_dirs/pre --resume '
            '--cfg-options train_dataloader.batch_size=16 model.head.queue_length=20000',
        ),
        (
            dict(images_per_gpu=8),
            'bash tools/dist_train.sh configs/vice/pre.py 32 --work-dir work_dirs/pre --resume --auto-scale-lr '
            '--cfg-options train_dataloader.batch_size=8 model.head.queue_start_iter=156 '
            'model.head.freeze_concepts_iters=156',
        ),
        (dict(gpus=32, images_per_gpu=4), PRE_32),
    ],
)
def test_other_gpus_scale_what_depends_on_them(tmp_path, launch, expected):
    found = lines_of(tmp_path, '1', **launch)
    assert found[2] == expected
    assert found[3] == PROBE


def test_a_config_for_one_process_runs_in_one(tmp_path):
    found = lines_of(tmp_path, '2')
    assert found[2] == 'python tools/train.py configs/vice/small.py --work-dir work_dirs/small --resume'
    assert '# vice/small makes 500 steps, of another number of images here' in lines_of(tmp_path, '2', gpus=2)


def test_each_run_is_printed_once(tmp_path):
    paper = write_example(tmp_path)
    found = commands(paper, select(paper, ['all']), Launch(seeds=2))
    runs = [line for line in found if not line.startswith('#') and line]
    assert len(runs) == len(set(runs))
    assert found.count(PRE_32) == 1
    assert found[found.index('# grid, grid 20') + 1] == '# the same runs as above'


def test_files_and_weights_are_made_before_they_are_needed(tmp_path):
    assert lines_of(tmp_path, '3')[1:] == [
        '# step',  # nothing is read from the run, so that no training is needed
        'python bench.py configs/vice/pre.py --out work_dirs/pre/benchmark_train.json',
        '# fine-tuned',
        PRE_32,
        'python convert.py work_dirs/pre work_dirs/pre/mmseg.pth',
        'python tools/train.py configs/finetune/fine.py --work-dir work_dirs/pre/fine_ann_file-half '
        '--resume --cfg-options dataset.ann_file=lists/half.txt custom_hooks.0.checkpoint=work_dirs/pre/mmseg.pth',
        'python tools/train.py configs/finetune/fine.py --work-dir work_dirs/fine_ann_file-half --resume '
        '--cfg-options dataset.ann_file=lists/half.txt',
    ]


def test_pictures_come_after_the_runs_that_they_show(tmp_path):
    assert lines_of(tmp_path, 'figure-5')[1:] == [
        '# pictures of vice/small',
        'python views.py configs/vice/small.py --output-dir work_dirs/small/figure-5',
        '# pictures of vice/pre',
        PRE_32,
        'python tools/train.py configs/probe/cluster.py --work-dir work_dirs/pre/cluster --resume --cfg-options '
        'model.embedder_checkpoint=work_dirs/pre model.decoder.embed_dims=64',
        'python look.py configs/probe/cluster.py work_dirs/pre/cluster images --output-dir work_dirs/pre/figure-5',
    ]


def test_a_curve_probes_every_checkpoint(tmp_path):
    *_, loop = lines_of(tmp_path, 'figure-7', work_dirs=tmp_path / 'my$runs')
    for step in (9, 100):
        (tmp_path / 'my$runs/pre').mkdir(parents=True, exist_ok=True)
        (tmp_path / f'my$runs/pre/iter_{step}.pth').touch()
    loop = loop.replace('python tools/train.py', "printf '<%s>'")
    done = subprocess.run(['bash', '-ec', loop], capture_output=True, text=True, check=True)
    calls = [
        ['configs/probe/linear.py', '--work-dir', f'{tmp_path}/my$runs/pre/linear_iter-{step}', '--resume']
        + ['--cfg-options', f'model.embedder_checkpoint={tmp_path}/my$runs/pre/iter_{step}.pth']
        + ['model.decoder.embed_dims=64']
        for step in (100, 9)
    ]
    assert done.stdout == ''.join(f'<{word}>' for call in calls for word in call)


def test_missing_leaves_out_what_has_finished(tmp_path):
    runs = tmp_path / 'runs'
    launch = dict(missing=True, work_dirs=runs)
    before = lines_of(tmp_path, 'all', **launch)
    assert before == lines_of(tmp_path, 'all', work_dirs=runs)
    write_pretraining(runs / 'pre', saved=(50, 100))
    write_probe(runs / 'pre/linear_num_filters-45', mIoU=1.0)
    write_probe(runs / 'pre/linear_iter-100', mIoU=1.0)
    found = lines_of(tmp_path, '1', **launch)
    assert found[1:3] == ['# COCO, ViCE (L)', '# nothing left to run']
    assert len(found) == 5
    [loop] = [line for line in lines_of(tmp_path, 'figure-7', **launch) if not line.startswith('#')]
    assert loop.startswith(f'for file in {runs}/pre/iter_50.pth; do ')
    write_probe(runs / 'pre/linear_iter-50', mIoU=1.0)
    (runs / 'pre/benchmark_train.json').touch()
    (runs / 'pre/figure-5').mkdir()
    write_probe(runs / 'pre/cluster', 'probe/cluster', mIoU=1.0)
    assert lines_of(tmp_path, 'figure-7', **launch)[1:] == ['# Cityscapes', '# nothing left to run']
    assert lines_of(tmp_path, '3', **launch)[1:3] == ['# step', '# nothing left to run']
    assert lines_of(tmp_path, 'figure-5', **launch)[-2:] == ['# pictures of vice/pre', '# nothing left to run']


def test_words_are_quoted_for_the_shell(tmp_path):
    text = PAPER.replace('num_filters: 45}', "num_filters: 45, model.head: 'a$b', model.size: [1, 2]}")
    line = lines_of(tmp_path, '1', text=text, work_dirs=Path('my$runs'))[3]
    assert "--work-dir 'my$runs/pre/linear_num_filters-45_head-a-b_size-1-2'" in line
    assert line.endswith("model.decode_head.num_filters=45 'model.head=a$b' 'model.size=[1,2]'")
    found = lines_of(tmp_path, '3', work_dirs=Path('my$runs'))
    assert "python convert.py 'my$runs/pre' 'my$runs/pre'/mmseg.pth" in found


def test_a_folder_that_settings_cannot_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="embedder_checkpoint: 'my runs/pre' cannot be given on a command line"):
        lines_of(tmp_path, '1', work_dirs=Path('my runs'))


@pytest.mark.parametrize('value', [(0.5, 1.0), (1,), [1, 'x', None], [(1, 2), 3], ((96, 128), (1, 2))])
def test_a_command_line_says_the_same_value(value):
    key, _, text = setting('train_pipeline.scale', value).partition('=')
    assert (key, DictAction._parse_iterable(text)) == ('train_pipeline.scale', value)


def test_mixed_precision_is_for_pretraining(tmp_path):
    found = [line for line in lines_of(tmp_path, '1', amp=True) if not line.startswith('#')]
    assert found == [f'{PRE_32} --amp', PROBE, RANDOM]
