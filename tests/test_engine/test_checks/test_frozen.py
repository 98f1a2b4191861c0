"""A frozen backbone without weights is told of where a decoder learns on it, and nowhere else."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvice.engine.checks import frozen as check
from mmvice.registry import MODELS

PARTS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8),
    decoder=dict(type='LightFPN', embed_dims=8),
)
VICE = dict(type='ViCE', head=dict(type='DenseSwAVHead', num_concepts=4), **PARTS)
PROBE = dict(type='ProbeSegmentor', decode_head=dict(type='LinearProbeHead', num_classes=3), **PARTS)
INIT = dict(type='Pretrained', checkpoint='FILE')


@pytest.fixture
def told(monkeypatch):
    """What is said of a model at a step of a run."""

    def run(model, step=0, **cfg):
        lines = []
        with DefaultScope.overwrite_default_scope('mmvice'), monkeypatch.context() as patch:
            patch.setattr(check, 'print_log', lambda line, logger, level: lines.append((line, level)))
            check.warn_of_frozen_random_weights(
                SimpleNamespace(model=MODELS.build(model), cfg=Config(dict(cfg, model=model)), iter=step)
            )
        return lines

    return run


@pytest.mark.parametrize('model', [VICE, PROBE], ids=['ViCE', 'ProbeSegmentor'])
def test_random_weights_under_a_decoder_that_learns(told, model):
    [(line, level)] = told({**model, 'frozen': ('backbone',)})
    assert level == logging.WARNING
    assert 'the backbone has random weights' in line and 'model.pretrained' in line and 'model.frozen=()' in line


@pytest.mark.parametrize('frozen', [(), ('decoder',), ('backbone', 'decoder')])
def test_another_choice_of_parts_is_no_mistake(told, frozen):
    assert told(dict(VICE, frozen=frozen)) == told(dict(PROBE, frozen=frozen)) == []


def test_nothing_is_said_where_weights_come_from_somewhere(told):
    frozen = dict(VICE, frozen=('backbone',))
    assert told(dict(frozen, pretrained='FILE')) == []
    assert told(dict(frozen, backbone=dict(PARTS['backbone'], init_cfg=INIT))) == []
    assert told(dict(frozen, init_cfg=[INIT])) == []
    assert told(dict(PROBE, frozen=('backbone',), embedder_checkpoint='FILE')) == []
    assert told(frozen, load_from='FILE') == []
    assert told(frozen, step=3) == [], 'a run that goes on'


def test_other_initialisations_are_random(told):
    init = dict(type='Kaiming', layer='Conv2d')
    assert told(dict(VICE, frozen=('backbone',), backbone=dict(PARTS['backbone'], init_cfg=init)))
