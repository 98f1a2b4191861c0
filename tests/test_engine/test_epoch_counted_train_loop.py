"""Epochs as steps: the length, the schedule over it, and a stop in the middle of an epoch."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvice.apis import build_runner
from mmvice.utils.checkpoint import load_checkpoint_file

CONFIG = Path(__file__).parents[2] / 'configs' / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'


def config(work_dir, max_epochs, images=5, **kwargs):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.launcher, cfg.log_level = str(work_dir), 'none', 'WARNING'
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=2, freeze_concepts_iters=1)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.num_scenes = images
    cfg.train_cfg = dict(type='EpochCountedTrainLoop', max_epochs=max_epochs)
    cfg.param_scheduler = [dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.2)]
    cfg.default_hooks.checkpoint.interval = 1
    cfg.update(kwargs)
    return cfg


def test_steps_follow_from_images_and_batch(tmp_path):
    """5 images in batches of 2 are 3 steps an epoch."""
    runner = build_runner(config(tmp_path, 2))
    runner.train()
    assert runner.max_iters == runner.iter == 6
    assert runner.max_epochs == 2
    assert runner.param_schedulers[0].end == 6
    assert (tmp_path / 'iter_6.pth').is_file() and not (tmp_path / 'iter_7.pth').exists()


def test_fractions_of_an_epoch(tmp_path):
    runner = build_runner(config(tmp_path, 0.01))
    runner.train()
    assert runner.iter == 1


def test_resumed_within_an_epoch(tmp_path):
    build_runner(config(tmp_path / 'whole', 2)).train()
    stopped = config(tmp_path / 'parts', 2, custom_hooks=[])
    runner = build_runner(stopped)
    step = runner.model.train_step

    def stop_after_four(*args, **kwargs):
        if runner.iter == 4:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    runner.model.train_step = stop_after_four
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    build_runner(config(tmp_path / 'parts', 2, resume=True)).train()
    whole, parts = (load_checkpoint_file(tmp_path / name / 'iter_6.pth')['state_dict'] for name in ('whole', 'parts'))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize('epochs', [0, -1])
def test_bad_length(tmp_path, epochs):
    with pytest.raises(ValueError, match='max_epochs'):
        build_runner(config(tmp_path, epochs)).train()
