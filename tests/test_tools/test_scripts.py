"""The shell scripts start the right tool with the right arguments, whatever the arguments hold."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
SCRIPTS = sorted(TOOLS.rglob('*.sh'))


@pytest.fixture
def launch(tmp_path):
    """Run a script with stand-ins for Python and srun; returns the command that it starts, one word an entry."""
    for name in ('python', 'srun'):
        stub = tmp_path / name
        stub.write_text(
            f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\nprintf "%s\\n" "$PYTHONPATH" > "{tmp_path}/path.txt"\n'
        )
        stub.chmod(0o755)

    def run(script: str, *arguments: str, **environment: str) -> list[str]:
        known = dict(PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}', **environment)
        command = ['bash', str(TOOLS / script), *arguments]
        return subprocess.run(command, env=known, check=True, capture_output=True, text=True).stdout.splitlines()

    return run


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda script: script.name)
def test_scripts_parse_and_can_be_executed(script):
    subprocess.run(['bash', '-n', script], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize('script', [script.name for script in TOOLS.glob('*.sh')])
def test_scripts_without_arguments_tell_their_usage(script):
    run = subprocess.run(['bash', TOOLS / script], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert 'usage:' in run.stderr


def test_dist_train(launch, tmp_path):
    words = launch('dist_train.sh', 'a config.py', '3', '--work-dir', 'an empty one', PORT='1234', NNODES='2')
    assert words == [
        *['python', '-m', 'torch.distributed.run', '--nnodes=2', '--node_rank=0'],
        *['--master_addr=127.0.0.1', '--master_port=1234', '--nproc_per_node=3'],
        *[f'{TOOLS}/train.py', 'a config.py', '--launcher', 'pytorch', '--work-dir', 'an empty one'],
    ]
    assert (tmp_path / 'path.txt').read_text() == f'{TOOLS}/..\n'


def test_dist_test(launch, tmp_path):
    words = launch(
        'dist_test.sh', 'c.py', 'c.pth', '2', '--out', 'o', NODE_RANK='1', MASTER_ADDR='h', PYTHONPATH='mine'
    )
    assert words == [
        *['python', '-m', 'torch.distributed.run', '--nnodes=1', '--node_rank=1'],
        *['--master_addr=h', '--master_port=29500', '--nproc_per_node=2'],
        *[f'{TOOLS}/test.py', 'c.py', 'c.pth', '--launcher', 'pytorch', '--out', 'o'],
    ]
    assert (tmp_path / 'path.txt').read_text() == f'{TOOLS}/..:mine\n'


def test_test_runs_one_process_unless_told_otherwise(launch):
    one = ['python', f'{TOOLS}/test.py', 'c.py', 'c.pth']
    assert launch('test.sh', 'c.py', 'c.pth') == one
    assert launch('test.sh', 'c.py', 'c.pth', '1', '--tta') == [*one, '--tta']
    assert launch('test.sh', 'c.py', 'c.pth', '--out', '2') == [*one, '--out', '2']
    assert launch('test.sh', 'c.py', 'c.pth', '2', '--tta') == launch('dist_test.sh', 'c.py', 'c.pth', '2', '--tta')


@pytest.mark.parametrize('tool, arguments', [('train', ['c.py']), ('test', ['c.py', 'c.pth'])])
def test_slurm(launch, tool, arguments):
    environment = dict(GPUS='8', GPUS_PER_NODE='2', SRUN_ARGS='--mem=4G --quiet')
    words = launch(f'slurm_{tool}.sh', 'part', 'a job', *arguments, '--work-dir', 'w', **environment)
    assert words == [
        *['srun', '--partition=part', '--job-name=a job', '--gres=gpu:2', '--ntasks=8', '--ntasks-per-node=2'],
        *['--cpus-per-task=5', '--kill-on-bad-exit=1', '--mem=4G', '--quiet'],
        *['python', '-u', f'{TOOLS}/{tool}.py', *arguments, '--launcher', 'slurm', '--work-dir', 'w'],
    ]
