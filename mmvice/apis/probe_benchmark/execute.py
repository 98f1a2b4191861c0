"""Running the trainings of a plan, several at a time, each as a user would start it."""

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmvice.evaluation import part_of_classes
from mmvice.utils.files import write_file
from mmvice.utils.provenance import provenance

from .plan import Job
from .results import read_result, summarise, write_result

OUTPUT, LOCK, RECORD = 'output.txt', 'lock', 'record.json'
FINISHED, STALE, LEFT = 'finished', 'stale', 'left'
_TAIL = 15


def state(job: Job) -> str:
    """Whether a training has finished, has results or checkpoints of other settings ('stale'), or is left to be run."""
    if job.result_file.is_file():
        return FINISHED if read_result(job.result_file)['fingerprint'] == job.fingerprint else STALE
    begun = read_record(job).get('fingerprint', job.fingerprint) != job.fingerprint and any(job.folder.glob('*.pth'))
    return STALE if begun else LEFT


def read_record(job: Job) -> dict[str, Any]:
    """What is noted of a training's starts: settings, revision, seconds; empty before the first one.

    Raises:
        ValueError: If the file is damaged.
    """
    file = job.folder / RECORD
    try:
        record = json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f'{file} is no JSON file: {error}; move {job.folder} away to have it trained again') from error
    if not isinstance(record, dict):
        raise ValueError(f'{file} must be a mapping, got {record!r}; move {job.folder} away to have it trained again')
    return record


def check_data(jobs: Iterable[Job]) -> None:
    """Make sure that the data is there that trainings read.

    Raises:
        FileNotFoundError: If it is not.
    """
    for folder in sorted({folder for job in jobs for folder in _data_folders(job.load_config())}):
        if not folder.is_dir():
            raise FileNotFoundError(f'there is no folder {folder}, which is read: link or copy the data set there')


def _data_folders(cfg: Config) -> set[Path]:
    datasets = [(cfg.get(f'{name}_dataloader') or {}).get('dataset', {}) for name in ('train', 'val')]
    return {
        Path(dataset['data_root']) / part
        for dataset in datasets
        if dataset.get('data_root')
        for part in (dataset.get('data_prefix') or {'': ''}).values()
        if part is not None
    }


def check_device(size: str) -> None:
    """Make sure that there is what a size is for.

    Raises:
        ValueError: If it is a GPU and there is none.
    """
    if size == 'gpu' and not torch.cuda.is_available():
        raise ValueError('--size gpu: PyTorch sees no GPU here, and without one this size takes weeks; --size cpu')


class Executor:
    """Runs what is left of a plan.

    A training that was interrupted goes on from its last checkpoint, one that fails is reported and holds up only what
    needs it, and one that has finished is not repeated, unless its settings are not those of the plan: then it is
    reported, and left as it is.

    Args:
        train: The tool that trains, ``tools/train.py``.
        workers: Trainings at a time, each of one thread on the CPU.
        say: Where lines about the progress go.
        seconds: After them, what is running is ended, and what is left stays left.
    """

    def __init__(
        self, train: Path, workers: int = 1, say: Callable[[str], None] = print, seconds: float = math.inf
    ) -> None:
        self.train = train
        self.workers = workers
        self.say = say
        self.seconds = seconds
        self._processes: dict[Job, subprocess.Popen] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, jobs: Sequence[Job]) -> dict[Job, str]:
        """Run them.

        Returns:
            dict: What is wrong with each training that has no result of its settings; nothing is with those that the
            time did not suffice for.
        """
        end = time.monotonic() + self.seconds
        states = {job: state(job) for job in jobs}
        for job in jobs:
            if states[job] == LEFT and states.get(job.needs) == FINISHED and not job.checkpoint.is_file():
                states[job.needs] = LEFT
                self.say(f'{job.needs.name}: its weights are not there any more, it is trained again')
        wrong = {
            job: f'{job.folder} has a training of other settings: give the new ones a name (--variant), or move it away'
            for job, found in states.items()
            if found == STALE
        }
        left = [job for job, found in states.items() if found == LEFT]
        done = {job for job, found in states.items() if found == FINISHED}
        clock = Clock(jobs, done, self.workers)
        self.say(f'{len(jobs)} trainings: {len(done)} finished, {len(left)} left')
        for job, reason in wrong.items():
            self.say(f'WRONG  {job.name}: {reason}')
        running: dict[Future, Job] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while left or running:
                    for job in [job for job in left if job.needs is not None and job.needs in wrong]:
                        left.remove(job)
                        wrong[job] = f'needs {job.needs.name}'
                    while len(running) < self.workers:
                        job = next((job for job in left if job.needs is None or job.needs in done), None)
                        if job is None:
                            break
                        left.remove(job)
                        running[pool.submit(self._train, job)] = job
                    time_left = None if end == math.inf else max(end - time.monotonic(), 0)
                    ended = wait(running, time_left, return_when=FIRST_COMPLETED).done
                    if not ended:
                        self.say(f'the time is up: {len(running)} trainings ended, {len(left)} not begun')
                        self.stop()
                        break
                    for future in ended:
                        job = running.pop(future)
                        reason = future.result()
                        if reason is None:
                            done.add(job)
                            clock.add(job, read_result(job.result_file)['wall_seconds'])
                        else:
                            wrong[job] = reason
                        number = f'{len(done) + len(wrong)} of {len(jobs)}'
                        self.say(f'{number}  {_outcome(job, reason)}  ({clock.left(left, running.values())})')
            except BaseException:
                self.stop()
                raise
        return wrong

    def stop(self) -> None:
        """End what is running."""
        with self._lock:
            self._stopped = True
            for process in self._processes.values():
                if process.returncode is None:
                    with suppress(ProcessLookupError):  # it has just ended
                        os.killpg(process.pid, signal.SIGTERM)

    def _train(self, job: Job) -> str | None:
        """Run one training; what went wrong, or None."""
        job.folder.mkdir(parents=True, exist_ok=True)
        with (job.folder / LOCK).open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return f'another training is at work in {job.folder}: wait for it, or end it'
            return self._train_alone(job, lock.fileno())

    def _train_alone(self, job: Job, lock: int) -> str | None:
        """Run a training that holds the lock of its folder, also if this process should end before it."""
        output = job.folder / OUTPUT
        earlier = read_record(job)
        if earlier.get('fingerprint') != job.fingerprint:  # which came to no checkpoint
            earlier = {}
        record = {'wall_seconds': 0.0, 'processor_seconds': 0.0, **earlier}
        record |= {'fingerprint': job.fingerprint, **provenance()}
        _write_record(job, record)
        start = time.monotonic()
        with output.open('ab') as file:
            with self._lock:
                if self._stopped:
                    return 'was not started'
                process = subprocess.Popen(
                    [sys.executable, *job.command(self.train)],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=_environment(job.size),
                    start_new_session=True,
                    pass_fds=(lock,),
                )
                self._processes[job] = process
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        record['wall_seconds'] += time.monotonic() - start
        record['processor_seconds'] += usage.ru_utime + usage.ru_stime
        _write_record(job, record)
        if process.returncode:
            lines = _from_error(output.read_text(encoding='utf-8', errors='replace').splitlines()[-_TAIL:])
            return '\n'.join(
                [f'exit status {process.returncode}; the end of {output}:', *(f'    {line}' for line in lines)]
            )
        try:
            write_result(job, summarise(job, record))
        except (RuntimeError, ValueError, OSError) as error:
            return f'it ended without a result: {error}'
        if not job.keep_weights:
            for file in job.folder.glob('*.pth'):
                file.unlink()
        return None


def _write_record(job: Job, record: Mapping[str, Any]) -> None:
    write_file(str(job.folder / RECORD), (json.dumps(record, indent=1) + '\n').encode())


def _from_error(lines: list[str]) -> list[str]:
    """The lines from the last one that begins with ``error:``; all where there is none."""
    places = [i for i, line in enumerate(lines) if line.startswith('error:')]
    return lines[places[-1] :] if places else lines


class Clock:
    """How much time is left, by how long trainings of each kind took.

    Args:
        jobs: The plan.
        done: Trainings of it that have finished before.
        workers: Trainings at a time.
    """

    def __init__(self, jobs: Sequence[Job], done: set[Job], workers: int) -> None:
        self.workers = workers
        self.seconds: dict[str, list[float]] = {}
        for job in jobs:
            if job in done:
                self.add(job, read_result(job.result_file)['wall_seconds'])

    def add(self, job: Job, seconds: float) -> None:
        """Note how long a training took."""
        self.seconds.setdefault(job.kind, []).append(seconds)

    def left(self, waiting: Sequence[Job], running: Sequence[Job]) -> str:
        """The time left in words; those that run count half."""
        parts = [(job, 1.0) for job in waiting] + [(job, 0.5) for job in running]
        known = [(self.seconds[job.kind], share) for job, share in parts if job.kind in self.seconds]
        unknown = len(parts) - len(known)
        if unknown and not known:
            return f'{unknown} left of unknown length'
        minutes = round(sum(sum(past) / len(past) * share for past, share in known) / self.workers / 60)
        text = f'{minutes // 60} h {minutes % 60:02d} min left' if minutes >= 60 else f'{minutes} min left'
        return f'at least {text}, {unknown} of unknown length' if unknown else text


def _outcome(job: Job, reason: str | None) -> str:
    if reason is not None:
        return f'FAILED  {job.name}: {reason}'
    result = read_result(job.result_file)
    metrics = [f'{name} {result[name]:.2f}' for name in ('mIoU', 'aAcc') if result.get(name) is not None]
    part = part_of_classes(of['IoU'] for of in result.get('classes', {}).values())
    metrics += [f'mIoU{part}'] if part else []
    return '  '.join([job.name, *metrics, f'{result["wall_seconds"]:.0f} s'])


def _environment(size: str) -> Mapping[str, str]:
    """One thread for each training on the CPU; the CPU size stays on the CPU, wherever a GPU is."""
    environment = dict(os.environ)
    if size == 'cpu':
        environment.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    return environment
