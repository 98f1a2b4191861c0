"""tools/dist_train.sh on a machine without a GPU: a run that dies in one process, and one that goes on from there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import free_port

from mmvice.utils.checkpoint import load_checkpoint_file

ROOT = Path(__file__).parents[2]

CONFIG = f"""
_base_ = {str(ROOT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py')!r}
custom_imports = dict(imports=['dying_hook'], allow_failed_imports=False)
model = dict(
    backbone=dict(base_channels=4, stem_channels=4),
    decoder=dict(in_channels=[4, 8, 16, 32]),
    head=dict(num_concepts=8, queue_length=200, queue_start_iter=1, freeze_concepts_iters=1),
)
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(num_scenes=7))
train_cfg = dict(max_iters=4)
default_hooks = dict(checkpoint=dict(interval=2))
custom_hooks = [dict(type='DyingHook')]
"""

DYING_HOOK = """
import os, signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmvice.registry import HOOKS

@HOOKS.register_module()
class DyingHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        how = os.environ['SECOND_PROCESS']
        if runner.iter == 3 and get_rank() == 1 and how == 'is killed':
            os.kill(os.getpid(), signal.SIGKILL)
        if runner.iter == 3 and get_rank() == 1 and how == 'fails':
            raise ValueError('the second process has had enough')
"""


@pytest.fixture
def dist_train(tmp_path):
    """Run the script for two processes, of which the second works, fails or is killed in the fourth step.

    Returns its exit status and all that it printed.
    """
    (tmp_path / 'dying_hook.py').write_text(DYING_HOOK)
    (tmp_path / 'tiny.py').write_text(CONFIG)
    environment = dict(
        os.environ, PYTHON=sys.executable, PYTHONPATH=str(tmp_path), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''
    )

    def run(second_process: str, *arguments: str) -> tuple[int, str]:
        command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), 'tiny.py', '2', '--work-dir', 'run', *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=dict(environment, PORT=str(free_port()), SECOND_PROCESS=second_process),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,  # a run that hangs does so for half an hour
        )
        return done.returncode, done.stdout

    return run


def failure_of_rank_1(printed: str) -> str:
    """What the summary at the end says of the second process."""
    failures = re.split(r'^\[\d\]:$', printed[printed.index('train.py FAILED') :], flags=re.MULTILINE)
    [own] = [failure for failure in failures if re.search(r'^  rank +: 1 ', failure, flags=re.MULTILINE)]
    return own


@pytest.mark.slow
def test_a_killed_process_ends_the_run_which_can_be_resumed(dist_train, tmp_path):
    status, printed = dist_train('is killed')
    assert status != 0
    assert f'exitcode  : -{signal.SIGKILL.value} ' in failure_of_rank_1(printed)
    assert sorted(file.name for file in (tmp_path / 'run').glob('*.pth')) == ['iter_2.pth']

    status, printed = dist_train('works', '--resume')
    assert status == 0, printed
    first, last = (load_checkpoint_file(tmp_path / 'run' / f'iter_{step}.pth') for step in (2, 4))
    assert last['meta']['iter'] == 4 and not torch.equal(*last['process_state']['queue'])
    assert first['process_state']['steps'].tolist() == [2, 2]
    assert last['process_state']['steps'].tolist() == [4, 4]
    assert 'CPUSyncBN' in last['meta']['cfg']


@pytest.mark.slow
def test_an_error_in_one_process_ends_the_run_and_is_shown(dist_train):
    status, printed = dist_train('fails')
    assert status != 0
    assert 'ValueError: the second process has had enough' in failure_of_rank_1(printed)
