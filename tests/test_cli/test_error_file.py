"""A process that is ended while it writes down its error leaves nothing that torchrun would stumble over."""

import json
import os
import signal
import sys

import pytest
from torch.distributed.elastic.multiprocessing.errors import ErrorHandler, ProcessFailure

from mmvice.cli.error_file import WholeErrorFile


@pytest.fixture
def error_file(tmp_path, monkeypatch):
    """The file that torchrun asks this process to write, in an empty folder."""
    file = tmp_path / 'error.json'
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(file))
    return file


def failure(file):
    """What torchrun makes of it."""
    return ProcessFailure(local_rank=0, pid=1, exitcode=-15, error_file=str(file))


def killed_while_writing(handler, monkeypatch):
    """Fork a process that fails, and is killed as soon as it has opened a file for that."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        monkeypatch.setattr(json, 'dump', lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        handler.record_exception(ValueError('enough'))
        os._exit(1)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL


def test_an_unfinished_file_is_none(error_file, monkeypatch):
    killed_while_writing(WholeErrorFile(), monkeypatch)
    assert not error_file.exists()
    assert 'Signal 15' in failure(error_file).message


def test_torchs_own_handler_does_leave_one(error_file, monkeypatch):
    """Or the class would not be needed."""
    killed_while_writing(ErrorHandler(), monkeypatch)
    with pytest.raises(json.JSONDecodeError):
        failure(error_file)


def test_a_finished_one_is_what_torchrun_reads(error_file, tmp_path):
    try:
        raise ValueError('enough')
    except ValueError as error:
        WholeErrorFile().record_exception(error)
    assert failure(error_file).message['message'] == 'ValueError: enough'
    assert [path.name for path in tmp_path.iterdir()] == ['error.json']
    assert os.environ['TORCHELASTIC_ERROR_FILE'] == str(error_file)


def test_without_torchrun_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv('TORCHELASTIC_ERROR_FILE', raising=False)
    monkeypatch.chdir(tmp_path)
    WholeErrorFile().record_exception(ValueError('enough'))
    assert not list(tmp_path.iterdir())
