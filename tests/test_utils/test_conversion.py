"""What converters leave behind when they are ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import os, sys, time
from pathlib import Path
from mmvice.utils.conversion import convert

def work(source, target):
    Path(source).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == '__main__':
    folder = sys.argv[1]
    convert(work, [(f'{folder}/{i}', f'{folder}/out/{i}.png') for i in range(2)], 2, 'files')
"""


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it took too long'
        time.sleep(0.05)


def is_running(process: int) -> bool:
    """Whether it is there, and not just waiting for someone to ask how it ended."""
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='processes are looked for in /proc')
@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    (tmp_path / 'script.py').write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    parent = subprocess.Popen([sys.executable, tmp_path / 'script.py', tmp_path], env=environment)
    wait_for(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in '01'))
    workers = [int((tmp_path / name).read_text()) for name in '01']
    assert all(map(is_running, workers))
    parent.send_signal(how)
    assert parent.wait() == -how
    wait_for(lambda: not any(map(is_running, workers)))
