"""Settings on the command line: names of files and folders stay what was typed."""

import argparse

import pytest

from mmvice.apis.config_options import ConfigOptions


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
