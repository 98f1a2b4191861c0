"""A loss that is not finite ends a run with its batch on disk, and no checkpoint of what came of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmvice.apis import build_runner
from mmvice.engine.failure_report import plain
from mmvice.models import DenseSwAVHead
from mmvice.registry import OPTIM_WRAPPERS
from mmvice.utils.checkpoint import load_checkpoint_file

PROJECT = Path(__file__).parents[3]
TASK = Path(__file__).parent


def train(folder, monkeypatch, **changes):
    monkeypatch.syspath_prepend(str(TASK))
    from breaking_task import CONFIG

    cfg = Config.fromstring(CONFIG, '.py')
    cfg.work_dir = str(folder)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize('what', ['loss', 'inf'])
def test_the_step_its_images_and_the_folder_are_named(tmp_path, monkeypatch, what):
    with pytest.raises(FloatingPointError) as error:
        train(tmp_path, monkeypatch, **{'model.what': what})
    message = str(error.value)
    value = dict(loss='nan', inf='inf')[what]
    assert f'the loss of step 3 is not finite (loss = {value})' in message
    assert 'Images of the batch: images/04.jpg, images/05.jpg.' in message
    assert str(tmp_path / 'non_finite_loss' / 'step_3') in message
    assert 'diagnostic' not in message


def test_no_checkpoint_has_seen_that_step(tmp_path, monkeypatch):
    with pytest.raises(FloatingPointError):
        train(tmp_path, monkeypatch)
    assert Path((tmp_path / 'last_checkpoint').read_text()).name == 'iter_2.pth'
    assert not (tmp_path / 'iter_3.pth').exists()
    state = load_checkpoint_file(tmp_path / 'iter_2.pth')['state_dict']
    assert all(value.isfinite().all() for value in state.values())


def test_the_report_has_the_batch_and_tells_what_is_broken(tmp_path, monkeypatch):
    with pytest.raises(FloatingPointError):
        train(tmp_path, monkeypatch)
    folder = tmp_path / 'non_finite_loss' / 'step_3'
    report = json.loads((folder / 'process_0.json').read_text())
    assert report['losses'] == dict(loss='nan') and report['step'] == 3
    assert report['images'] == ['images/04.jpg', 'images/05.jpg']
    assert report['images_of_the_batch_before'] == ['images/02.jpg', 'images/03.jpg']
    assert report['not_finite'] == ['line.weight', 'line.bias'] and report['norms']['line.bias'] == 'nan'
    assert len(report['last_values']['train/loss']) == 3 and report['last_values']['train/loss'][-1] == 'nan'
    assert Path(report['last_checkpoint']).name == 'iter_2.pth'

    saved = load_checkpoint_file(folder / 'process_0.pth')
    torch.testing.assert_close(torch.stack(saved['batch']['inputs']), torch.tensor([[4.0, 1.0], [5.0, 1.0]]))
    sample = saved['batch']['data_samples'][1]
    assert sample['img_path'] == 'images/05.jpg' and (sample['regions'] == 5).all()
    assert saved['batch_before']['data_samples'][0]['img_path'] == 'images/02.jpg'
    assert 'state_dict' not in saved  # it has taken the step


@OPTIM_WRAPPERS.register_module()
class SkippingWrapper(OptimWrapper):
    """Takes no step on gradients that are not finite, as a loss scaler for fp16 does."""

    def step(self, **kwargs) -> None:
        gradients = [p.grad for group in self.optimizer.param_groups for p in group['params']]
        if all(gradient.isfinite().all() for gradient in gradients):
            super().step(**kwargs)


def test_a_state_that_took_no_step_is_saved_with_the_batch(tmp_path, monkeypatch):
    with pytest.raises(FloatingPointError):
        train(tmp_path, monkeypatch, **{'optim_wrapper.type': 'SkippingWrapper'})
    saved = load_checkpoint_file(tmp_path / 'non_finite_loss' / 'step_3' / 'process_0.pth')
    before = load_checkpoint_file(tmp_path / 'iter_2.pth')['state_dict']
    assert all(torch.equal(saved['state_dict'][name], value) for name, value in before.items())


def test_gradients_that_a_loss_scaler_skips_stop_nothing(tmp_path, monkeypatch):
    changes = {'optim_wrapper.type': 'SkippingWrapper', 'model.what': 'gradient'}
    runner = train(tmp_path, monkeypatch, **changes)
    assert runner.iter == 6 and not (tmp_path / 'non_finite_loss').exists()


def test_values_that_are_no_loss_stop_nothing(tmp_path, monkeypatch):
    assert train(tmp_path, monkeypatch, **{'model.what': 'diagnostic'}).iter == 6


@pytest.mark.parametrize('interval, step, words', [(1, 3, 'after step 3 these weights'), (6, 4, 'the loss of step 4')])
def test_a_broken_gradient_under_a_finite_loss_gets_into_no_checkpoint(tmp_path, monkeypatch, interval, step, words):
    changes = {'model.what': 'gradient', 'default_hooks.checkpoint.interval': interval}
    with pytest.raises(FloatingPointError, match=words):
        train(tmp_path, monkeypatch, **changes)
    for file in tmp_path.glob('iter_*.pth'):
        content = load_checkpoint_file(file)
        assert all(value.isfinite().all() for value in content['state_dict'].values()), file
    assert sorted(file.name for file in tmp_path.glob('*.pth')) == (['iter_1.pth', 'iter_2.pth'] * (interval == 1))
    report = json.loads((tmp_path / 'non_finite_loss' / f'step_{step}' / 'process_0.json').read_text())
    culprit = 'images' if step == 3 else 'images_of_the_batch_before'
    assert report[culprit] == ['images/04.jpg', 'images/05.jpg']


def test_momentum_that_is_not_finite_gets_into_no_checkpoint(tmp_path, monkeypatch):
    """It would break the first step of a resumed run, with weights that are all right."""
    original = OptimWrapper.step

    def step(self, **kwargs):
        original(self, **kwargs)
        for state in self.optimizer.state.values():
            state['momentum_buffer'][:] = torch.inf

    monkeypatch.setattr(OptimWrapper, 'step', step)
    with pytest.raises(FloatingPointError, match=r'optimizer\.state\.0\.momentum_buffer'):
        train(tmp_path, monkeypatch, **{'model.what': 'none'})
    assert not list(tmp_path.glob('*.pth'))


def test_a_folder_that_cannot_be_written_does_not_hide_the_message(tmp_path, monkeypatch):
    (tmp_path / 'non_finite_loss').write_text('in the way')
    with pytest.raises(FloatingPointError, match=r'the loss of step 3(?s:.*)cannot be written'):
        train(tmp_path, monkeypatch)


def test_nothing_changes_in_a_healthy_run(tmp_path, monkeypatch):
    runs = [
        train(tmp_path / hook, monkeypatch, **{'model.what': 'none', 'default_hooks.invalid_loss.type': hook})
        for hook in ('CheckInvalidLossHook', 'SyncBuffersHook')
    ]
    states = [run.model.state_dict() for run in runs]
    assert runs[0].iter == 6 and all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_loss_of_vice_itself(tmp_path, monkeypatch):
    """Pretraining as configured, whose hooks have it."""
    cfg = Config.fromfile(PROJECT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py')
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'log_level': 'WARNING',
        'model.backbone.base_channels': 8, 'model.decoder.in_channels': [8, 16, 32, 64], 'custom_hooks': [],
        'train_dataloader.batch_size': 2, 'train_dataloader.num_workers': 0, 'train_dataloader.pin_memory': False,
        'train_dataloader.persistent_workers': False, 'train_dataloader.dataset.num_scenes': 4,
    })  # fmt: skip
    original = DenseSwAVHead.loss
    steps = []

    def loss(self, *args, **kwargs):
        steps.append(1)
        out = original(self, *args, **kwargs)
        return out if len(steps) < 2 else dict(out, loss=out['loss'] * torch.nan)

    monkeypatch.setattr(DenseSwAVHead, 'loss', loss)
    with pytest.raises(FloatingPointError, match=r'the loss of step 2 is not finite \(loss = nan\)'):
        build_runner(cfg).train()
    saved = load_checkpoint_file(tmp_path / 'non_finite_loss' / 'step_2' / 'process_0.pth')
    inputs, samples = saved['batch']['inputs'], saved['batch']['data_samples']
    assert inputs[0].dtype == torch.uint8 and inputs[0].shape[1:] == (3, 64, 64)
    assert samples[0]['regions'].shape == (len(inputs[0]), 64, 64) and samples[0]['num_regions'] > 0
    assert samples[0]['view_boxes'].shape == (len(inputs[0]), 4)


def run_two_processes(tmp_path, *options):
    """What tools/dist_train.sh says as it trains until it fails."""
    (tmp_path / 'config.py').write_text((TASK / 'breaking_task.py').read_text().split('"""')[3])
    environment = dict(
        os.environ, PYTHON=sys.executable, PYTHONPATH=f'{TASK}:{PROJECT}', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''
    )
    environment['PORT'] = str(29900 + os.getpid() % 90)
    command = ['bash', PROJECT / 'tools' / 'dist_train.sh', tmp_path / 'config.py', '2', '--work-dir', tmp_path / 'run']
    run = subprocess.run(
        [*command, '--cfg-options', *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode != 0
    return run.stderr


@pytest.mark.slow
@pytest.mark.parametrize('rank, interval', [(1, 1), (0, 100)])
def test_two_processes_stop_together_wherever_it_was(tmp_path, rank, interval):
    said = run_two_processes(tmp_path, f'model.rank={rank}', f'default_hooks.checkpoint.interval={interval}')
    # of the three batches of each process, that of the broken one
    first = 4 * 2 + rank
    expected = f'process {rank}. Images of the batch: images/{first:02d}.jpg, images/{first + 2:02d}.jpg.'
    assert said.count(f'the loss of step 3 is not finite (loss = nan) in {expected}') >= 2, said[-3000:]
    saved = sorted(file.name for file in (tmp_path / 'run').glob('iter_*.pth'))
    assert saved == (['iter_1.pth', 'iter_2.pth'] if interval == 1 else [])
    assert (tmp_path / 'run' / 'non_finite_loss' / 'step_3' / f'process_{rank}.pth').is_file()


@pytest.mark.slow
def test_no_process_is_blamed_for_what_all_find(tmp_path):
    """A gradient that breaks in the second process breaks the weights, and so the next loss, of both."""
    said = run_two_processes(tmp_path, 'model.rank=1', 'model.what=gradient', 'default_hooks.checkpoint.interval=6')
    expected = (
        'the loss of step 4 is not finite (loss = nan) in the processes 0, 1. Where it began cannot be told from that'
    )
    assert said.count(expected) >= 2, said[-3000:]
    assert 'Images of the batch' not in said
    for process in (0, 1):
        assert (tmp_path / 'run' / 'non_finite_loss' / 'step_4' / f'process_{process}.pth').is_file()


def test_any_batch_becomes_plain():
    batch = dict(inputs=(torch.ones(2),), data_samples=[dict(path=Path('a'), size=(1, 2), other=object)])
    kept = plain(batch)
    assert torch.equal(kept['inputs'][0], torch.ones(2))
    assert kept['data_samples'][0] == dict(path='a', size=[1, 2], other=str(object))


@pytest.mark.parametrize('kind', ['vice', 'ablation', 'linear_probe', 'cluster_probe', 'finetune'])
def test_the_hook_is_in_configs_of_every_kind(kind):
    for path in sorted((PROJECT / 'configs' / kind).glob('*.py'))[:: 5 if kind != 'finetune' else 1]:
        assert Config.fromfile(path).default_hooks.invalid_loss.type == 'CheckInvalidLossHook', path
