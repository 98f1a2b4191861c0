"""Keys for which there is no parameter are told of, and keys that MMEngine uses are not."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from mmvice.engine import RunCheckHook
from mmvice.engine.checks import custom_keys as check
from mmvice.registry import MODELS


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


RESNET = dict(type='ResNet', depth=18, base_channels=8)
VIT = dict(type='VisionTransformer', img_size=32, embed_dims=8, num_heads=2, num_layers=1)


@pytest.fixture
def statistics(monkeypatch):
    """What is said of norms whose weights have a rate of 0."""

    def run(keys, backbone=RESNET, decoder=None, **model):
        lines = []
        decoder = decoder or dict(type='LightFPN', embed_dims=8)
        head = dict(type='DenseSwAVHead', num_concepts=4)
        with DefaultScope.overwrite_default_scope('mmvice'), monkeypatch.context() as patch:
            patch.setattr(check, 'print_log', lambda line, logger, level: lines.append(line))
            built = MODELS.build(dict(type='ViCE', backbone=backbone, decoder=decoder, head=head, **model))
            cfg = Config(dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=keys))))
            check.warn_of_moving_statistics(SimpleNamespace(model=built, cfg=cfg))
        return lines

    return run


@pytest.mark.parametrize(('key', 'count'), [('backbone', 21), ('layer1', 5), ('backbone.layer4.0', 3), ('bn', 17)])
def test_a_rate_of_zero_over_batch_norms_is_told_of(statistics, key, count):
    [line] = statistics({key: dict(lr_mult=0)})
    assert f"'{key}' has lr_mult=0, but {count} norms under it, such as backbone." in line
    assert line.endswith("still move their running statistics in every step: model.frozen=('backbone',) keeps them too")


def test_the_advice_names_the_part_that_has_the_norm(statistics):
    norm = dict(
        type='SegHeadDecoder',
        head=dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1, norm_cfg=dict(type='BN')),
    )
    [line] = statistics({'decoder': dict(lr_mult=0.0)}, decoder=norm)
    assert '2 norms under it, such as decoder.' in line
    assert "model.frozen=('decoder',)" in line


def test_each_norm_counts_for_the_key_that_mmengine_takes(statistics):
    """The longest one."""
    assert statistics({'backbone': dict(lr_mult=0), 'backbone.': dict(lr_mult=0.1)}) == []
    [line] = statistics({'backbone.bn1': dict(lr_mult=0)})
    assert '1 norm under it, such as backbone.bn1, still moves its running statistics' in line
    [line] = statistics({'backbone': dict(lr_mult=0.1), 'backbone.layer1': dict(lr_mult=0)})
    assert "'backbone.layer1' has lr_mult=0, but 5 norms" in line


def test_nothing_is_said_where_no_statistics_move(statistics):
    zero = dict(lr_mult=0)
    assert statistics({'backbone': dict(decay_mult=0)}) == statistics({'backbone': dict(lr_mult=0.1)}) == []
    assert statistics({'head': zero, 'decoder': zero, 'conv1': zero}) == [], 'no norm has these names'
    assert statistics({'backbone': zero}, frozen=('backbone',)) == []
    assert statistics({'backbone': zero}, backbone=dict(RESNET, norm_eval=True)) == []
    layer_norms = dict(backbone=VIT, decoder=dict(type='SubpixelDecoder', embed_dims=8))
    assert statistics({'backbone': zero}, **layer_norms) == []


def test_a_training_tells_of_it(train):
    assert train({'backbone': dict(lr_mult=0)})[0] == []
