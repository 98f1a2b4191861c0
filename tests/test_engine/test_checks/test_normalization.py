"""Mean, standard deviation and order of colours that the encoder does not expect are told of, with both values."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvice.apis import init_model
from mmvice.engine import RunCheckHook
from mmvice.engine.checks import normalization as check
from mmvice.models.utils import EncoderInfo
from mmvice.registry import MODELS

MODELS_OF_CONFIGS = sorted((Path(__file__).parents[3] / 'configs' / '_base_' / 'models').glob('*.py'))
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
TF = dict(mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)
TIMM_IMAGENET = tuple(255 * v for v in (0.485, 0.456, 0.406)), tuple(255 * v for v in (0.229, 0.224, 0.225))


@pytest.fixture
def lines(monkeypatch):
    told = []
    monkeypatch.setattr(check, 'print_log', lambda line, logger, level: told.append(line))
    return told


def build(preprocessor, expected=None):
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(
            dict(
                type='ViCE',
                backbone=dict(type='ResNet', depth=18, base_channels=4),
                decoder=dict(type='LightFPN', embed_dims=4),
                head=dict(type='ODCHead', num_concepts=4),
                data_preprocessor=preprocessor and dict(type='ViCEDataPreprocessor', **preprocessor),
            )
        )
    if expected is not None:
        model.encoder = EncoderInfo((4,), (4,), None, *expected)
    return model


def test_other_values_are_told_with_both_sides(lines):
    check.warn_of_other_normalization(build(TF, TIMM_IMAGENET))
    assert [line.partition(':')[0] for line in lines] == [
        'model.data_preprocessor has mean=[127.5, 127.5, 127.5]',
        'model.data_preprocessor has std=[127.5, 127.5, 127.5]',
    ]
    assert all('mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True' in line for line in lines)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(bgr_to_rgb=False), 'leaves images in BGR order'),
        (dict(mean=IMAGENET['mean'][::-1]), 'has mean=[103.53, 116.28, 123.675]'),
        (dict(std=[1.0, 1.0, 1.0]), 'has std=[1, 1, 1]'),
        (dict(mean=[0.485, 0.456, 0.406]), 'has mean=[0.485, 0.456, 0.406]'),
        (dict(mean=None, std=None), 'does not normalise images'),
    ],
)
def test_each_difference_alone(lines, change, words):
    check.warn_of_other_normalization(build({**IMAGENET, **change}, TIMM_IMAGENET))
    assert len(lines) == 1 and words in lines[0]


def test_no_preprocessor_does_not_normalise_at_all(lines):
    check.warn_of_other_normalization(build(None, TIMM_IMAGENET))
    assert len(lines) == 2 and 'does not normalise' in lines[0] and 'BGR' in lines[1]


def test_nothing_is_said_where_it_is_right_or_unknown(lines):
    check.warn_of_other_normalization(build(IMAGENET, TIMM_IMAGENET))
    rounded = dict(mean=[124, 116, 104], std=[58, 57, 57], bgr_to_rgb=True)
    check.warn_of_other_normalization(build(rounded, TIMM_IMAGENET))
    for unknown in (None, (None, None)):
        check.warn_of_other_normalization(build(TF, unknown))
    check.warn_of_other_normalization(SimpleNamespace(encoder=None))
    assert lines == []


def test_training_and_test_and_python_look_at_it(lines, monkeypatch):
    pytest.importorskip('timm')
    model = Config(
        dict(
            model=dict(
                type='ViCE',
                backbone=dict(type='TimmEncoder', name='tf_efficientnet_lite0', layers=2),
                decoder=dict(type='LightFPN', embed_dims=4),
                head=dict(type='ODCHead', num_concepts=4),
                data_preprocessor=dict(type='ViCEDataPreprocessor', **IMAGENET),
            )
        )
    )
    built = init_model(model)
    assert len(lines) == 2 and 'mean=[127.5, 127.5, 127.5]' in lines[0], 'timm says so of this network'
    lines.clear()
    for name in ('check_heads_fit', 'warn_of_unused_keys', 'warn_of_moving_statistics', 'warn_of_short_schedules'):
        monkeypatch.setattr(f'mmvice.engine.checks.{name}', lambda runner: None)
    monkeypatch.setattr('mmvice.engine.checks.warn_of_frozen_random_weights', lambda runner: None)
    monkeypatch.setattr('mmvice.engine.hooks.run_check_hook.is_main_process', lambda: False)
    RunCheckHook().before_train(SimpleNamespace(model=built))
    RunCheckHook().before_test(SimpleNamespace(model=built))
    assert len(lines) == 4


@pytest.mark.parametrize('path', MODELS_OF_CONFIGS, ids=lambda path: path.stem)
def test_configs_have_what_timm_says(path):
    model = Config.fromfile(path).get('model') or {}
    backbone = model.get('backbone') or {}
    if backbone.get('type') != 'TimmEncoder':
        assert model.get('data_preprocessor', IMAGENET)['mean'] == IMAGENET['mean']
        return
    timm = pytest.importorskip('timm')
    expected = timm.models.get_pretrained_cfg(backbone['name'])
    for name in ('mean', 'std'):
        values = [255 * value for value in getattr(expected, name)]
        assert model['data_preprocessor'][name] == pytest.approx(values, abs=0.01)
    assert model['data_preprocessor']['bgr_to_rgb']
