"""Settings on the command line: names of files and folders stay what was typed."""

import argparse

import pytest
from mmengine.config import Config

from mmvice.cli.config_options import ConfigOptions, merge_options


def parse(*settings):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions)
    return parser.parse_args(['--cfg-options', *settings]).cfg_options


@pytest.mark.parametrize(
    'text, value',
    [
        *((name, name) for name in ('2024', '007', '2024.10', '1e3', 'True', 'nan', 'my images', 'imgs, 2023', '[a]')),
        ('"a,b"', 'a,b'),
        ('None', None),
        ('', ''),
    ],
)
@pytest.mark.parametrize('key', ['train_dataloader.dataset.data_root', 'work_dir', 'model.embedder_checkpoint'])
def test_one_name(key, text, value):
    assert parse(f'{key}={text}') == {key: value}


@pytest.mark.parametrize(
    'text, value',
    [
        ('2024', '2024'),
        ('2023,2024', ['2023', '2024']),
        ('[2023, my images]', ['2023', 'my images']),
        ('"a, b"', 'a, b'),
        ('[2024, "a, b"]', ['2024', 'a, b']),
        ('"a,b",\'c,d\'', ['a,b', 'c,d']),
        ("it's,b", ["it's", 'b']),
        ('[]', []),
        ('train', 'train'),
        ('a=b', 'a=b'),
    ],
)
@pytest.mark.parametrize('key', ['d.data_prefix.img_path', 'd.ann_file', 'd.datasets.0.ann_file'])
def test_one_name_or_several(key, text, value):
    assert parse(f'{key}={text}') == {key: value}


def test_places_in_a_list_of_names():
    assert parse('d.data_prefix.img_path.1=2024') == {'d.data_prefix.img_path.1': '2024'}


def test_all_else_is_read_as_before():
    assert parse('a.depth=18', 'b=[(1,2),x]', 'c=1e-3', 'd=True', 'e=None', 'f=1,2') == {
        'a.depth': 18,
        'b': [(1, 2), 'x'],
        'c': 1e-3,
        'd': True,
        'e': None,
        'f': [1, 2],
    }


def test_a_value_torn_apart_by_the_shell_is_told(capsys):
    with pytest.raises(SystemExit):
        parse('data.data_root=imgs,', '2023')
    assert "expected KEY=VALUE, but '2023' has no '='" in capsys.readouterr().err


CONFIG = dict(
    model=dict(backbone=dict(type='ResNet', depth=18), compile=dict(mode='default')),
    train_dataloader=dict(dataset=dict(data_prefix=dict(img_path='a'), pipeline=[dict(type='Load', scale=1)])),
)


@pytest.mark.parametrize(
    'setting, advice',
    [
        ('train_dataloader.dataset.data_prefix=dict(img_path=2024)', 'data_prefix.img_path=VALUE'),
        ('train_dataloader.dataset.data_prefix={"img_path": 2024}', 'data_prefix.img_path=VALUE'),
        ('train_dataloader.dataset.data_prefix=2024', 'data_prefix.img_path=VALUE'),
        ('train_dataloader.dataset.data_prefix=a,b', 'data_prefix.img_path=VALUE'),
        ('val_dataloader.dataset=dict(type=X)', 'val_dataloader.dataset.type=VALUE'),
        ('model.head={}', 'model.head.NAME=VALUE'),
        ('model.backbone=ResNetV1c', 'model.backbone.type=VALUE'),
        ('train_dataloader.dataset.pipeline.0=Load', 'pipeline.0.type=VALUE'),
        ('model=x', 'model.backbone=VALUE'),
    ],
)
def test_what_is_a_dict_is_given_by_its_settings(setting, advice):
    cfg = Config(CONFIG)
    before = cfg.pretty_text
    with pytest.raises(ValueError, match='is a dict of settings, which are given one by one') as error:
        merge_options(cfg, parse(setting))
    assert str(error.value).endswith(advice) and cfg.pretty_text == before


def test_other_changes_are_those_of_mmengine():
    cfg = Config(CONFIG)
    merge_options(cfg, None)
    merge_options(cfg, parse('model.compile=False', 'model.backbone=None', 'a.b=1', 'work_dir={x}'))
    merge_options(cfg, parse('train_dataloader.dataset.pipeline.0.scale=2', 'model.decoder.filename={path}.png'))
    assert cfg.model.compile is False and cfg.model.backbone is None and cfg.a.b == 1 and cfg.work_dir == '{x}'
    assert cfg.train_dataloader.dataset.pipeline[0].scale == 2 and cfg.model.decoder.filename == '{path}.png'
