"""A config of Python's own imports, in which types are classes, as tools/train.py reads it."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmvice.engine.checks.settings import check_setting_names

BASE = """
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from toy_task import ToyModel, ToyPoints
from torch.optim import SGD


default_scope = 'mmvice'
randomness = dict(seed=0)
model = dict(type=ToyModel)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.01))
train_dataloader = dict(batch_size=2, dataset=dict(type=ToyPoints), sampler=dict(type=DefaultSampler, shuffle=False))
train_cfg = dict(by_epoch=False, max_iters=4)
default_hooks = dict(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=2))
"""
CONFIG = """
from mmengine.config import read_base

with read_base():
    from .base import *

train_cfg.update(max_iters=2)
"""


def test_a_config_of_classes_trains_with_mixed_precision(tool, tmp_path: Path):
    (tmp_path / 'base.py').write_text(BASE)
    config = tmp_path / 'new.py'
    config.write_text(CONFIG)
    assert Config.fromfile(config).optim_wrapper.type is OptimWrapper
    tool('train', config, '--amp', '--work-dir', 'out')
    trained = torch.load(tmp_path / 'out' / 'iter_2.pth', weights_only=False)
    assert trained['state_dict']['in_bfloat16'] == (not torch.cuda.is_available())
    assert trained['meta']['iter'] == 2
    written = Config.fromfile(next((tmp_path / 'out').glob('*.py')))
    check_setting_names(written)
    assert written.train_cfg.max_iters == 2
