"""tools/train.py and tools/test.py from the command line to the numbers."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import line
from hostile_files import Payload
from mmengine.config import Config

from mmvice.cli import save_predictions, show_predictions, use_auto_scale_lr, use_mixed_precision, use_tta
from mmvice.engine.cpu_processes import prepare_cpu_processes
from mmvice.utils.checkpoint import load_checkpoint_file

TOOLS = Path(__file__).parents[2] / 'tools'


def test_resume_goes_on_where_the_run_stopped(tool, toy_config, tmp_path):
    tool('train', toy_config, '--work-dir', 'whole', '--cfg-options', 'train_cfg.max_iters=8')
    tool('train', toy_config, '--work-dir', 'halves', '--resume')
    tool('train', toy_config, '--work-dir', 'halves', '--resume', '--cfg-options', 'train_cfg.max_iters=8')
    torch.testing.assert_close(
        line(tmp_path / 'halves/iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'), rtol=0, atol=0
    )
    assert not torch.equal(line(tmp_path / 'halves/iter_4.pth'), line(tmp_path / 'halves/iter_8.pth'))


def test_resume_prefers_the_work_folder_to_initial_weights(tool, toy_config, tmp_path):
    tool('train', toy_config, '--work-dir', 'first')
    with toy_config.open('a') as config:
        config.write(f'load_from = {str(tmp_path / "first/iter_4.pth")!r}\n')
    tool('train', toy_config, '--work-dir', 'second', '--resume')
    assert load_checkpoint_file(tmp_path / 'second/iter_4.pth')['meta']['iter'] == 4  # not stopped at once as resumed
    tool('train', toy_config, '--work-dir', 'second', '--resume', '--cfg-options', 'train_cfg.max_iters=6')
    assert load_checkpoint_file(tmp_path / 'second/iter_6.pth')['state_dict']['seen'].sum() == 2 * (4 + 6)


def test_resume_refuses_a_checkpoint_with_code(tool, toy_config, tmp_path):
    tool('train', toy_config, '--work-dir', 'run')
    content = torch.load(tmp_path / 'run/iter_4.pth', weights_only=False)
    torch.save(dict(content, extra=Payload(tmp_path / 'made')), tmp_path / 'run/iter_4.pth')
    with pytest.raises(pickle.UnpicklingError, match='was not loaded'):
        tool('train', toy_config, '--work-dir', 'run', '--resume')
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize('arguments, expected', [([], False), (['--amp'], not torch.cuda.is_available())])
def test_amp_on_a_cpu_is_bfloat16(tool, toy_config, tmp_path, arguments, expected):
    tool('train', toy_config, *arguments)
    saved = load_checkpoint_file(tmp_path / 'work_dirs/toy/iter_4.pth')['state_dict']
    assert bool(saved['in_bfloat16']) is expected
    assert saved['line.weight'].dtype == torch.float32


def test_auto_scale_lr_scales_with_the_batch(tool, toy_config, tmp_path):
    tool('train', toy_config, '--auto-scale-lr', '--cfg-options', 'param_scheduler=None')
    group = load_checkpoint_file(tmp_path / 'work_dirs/toy/iter_4.pth')['optimizer']['param_groups'][0]
    assert group['lr'] == pytest.approx(0.01 * 2 / 16)


def test_test_prints_the_metrics(tool, toy_config, tmp_path, capsys):
    tool('train', toy_config)
    capsys.readouterr()
    tool('test', toy_config, tmp_path / 'work_dirs/toy/iter_4.pth')
    assert capsys.readouterr().out.splitlines()[-1] == 'mIoU: 8.00  aAcc: 1.00'


@pytest.mark.parametrize(
    'argv, message',
    [
        (['train', 'no.py'], 'no such file: no.py'),
        (['test', 'no.py', 'no.pth'], 'no such file: no.py'),
        (['test', __file__, 'no.pth'], 'no such file: no.pth'),
    ],
)
def test_missing_files_are_named(tool, capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        tool(*argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('name', ['train', 'test'])
def test_help_names_every_argument(tool, capsys, name):
    with pytest.raises(SystemExit) as stop:
        tool(name, '--help')
    assert stop.value.code == 0
    common = ['--work-dir', '--cfg-options', '--launcher']
    own = dict(
        train=['--resume', '--amp', '--auto-scale-lr'],
        test=['checkpoint', '--out', '--show', '--show-dir', '--wait-time', '--tta'],
    )
    text = capsys.readouterr().out
    assert [word for word in common + own[name] if word not in text] == []


def test_options_that_the_config_cannot_follow_say_what_it_lacks():
    for change, message in [
        (use_auto_scale_lr, 'base_batch_size'),
        (use_tta, 'tta_pipeline and tta_model'),
        (use_mixed_precision, 'ApexOptimWrapper'),
        (lambda cfg: show_predictions(cfg, True, None, 1), 'SegVisualizationHook'),
    ]:
        cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'), test_evaluator=[dict(type='ToyMetric')]))
        with pytest.raises(ValueError, match=message):
            change(cfg)


def test_predictions_are_saved_and_shown_where_asked():
    cfg = Config(
        dict(
            test_evaluator=[dict(type='mmseg.IoUMetric'), dict(type='ToyMetric')],
            default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
            visualizer=dict(type='SegLocalVisualizer'),
            model=dict(type='mmvice.ProbeSegmentor', test_cfg=dict(mode='whole')),
            tta_model=dict(type='B'),
            tta_pipeline=['flip'],
            test_dataloader=dict(dataset=dict(pipeline=['plain'])),
        )
    )
    save_predictions(cfg, 'out')
    show_predictions(cfg, show=False, show_dir='painted', wait_time=1)
    use_tta(cfg)
    assert cfg.custom_hooks == [dict(type='PredictionFilesHook', folder='out')]
    assert cfg.default_hooks.visualization.draw
    assert 'show' not in cfg.default_hooks.visualization
    assert cfg.visualizer.save_dir == 'painted'
    probe = dict(type='mmvice.ProbeSegmentor', test_cfg=dict(mode='whole', seg_logits=True))
    assert cfg.model == dict(type='B', module=probe)
    assert cfg.test_dataloader.dataset.pipeline == ['flip']


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_slurm_processes_without_a_gpu_join_over_gloo(monkeypatch):
    for name, value in dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0', MASTER_ADDR='127.0.0.1').items():
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '7')
    monkeypatch.setenv('MASTER_PORT', '29517')
    norm = dict(type='SyncBN', requires_grad=True)
    cfg = Config(dict(launcher='slurm', model=dict(backbone=dict(norm_cfg=norm), heads=[dict(norm_cfg=norm)])))
    try:
        prepare_cpu_processes(cfg)
        assert torch.distributed.get_backend() == 'gloo'
        assert torch.distributed.get_world_size() == 1
    finally:
        torch.distributed.destroy_process_group()
    assert cfg.model.backbone.norm_cfg.type == cfg.model.heads[0].norm_cfg.type == 'CPUSyncBN'
    assert cfg.model_wrapper_cfg.device_ids is None


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
@pytest.mark.slow
@pytest.mark.parametrize('kind', ['dist_train', 'test'])
def test_two_processes_without_a_gpu(toy_config, tool, tmp_path, kind):
    environment = dict(os.environ, PYTHON=sys.executable, PYTHONPATH=str(Path(__file__).parent), OMP_NUM_THREADS='1')
    environment['PORT'] = str(29600 + os.getpid() % 300)
    command = ['bash', TOOLS / f'{kind}.sh', toy_config]
    if kind == 'test':
        tool('train', toy_config, '--work-dir', tmp_path)
        command.append(tmp_path / 'iter_4.pth')
    run = subprocess.run([*command, '2'], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    if kind == 'test':
        assert 'mIoU: 8.00  aAcc: 2.00' in run.stdout.splitlines()
    else:
        assert load_checkpoint_file(tmp_path / 'work_dirs/toy/iter_4.pth')['meta']['iter'] == 4
        [log] = (tmp_path / 'work_dirs/toy').glob('*/*.log')
        assert 'Distributed launcher: pytorch' in log.read_text()


def test_a_checkpoint_of_another_model_is_refused(tool, toy_config, tmp_path):
    """MMEngine would warn and measure random weights."""
    torch.save(dict(state_dict={'nothing': torch.zeros(1)}, meta={}), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'does not fit the model of this config(?s:.*)unexpected: nothing'):
        tool('test', toy_config, str(tmp_path / 'other.pth'))


def test_a_config_without_a_test_is_told_where_to_go(tool, tmp_path):
    config = Path(__file__).parents[2] / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
    (tmp_path / 'any.pth').touch()
    with pytest.raises(ValueError, match='measured by a probe: train a config of configs/linear_probe'):
        tool('test', config, str(tmp_path / 'any.pth'))
