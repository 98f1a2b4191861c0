"""A run that stops and resumes is the run that never stopped, bit for bit on the CPU."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from checkpoints import assert_same_training
from mmengine.config import Config

from mmvice.apis import build_runner
from mmvice.utils.checkpoint import load_checkpoint_file
from mmvice.utils.provenance import provenance

CONFIGS = Path(__file__).parents[1] / 'configs'
CONFIG = CONFIGS / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBE = CONFIGS / 'linear_probe' / 'vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'


def run(work_dir, stop, num_workers=0, resume=False, total=6, seed=0, head=None):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.resume, cfg.launcher, cfg.log_level = str(work_dir), resume, 'none', 'WARNING'
    cfg.randomness.seed = seed
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=2, freeze_concepts_iters=1)
    cfg.model.head = cfg.model.head if head is None else head
    cfg.train_dataloader.update(batch_size=2, num_workers=num_workers, persistent_workers=num_workers > 0)
    cfg.train_dataloader.dataset.num_scenes = 5
    cfg.param_scheduler[0].end = total  # also of a run that stops before
    cfg.train_cfg.max_iters = stop
    cfg.default_hooks.checkpoint.interval = stop
    build_runner(cfg).train()
    return load_checkpoint_file(str(work_dir / f'iter_{stop}.pth'))


@pytest.mark.parametrize('workers', [(0, 0), (0, 2)], ids=['no workers', 'workers after the stop'])
def test_resumed_run_equals_an_unbroken_one(tmp_path, workers):
    whole = run(tmp_path / 'whole', 6)
    run(tmp_path / 'parts', 3, num_workers=workers[0])
    parts = run(tmp_path / 'parts', 6, num_workers=workers[1], resume=True)
    assert_same_training(whole, parts)
    assert whole['state_dict']['head.steps'] == 6
    assert whole['state_dict']['head.queue'].abs().sum() > 0


def test_another_method_resumes_as_well(tmp_path):
    head = dict(type='ODCHead', num_concepts=8, min_size=0.9)
    whole = run(tmp_path / 'whole', 6, head=head)
    run(tmp_path / 'parts', 3, head=head)
    assert_same_training(whole, run(tmp_path / 'parts', 6, resume=True, head=head))
    assert whole['state_dict']['head.sizes'].std() > 0


def test_another_seed_is_another_run(tmp_path):
    """Were nothing random, the test above could not fail."""
    queues = [run(tmp_path / str(seed), 2, seed=seed)['state_dict']['head.queue'] for seed in (0, 1)]
    assert not torch.equal(*queues)


def finish(cfg, work_dir, stop, resume, workers, dropout=False):
    """Train a config up to a step; returns what was saved there."""
    cfg = cfg.copy()
    cfg.work_dir, cfg.resume, cfg.launcher, cfg.log_level = str(work_dir), resume, 'none', 'WARNING'
    cfg.train_cfg.max_iters, cfg.default_hooks.checkpoint.interval = stop, stop
    cfg.train_dataloader.update(batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    runner = build_runner(cfg)
    if dropout:
        runner.model.backbone.register_forward_hook(
            lambda _, __, maps: tuple(F.dropout(values, 0.3) for values in maps) if torch.is_grad_enabled() else maps
        )
    runner.train()
    return load_checkpoint_file(str(work_dir / f'iter_{stop}.pth'))


def small_vice():
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=2, freeze_concepts_iters=1)
    cfg.train_dataloader.dataset.num_scenes, cfg.custom_hooks = 5, []
    cfg.param_scheduler[0].end = 6  # also of a run that stops before
    return cfg


def small_probe():
    cfg = Config.fromfile(PROBE)
    cfg.model.embedder_checkpoint = None
    for name in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[name] = None
    cfg.train_cfg.pop('val_interval')
    cfg.train_dataloader.dataset.update(num_scenes=5, size=(48, 64))
    cfg.param_scheduler[0].end = 6  # also of a run that stops before
    return cfg


@pytest.mark.parametrize('workers', [(0, 0), (0, 2)], ids=['no workers', 'workers after the stop'])
def test_a_resumed_probe_equals_an_unbroken_one(tmp_path, workers):
    """Flips and photometric distortion of labelled images follow the seed, the epoch and the image too."""
    cfg = small_probe()
    whole = finish(cfg, tmp_path / 'whole', 6, False, 0)
    finish(cfg, tmp_path / 'parts', 3, False, workers[0])
    assert_same_training(whole, finish(cfg, tmp_path / 'parts', 6, True, workers[1]))
    cfg.randomness.seed = 1
    other = finish(cfg, tmp_path / 'other', 6, False, 0)
    weights = [checkpoint['state_dict']['decode_head.conv_seg.weight'] for checkpoint in (whole, other)]
    assert not torch.equal(*weights)


def test_dropout_is_the_same_after_a_resume(tmp_path):
    """It draws from PyTorch's global generator, whose state no checkpoint holds."""
    cfg = small_vice()
    whole = finish(cfg, tmp_path / 'whole', 4, False, 0, dropout=True)
    finish(cfg, tmp_path / 'parts', 2, False, 0, dropout=True)
    assert_same_training(whole, finish(cfg, tmp_path / 'parts', 4, True, 0, dropout=True))
    without = finish(cfg, tmp_path / 'without', 4, False, 0)
    assert not torch.equal(without['state_dict']['head.queue'], whole['state_dict']['head.queue'])


@pytest.mark.parametrize('seed', [None, 5], ids=['drawn', 'another in the config'])
def test_a_resumed_run_keeps_its_seed(tmp_path, seed):
    """Also for its data, whose sampler is made before the checkpoint is read."""
    cfg = small_vice()
    cfg.randomness.seed = None
    first = finish(cfg, tmp_path / 'parts', 2, False, 0)
    cfg.randomness.seed = seed
    parts = finish(cfg, tmp_path / 'parts', 4, True, 0)
    assert parts['meta']['seed'] == first['meta']['seed']
    cfg.randomness.seed = first['meta']['seed']
    assert_same_training(finish(cfg, tmp_path / 'whole', 4, False, 0), parts)


def test_a_checkpoint_says_what_wrote_it(tmp_path):
    meta = finish(small_vice(), tmp_path, 1, False, 0)['meta']
    assert {name: meta[name] for name in ('versions', 'git_revision')} == provenance()
    assert meta['seed'] == 0
    assert Config.fromstring(meta['cfg'], '.py').model.head.num_concepts == 8
