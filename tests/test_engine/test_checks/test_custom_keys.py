"""Keys for which there is no parameter are told of, and keys that MMEngine uses are not."""

import logging

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmvice.engine import RunCheckHook


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=0 * self.scale * self.head(self.backbone(torch.zeros(3))).sum())


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train one step; give the warnings and, of every parameter's name, its learning rate."""

    def run(custom_keys, name='a'):
        warnings = []
        optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0), paramwise_cfg=dict(custom_keys=custom_keys))
        cfg = dict(
            train_dataloader=dict(
                dataset=[dict(inputs=0)] * 2, sampler=dict(type='DefaultSampler', shuffle=False), batch_size=2
            ),
            train_cfg=dict(by_epoch=False, max_iters=1),
            optim_wrapper=optim_wrapper,
            experiment_name=f'{tmp_path.name}-{name}',
            default_scope='mmvice',
            default_hooks=dict(logger=None, checkpoint=None),
            custom_hooks=[RunCheckHook()],
        )
        runner = Runner(Model(), str(tmp_path / name), cfg=Config(dict(optim_wrapper=optim_wrapper)), **cfg)
        handle = MMLogger.handle

        def note(logger, record):
            if record.levelno == logging.WARNING and 'custom_keys' in record.getMessage():
                warnings.append(record.getMessage())
            handle(logger, record)

        with monkeypatch.context() as patch:
            patch.setattr(MMLogger, 'handle', note)
            model = runner.train()
        rates = {id(group['params'][0]): group['lr'] for group in runner.optim_wrapper.param_groups}
        return warnings, {name: rates[id(parameter)] for name, parameter in model.named_parameters()}

    return run


def test_a_key_without_a_parameter_is_told_of_with_names_that_resemble_it(train):
    [warning], rates = train({'backone': dict(lr_mult=0.5), 'head': dict(lr_mult=0.25)})
    assert rates['backbone.0.weight'] == 1, 'or it would be no mistake'
    assert rates['head.bias'] == 0.25
    assert "custom_keys: 'backone' is part of no parameter's name, so it changes nothing" in warning
    assert warning.endswith('names here are like backbone.0.weight, backbone.1.weight')


def test_without_any_resemblance_some_names_are_given(train):
    [warning], _ = train({'xyzzy': dict(lr_mult=0.5)})
    assert warning.endswith('names here are like .scale, backbone.1.weight, head.bias')


def test_keys_that_mmengine_finds_are_not_told_of(train):
    """It looks for parts of names, and puts a dot before the parameters of the model itself."""
    keys = ('backbone.0', 'bone.1.wei', '.scale', 'head.bias')
    warnings, rates = train({key: dict(lr_mult=0.5) for key in keys})
    assert not warnings
    assert [name for name, rate in rates.items() if rate == 1] == ['backbone.1.bias', 'head.weight']


def test_nothing_is_said_where_there_are_no_keys(train):
    assert train({})[0] == []
