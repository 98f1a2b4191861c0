"""A run that stops and resumes is the run that never stopped, bit for bit on the CPU."""

import uuid
from pathlib import Path

import pytest
import torch
from checkpoints import assert_same_training
from mmengine.config import Config

from mmvice.apis import build_runner
from mmvice.utils.checkpoint import load_checkpoint_file

CONFIG = Path(__file__).parents[1] / 'configs' / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'


def run(work_dir, stop, num_workers=0, resume=False, total=6, seed=0):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.resume, cfg.launcher, cfg.log_level = str(work_dir), resume, 'none', 'WARNING'
    cfg.experiment_name = uuid.uuid4().hex  # MMEngine keeps logged curves by this name and the second
    cfg.randomness.seed = seed
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=2, freeze_concepts_iters=1)
    cfg.train_dataloader.update(batch_size=2, num_workers=num_workers, persistent_workers=num_workers > 0)
    cfg.train_dataloader.dataset.num_scenes = 5
    cfg.param_scheduler[0].end, cfg.param_scheduler[1].begin, cfg.param_scheduler[1].end = 2, 2, total
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
    assert whole['state_dict']['head.progress'].tolist()[0] == 6
    assert whole['state_dict']['head.queue'].abs().sum() > 0


def test_another_seed_is_another_run(tmp_path):
    """Were nothing random, the test above could not fail."""
    queues = [run(tmp_path / str(seed), 2, seed=seed)['state_dict']['head.queue'] for seed in (0, 1)]
    assert not torch.equal(*queues)
