"""The same command gives the same numbers again, on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import assert_same_training
from killed_training import CONFIG, OPTIONS, ROOT, STEPS

from mmvice.utils.checkpoint import load_checkpoint_file


@pytest.mark.slow
def test_two_fresh_processes_train_the_same_weights(tmp_path):
    checkpoints = []
    for hash_seed in ('1', '2'):  # of Python's sets and dicts of text, which nothing may depend on
        folder = tmp_path / hash_seed
        command = [sys.executable, ROOT / 'tools' / 'train.py', CONFIG, '--work-dir', folder, '--cfg-options', *OPTIONS]
        environment = dict(os.environ, PYTHONHASHSEED=hash_seed, OMP_NUM_THREADS='1')
        run = subprocess.run(command, env=environment, cwd=Path(tmp_path), capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-3000:]
        checkpoints.append(load_checkpoint_file(folder / f'iter_{STEPS}.pth'))
    assert_same_training(*checkpoints)
    for key in ('versions', 'git_revision', 'seed'):
        assert checkpoints[0]['meta'][key] == checkpoints[1]['meta'][key]
