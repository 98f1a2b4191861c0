import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmvice.datasets.path_table import pack_paths, read_list_file, scan_images, select_paths


def unpack(packed):
    buffer, ends = packed
    return [buffer[start:end].tobytes() for start, end in zip([0, *ends[:-1]], ends)]


@given(st.lists(st.binary(max_size=9), max_size=8), st.data())
def test_packed_paths_come_back_and_subsets_are_those_of_a_list(paths, data):
    packed = pack_paths(paths)
    assert unpack(packed) == paths
    first = data.draw(st.integers(0, 10))
    last = data.draw(st.integers(-10, -1))
    assert unpack(select_paths(*packed, first)) == paths[:first]
    assert unpack(select_paths(*packed, last)) == paths[last:]
    if paths:
        chosen = data.draw(st.lists(st.integers(-len(paths), len(paths) - 1), max_size=6))
        assert unpack(select_paths(*packed, chosen)) == [paths[index] for index in chosen]


def test_subset_outside_is_refused():
    with pytest.raises(IndexError):
        select_paths(*pack_paths([b'a']), np.array([1]))


def test_scan_is_sorted_and_leaves_out_other_files(tmp_path):
    for name in ('b/z.JPG', 'b/a.png', 'a.jpeg', 'notes.txt', '.hidden.png', '.cache/c.png', 'b/c/d/ü.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'dangling.png').symlink_to('nowhere')
    found = [os.path.relpath(os.fsdecode(path), tmp_path) for path in scan_images(tmp_path, ('.png', '.jpg', '.jpeg'))]
    assert found == ['a.jpeg', 'b/a.png', 'b/c/d/ü.png', 'b/z.JPG']


def test_scan_follows_links_once_and_ends_on_loops(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real' / 'x.png').touch()
    (tmp_path / 'real' / 'up').symlink_to(tmp_path)
    (tmp_path / 'real' / 'self').symlink_to(tmp_path / 'real')
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'linked').symlink_to(tmp_path / 'real')
    assert [os.path.basename(path) for path in scan_images(tmp_path, ('.png',))] == [b'x.png']
    assert [os.path.basename(path) for path in scan_images(tmp_path / 'set', ('.png',))] == [b'x.png']


def test_list_file_lines(tmp_path):
    file = tmp_path / 'list.txt'
    file.write_bytes('\ufeffa.png\r\n\r\n  \r\nsub/ü b.png\n/abs/c.png'.encode())
    assert list(read_list_file(file, 'root')) == [b'root/a.png', 'root/sub/ü b.png'.encode(), b'/abs/c.png']
