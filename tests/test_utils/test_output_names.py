"""Outputs lie as the images lie, and no two have one name."""

import os
from collections import Counter
from unittest.mock import patch

import pytest

from mmvice.utils import output_names as module
from mmvice.utils.output_names import output_names


@pytest.mark.parametrize(
    'folders, expected',
    [
        ((), ['seq1/0000', 'seq2/0000', 'seq2/deep/0000']),
        (('in',), ['seq1/0000', 'seq2/0000', 'seq2/deep/0000']),
        (('.',), ['in/seq1/0000', 'in/seq2/0000', 'in/seq2/deep/0000']),
        (('other',), ['in/seq1/0000', 'in/seq2/0000', 'in/seq2/deep/0000']),
    ],
)
def test_equally_named_images_keep_their_folders(folders, expected):
    paths = ['in/seq1/0000.jpg', 'in/seq2/0000.jpg', 'in/seq2/deep/0000.png']
    assert list(output_names(paths, folders).values()) == expected


def test_a_single_folder_that_was_searched_is_not_left_out():
    assert output_names(['in/seq1/a.jpg'], ['in']) == {'in/seq1/a.jpg': 'seq1/a'}
    assert output_names(['in/seq1/a.jpg']) == {'in/seq1/a.jpg': 'a'}
    assert output_names([]) == {}


@pytest.mark.parametrize(
    'paths, expected',
    [
        (['a.jpg', 'a.png', 'a.tif'], ['a', 'a_2', 'a_3']),
        (['A.jpg', 'a.JPG'], ['A', 'a_2']),
        (['x/a.jpg', 'X/a.jpg'], ['x/a', 'X/a_2']),
        (['caf\u00e9.jpg', 'cafe\u0301.jpg'], ['caf\u00e9', 'cafe\u0301_2']),
        (['a.jpg', 'a.png', 'a_2.jpg'], ['a', 'a_3', 'a_2']),
        (['a.jpg', 'A.jpg', 'A_2.jpg', 'A_3.png'], ['a', 'A_4', 'A_2', 'A_3']),
        (['x/../a.jpg', 'a.jpg'], ['a', 'a_2']),
        (['in/x.jpg', 'in/x.png/y.jpg'], ['x_2', 'x.png/y']),
        (['in/x.png/y.jpg', 'in/X.tif', 'in/x_2.bmp'], ['x.png/y', 'X_3', 'x_2']),
        (['in/x.jpg', 'in/x_20.png/deep/y.jpg', 'in/z.png'], ['x_2', 'x_20.png/deep/y', 'z']),
        (['in/x.jpg', 'in/x_2.png/y.jpg', 'in/x.png/x.png/y.jpg'], ['x_3', 'x_2.png/y', 'x.png/x.png/y']),
        (['in/x.jpg', 'in/x/y.jpg', 'in/x.jpg.d/y.jpg'], ['x', 'x/y', 'x.jpg.d/y']),
    ],
)
def test_names_that_some_system_takes_for_one_get_numbers(paths, expected):
    assert list(output_names(paths).values()) == expected


def test_outputs_can_be_written_beside_folders_with_the_ending_of_outputs(tmp_path):
    paths = ['in/x.jpg', 'in/x.png/y.jpg', 'in/x.png/y.png/z.jpg', 'in/X_20.png/w.jpg']
    for name in output_names(paths).values():
        for ending in ('.png', '_20.png'):
            file = tmp_path / f'{name}{ending}'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b'')
    assert sum(path.is_file() for path in tmp_path.rglob('*')) == 2 * len(paths)


def test_no_name_leads_out():
    paths = ['data/../../out.png', '/elsewhere/x.png', 'data/..png', 'data/-rf.png', os.fsdecode(b'data/caf\xe9.png')]
    for name in output_names(paths, ['data']).values():
        assert not os.path.isabs(name) and '..' not in name.split('/') and name


def test_the_time_is_linear_in_the_number_of_equal_names():
    calls = Counter()

    def counted(name):
        calls['key'] += 1
        return name.casefold()

    paths = [f'a.{number}' for number in range(3000)]
    with patch.object(module, '_key', counted):
        assert len(set(output_names(paths).values())) == len(paths)
    assert calls['key'] < 8 * len(paths)
