import errno
import os
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmvice.datasets import path_table
from mmvice.datasets.path_table import pack_paths, read_lines, read_list_file, scan_images, select_paths
from mmvice.utils import reading


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


def test_lines_of_any_system_and_any_bytes(tmp_path):
    file = tmp_path / 'list.txt'
    file.write_bytes(b'a.png\rb.png\r\n\tc.png  \n\n\xe9t\xe9.png\n' + 'ü 図.png'.encode() + b'\na.png\n')
    expected = [b'a.png', b'b.png', b'c.png', b'\xe9t\xe9.png', 'ü 図.png'.encode(), b'a.png']
    assert read_lines(file) == expected
    assert [os.fsencode(os.fsdecode(line)) for line in read_lines(file)] == expected
    file.write_bytes('a.png\r\n'.encode('utf-16'))
    with pytest.raises(ValueError, match=r"list file '.*list\.txt' is not UTF-8 text, .*: save it as UTF-8"):
        read_lines(file)


@given(st.lists(st.text(st.characters(exclude_categories=['Cs', 'Cc', 'Z']), min_size=1, max_size=9), max_size=8))
def test_lists_of_names_come_back(tmp_path_factory, names):
    file = tmp_path_factory.mktemp('lists') / 'list.txt'
    file.write_text('\ufeff' + ''.join(f' {name}\t\r\n\r\n' for name in names), encoding='utf-8', newline='')
    assert [line.decode() for line in read_lines(file)] == names


def test_links_that_lead_to_themselves_and_rings_of_folders(tmp_path):
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    (tmp_path / 'a' / 'x.png').touch()
    (tmp_path / 'self.png').symlink_to(tmp_path / 'self.png')
    (tmp_path / 'one.png').symlink_to(tmp_path / 'two.png')
    (tmp_path / 'two.png').symlink_to(tmp_path / 'one.png')
    (tmp_path / 'a' / 'b' / 'back').symlink_to(tmp_path / 'a')
    (tmp_path / 'a' / 'b' / 'top').symlink_to(tmp_path)
    assert [os.path.basename(path) for path in scan_images(tmp_path, ('.png',))] == [b'x.png']


def test_a_subfolder_that_may_not_be_read_is_left_out_with_a_warning(tmp_path, monkeypatch):
    for name in ('x.png', 'lost+found/y.png', 'z/z.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scandir, warnings = os.scandir, []

    def refuse(path):
        if b'lost+found' in path:
            raise PermissionError(13, 'Permission denied', path)
        return scandir(path)

    with monkeypatch.context() as patch:  # over before pytest lists the folder, to remove it
        patch.setattr(os, 'scandir', refuse)
        patch.setattr(path_table, 'print_log', lambda message, **_: warnings.append(message))
        assert [os.path.basename(path) for path in scan_images(tmp_path, ('.png',))] == [b'x.png', b'z.png']
        assert warnings == [
            f"left out the folder '{tmp_path}/lost+found', which cannot be listed: Permission denied",
        ]
        with pytest.raises(PermissionError, match='Permission denied: the folder cannot be listed: .*lost'):
            scan_images(tmp_path / 'lost+found', ('.png',))


@pytest.mark.parametrize('fails', [1, 3])
def test_a_listing_that_breaks_off_and_is_tried_again_counts_each_file_once(tmp_path, monkeypatch, fails):
    """The disk fails after the last entry of a folder, when all have been looked at."""
    for name in ('a.heic', 'b.txt', 'x.png', 'sub/c.heic', 'sub/d', 'sub/y.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scandir, left = os.scandir, [fails]

    @contextmanager
    def breaking(path):
        with scandir(path) as entries:
            yield iterate(entries)

    def iterate(entries):
        yield from entries
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, 'Input/output error')

    left_out, visited = Counter(), set()
    with monkeypatch.context() as patch:  # over before pytest lists the folder, to remove it
        patch.setattr(os, 'scandir', breaking)
        patch.setattr(reading, 'WAITS', (0, 0, 0))
        found = scan_images(tmp_path, ('.png',), visited, left_out)
    assert left[0] == 0 and [os.path.basename(path) for path in found] == [b'y.png', b'x.png']
    assert left_out == {'.heic': 2, '.txt': 1, '': 1} and len(visited) == 2
