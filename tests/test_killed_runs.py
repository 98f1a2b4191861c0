"""A training that is killed goes on from its last whole checkpoint and ends as if nothing had been."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import assert_same_training

from mmvice.utils.checkpoint import load_checkpoint_file

PROGRAM = Path(__file__).with_name('killed_training.py')


class KilledTrainings:
    """Runs jobs of ``killed_training.py`` in a program of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, 0

    def __call__(self, *jobs: tuple[str, dict]) -> list:
        self.calls += 1
        folder = self.folder / str(self.calls)
        output = folder.with_suffix('.out')
        with output.open('w') as file:  # not a pipe, which workers whose parent was killed would keep open
            run = subprocess.run(
                [sys.executable, PROGRAM, folder, json.dumps(jobs)], stdout=file, stderr=subprocess.STDOUT, check=False
            )
        text = output.read_text()
        assert run.returncode == 0, text[-3000:]
        return [json.loads(line.removeprefix('RESULT ')) for line in text.splitlines() if line.startswith('RESULT ')]


@pytest.fixture(scope='module')
def trainings(tmp_path_factory) -> KilledTrainings:
    return KilledTrainings(tmp_path_factory.mktemp('killed'))


@pytest.fixture(scope='module')
def unbroken(trainings) -> tuple[list[str], dict]:
    """The operations of a training that nobody kills, and its last checkpoint."""
    [operations] = trainings(('whole', dict(workers=0)))
    return operations, load_checkpoint_file(trainings.folder / '1' / 'whole_0' / 'run' / 'iter_6.pth')


def finished_before(operations: list[str], number: int) -> int:
    """The last checkpoint that had been finished, and noted in last_checkpoint, when an operation was to begin."""
    saved, finished = 0, 0
    for operation in operations[:number]:
        match = re.fullmatch(r'os\.rename \.iter_([0-9]+)\.pth\.part', operation)
        saved = int(match[1]) if match else saved
        finished = saved if operation == 'os.rename .last_checkpoint.part' else finished
    return finished


def check_kills(numbers: list[int], trainings: KilledTrainings, unbroken: tuple[list[str], dict]) -> None:
    operations, whole = unbroken
    results = trainings(*(('at', dict(number=number, workers=0)) for number in numbers))
    assert len(results) == len(numbers)
    for number, result in zip(numbers, results):
        what = f'killed before: {operations[number]} ({number})'
        finished = finished_before(operations, number)
        assert (result['killed'], result['resumed']) == (-9, 0), what
        if finished:
            assert result['latest'] == f'iter_{finished}.pth', what
            assert {f'iter_{step}.pth' for step in (finished - 1, finished) if step} <= set(result['present']), what
        assert result['kept'] == ['iter_5.pth', 'iter_6.pth'], what
        assert_same_training(whole, load_checkpoint_file(result['last']))


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(trainings, unbroken):
    """The third one, at every third operation: before, in and after the writing, naming and removing."""
    operations, _ = unbroken
    cycle = range(operations.index('open .iter_3.pth.part'), operations.index('open .iter_4.pth.part'))
    names = [operations[number] for number in cycle]
    assert {'write the second half of .iter_3.pth.part', 'os.rename .last_checkpoint.part', 'os.remove iter_1.pth'} <= {
        *names
    }
    check_kills([*cycle[::3]], trainings, unbroken)


@pytest.mark.stress
def test_killed_at_every_operation(trainings, unbroken):
    check_kills([*range(len(unbroken[0]))], trainings, unbroken)


@pytest.mark.slow
def test_killed_at_any_time_with_workers(trainings, unbroken):
    [result] = trainings(('any_time', dict(workers=2, seed=0, kills=2)))
    assert result['killed'] == [-9] * 2
    assert result['resumed'] == 0
    assert_same_training(unbroken[1], load_checkpoint_file(result['last']))


@pytest.mark.stress
def test_killed_at_any_time_many_times(trainings, unbroken):
    results = trainings(*(('any_time', dict(workers=seed % 3, seed=seed, kills=5)) for seed in range(1, 13)))
    assert len(results) == 12
    for result in results:
        assert result['killed'][0] == -9, 'it was not killed, but came to its end'
        assert result['resumed'] == 0
        assert_same_training(unbroken[1], load_checkpoint_file(result['last']))
