"""A file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from mmvice.utils import files
from mmvice.utils.files import NoSpaceError, WritingError, remove_unfinished, write_file, writing_told


def test_a_file_has_its_old_content_or_the_new(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append((Path(source).read_bytes(), path.read_bytes() if path.exists() else None))
        replace(source, target)

    monkeypatch.setattr(files.os, 'replace', watched)
    for content in (b'first', b'second'):
        write_file(str(path), content, durable=True)
    assert seen == [(b'first', None), (b'second', b'first')]
    assert path.read_bytes() == b'second'
    assert os.listdir(tmp_path) == ['a.pth']


def test_content_is_on_the_disk_before_the_name_and_the_name_too(tmp_path, monkeypatch):
    order = []
    for name in ('fsync', 'replace'):
        call = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *a, name=name, call=call: (order.append(name), call(*a))[1])
    write_file(str(tmp_path / 'a'), b'x', durable=True)
    assert order == ['fsync', 'replace', 'fsync']


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_no_space_is_said_in_full_and_leaves_the_old_file(tmp_path, monkeypatch, code, call):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(
        NoSpaceError, match=r'a\.pth could not be written, .*: it needs 3\.0 kB, and .*B are free'
    ) as raised:
        write_file(str(path), bytes(3000), durable=True)
    assert raised.value.errno == code
    assert str(raised.value).startswith(str(path)), 'a sentence, without [Errno 28]'
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {'a.pth': b'old'}


def test_the_room_of_the_unfinished_file_counts_as_free(tmp_path, monkeypatch):
    left = []

    def usage(folder):
        left.append(os.listdir(folder))
        return shutil._ntuple_diskusage(9000, 7000, 2000)

    monkeypatch.setattr(files.shutil, 'disk_usage', usage)
    monkeypatch.setattr(files.os, 'replace', Mock(side_effect=OSError(errno.ENOSPC, 'full')))
    with pytest.raises(NoSpaceError, match=r'needs 3\.0 kB, and 2\.0 kB are free there'):
        write_file(str(tmp_path / 'a.pth'), bytes(3000))
    assert left == [[]]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(str(tmp_path / 'nowhere' / 'a'), b'')


@pytest.mark.parametrize(
    'number, file, shown, option',
    [
        (errno.EROFS, 'data/gtFine/train', 'data/gtFine/train', '--out-dir'),
        (errno.EROFS, 'data', 'data', '--out-dir'),
        (errno.EACCES, 'data/a/.x.png.7.part', 'data/a', '--out-dir'),
        (errno.EPERM, 'run/20260101/x.log', 'run/20260101/x.log', '--work-dir'),
        (errno.EROFS, 'elsewhere/x', None, None),
        (errno.EIO, 'data/x', None, None),
        (errno.EROFS, None, None, None),
    ],
)
def test_where_nothing_can_be_written_the_option_for_another_place_is_told(number, file, shown, option):
    error = OSError(number, 'text', file)
    with pytest.raises(OSError) as raised, writing_told({'--out-dir': 'data', '--show': None, '--work-dir': 'run'}):
        raise error
    if option is None:
        assert raised.value is error
    else:
        assert str(raised.value) == f'{shown} cannot be written: text; name another place by {option}'
        assert isinstance(raised.value, WritingError) and raised.value.errno == number


def test_a_file_that_may_not_be_read_is_not_one_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / 'a').touch()
    monkeypatch.setattr(files.os, 'access', lambda path, mode: mode != os.R_OK)
    error = PermissionError(errno.EACCES, 'text', str(tmp_path / 'a'))
    with pytest.raises(PermissionError) as raised, writing_told({'OUT': tmp_path}):
        raise error
    assert raised.value is error


def test_the_systems_own_error(tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'old')
    program = 'import sys; from mmvice.utils.files import write_file; write_file(sys.argv[1], bytes(5000))'
    run = subprocess.run(
        [sys.executable, '-c', program, tmp_path / 'a.pth'],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert 'a.pth could not be written, the limit on the size of a file is reached: it needs 5.0 kB' in run.stderr
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == {'a.pth': b'old'}


def test_links_are_replaced_and_not_followed(tmp_path):
    """Neither one in place of the file nor one in place of the unfinished file leads out of the folder."""
    folder, outside = tmp_path / 'out', tmp_path / 'outside'
    folder.mkdir()
    outside.write_bytes(b'mine')
    (folder / 'a.png').symlink_to(outside)
    (folder / f'.a.png.{os.getpid()}.part').symlink_to(outside)
    write_file(str(folder / 'a.png'), b'new')
    assert outside.read_bytes() == b'mine'
    assert os.listdir(folder) == ['a.png']
    assert not (folder / 'a.png').is_symlink() and (folder / 'a.png').read_bytes() == b'new'


def test_only_unfinished_files_of_these_names_are_removed(tmp_path):
    names = ['.iter_1.pth.7.part', '.iter_1.pth', '.other.7.part', 'iter_1.pth', 'iter_1.part']
    for name in names:
        (tmp_path / name).touch()
    assert remove_unfinished(str(tmp_path), ('iter_',)) == [str(tmp_path / names[0])]
    assert sorted(os.listdir(tmp_path)) == sorted(names[1:])
