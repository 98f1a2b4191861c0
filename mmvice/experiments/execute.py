"""Running the trainings of a plan, several at a time, each as a user would start it."""

import fcntl
import math
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import torch
from mmengine.config import Config

from mmvice.evaluation import part_of_classes
from mmvice.utils.provenance import provenance

from .jobs import Job
from .plan import Planner
from .results import FINISHED, LEFT, STALE, Results, finish, read_record, write_json
from .tables import Needs

_TAIL = 15


def check_data(jobs: Iterable[Job]) -> None:
    """Make sure that the data is there that trainings read.

    Raises:
        FileNotFoundError: If it is not.
    """
    for folder in sorted({folder for job in jobs for folder in _data_folders(job.cfg)}):
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


def check_devices(jobs: Sequence[Job], planner: Planner) -> None:
    """Make sure that there is what trainings are for.

    Raises:
        ValueError: If they need a GPU and there is none, or are made for more GPUs than there are.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if jobs and planner.size.device == 'cuda' and not there:
        raise ValueError(f'--size {planner.size.name}: PyTorch sees no GPU here, and without one this size takes weeks')
    for job in jobs:
        if planner.gpus is None and job.scaling.gpus > max(there, 1):
            raise ValueError(f'{job.config} is for {job.scaling.gpus} GPUs, and PyTorch sees {there}: give --gpus N')


def trainings_at_a_time(needs: Needs, minutes: float) -> tuple[int, str]:
    """How many trainings this machine has room for, at least one, and why; one where the file names no needs.

    What does not end in time is lost, so that trainings on one GPU, which take turns there, must not be too many.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    there = {f'{cores} cores, {needs.cores:g} each': (cores, needs.cores)}
    if torch.cuda.is_available():
        gib = torch.cuda.mem_get_info()[0] / 2**30
        there[f'{gib:.0f} GiB free on the GPU, {needs.gpu_gib:g} each'] = gib, needs.gpu_gib
        there[f'{minutes:g} minutes, {needs.gpu_minutes:g} each'] = minutes, needs.gpu_minutes
    counted = {why: amount / need for why, (amount, need) in there.items() if need and amount != math.inf}
    return max(1, int(min(counted.values(), default=1))), '; '.join(counted) or 'the file names no needs of this size'


def in_order(jobs: Sequence[Job], first: Sequence[str]) -> list[Job]:
    """The plan with the seeds after 0 of some runs before all else, and of these each probe as soon as it can run.

    Weights are not kept by everyone who keeps results: a pretraining is worth nothing until it has been probed.
    """
    places = {run: place for place, run in reversed(list(enumerate(first)))}

    def key(job: Job) -> tuple:
        return (0, job.probe is None, job.seed, places[job.run]) if job.run in places and job.seed else (1,)

    return sorted(jobs, key=key)


def run_lines(lines: Iterable[str], say: Callable[[str], None]) -> list[str]:
    """Run lines of a shell one after the other; those that failed."""
    failed = []
    for line in lines:
        say(line)
        if subprocess.run(['bash', '-ec', line], env=_environment(None), check=False).returncode:
            failed.append(line)
    return failed


class Executor:
    """Runs what is left of a plan.

    A training that was interrupted goes on from its last checkpoint, one that fails is reported and holds up only what
    needs it, and one that has finished is not repeated, unless its settings are not those of the plan: then it is
    reported, and left as it is.

    Args:
        train: The tool that trains, ``tools/train.py``.
        results: What has finished.
        workers: Trainings at a time.
        say: Where lines about the progress go.
        seconds: After them, what is running is ended, and what is left stays left.

    Attributes:
        stopped: Whether trainings were ended.
    """

    def __init__(
        self,
        train: Path,
        results: Results,
        workers: int = 1,
        say: Callable[[str], None] = print,
        seconds: float = math.inf,
    ) -> None:
        self.train, self.results, self.workers, self.say = train, results, workers, say
        self.end = time.monotonic() + seconds
        self.stopped = False
        self._seconds: dict[str, list[float]] = {}
        self._processes: dict[Job, subprocess.Popen] = {}
        self._lock = threading.Lock()

    def run(self, jobs: Sequence[Job]) -> dict[Job, str]:
        """Run them.

        Returns:
            dict: What is wrong with each training that has no result of its settings; nothing is with those that the
            time did not suffice for.
        """
        states = {job: self.results.state(job) for job in jobs}
        for job in jobs:
            if states[job] == LEFT and states.get(job.needs) == FINISHED and not _has_weights(job):
                states[job.needs] = LEFT
                self.say(f'{job.needs.name}: its weights are not there any more, it is trained again')
        other = 'has a training of other settings: give the new ones a name (--variant), or move it away'
        wrong = {job: f'{job.folder} {other}' for job, found in states.items() if found == STALE}
        left = [job for job, found in states.items() if found == LEFT]
        done = {job for job, found in states.items() if found == FINISHED}
        for job in done:
            self._note_seconds(job)
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
                    ready = [job for job in left if job.needs is None or job.needs in done]
                    for job in ready[: self.workers - len(running)]:
                        left.remove(job)
                        running[pool.submit(self._train, job)] = job
                    time_left = None if self.end == math.inf else max(self.end - time.monotonic(), 0)
                    ended = wait(running, time_left, return_when=FIRST_COMPLETED).done
                    if running and not ended:
                        self.say(f'the time is up: {len(running)} trainings ended, {len(left)} not begun')
                        self.stop()
                        break
                    for future in ended:
                        job, reason = running.pop(future), future.result()
                        if reason is None:
                            done.add(job)
                        else:
                            wrong[job] = reason
                        outcome = self._outcome(job, reason)
                        count = f'{len(done) + len(wrong)} of {len(jobs)}'
                        self.say(f'{count}  {outcome}  ({self._time_left(left, list(running.values()))})')
            except BaseException:
                self.stop()
                raise
        return wrong

    def stop(self) -> None:
        """End what is running."""
        with self._lock:
            self.stopped = True
            for process in self._processes.values():
                if process.returncode is None:
                    with suppress(ProcessLookupError):  # it has just ended
                        os.killpg(process.pid, signal.SIGTERM)

    def _train(self, job: Job) -> str | None:
        """Run one training; what went wrong, or None."""
        job.folder.mkdir(parents=True, exist_ok=True)
        with (job.folder / 'lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return f'another training is at work in {job.folder}: wait for it, or end it'
            return self._train_alone(job, lock.fileno())

    def _train_alone(self, job: Job, lock: int) -> str | None:
        """Run a training that holds the lock of its folder, also if this process should end before it."""
        output = job.folder / 'output.txt'
        earlier = read_record(job.folder)
        if earlier.get('fingerprint') != job.fingerprint:  # which came to no checkpoint
            earlier = {}
        record = {'wall_seconds': 0.0, 'processor_seconds': 0.0, **earlier}
        record |= {'fingerprint': job.fingerprint, **provenance()}
        write_json(job.folder / 'record.json', record)
        words = job.command(self.train, sys.executable)
        words = ['bash', '-ec', '\n'.join([*job.before, f'exec {shlex.join(words)}'])] if job.before else words
        start = time.monotonic()
        with output.open('ab') as file:
            streams = dict(stdout=file, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=(lock,))
            with self._lock:
                if self.stopped:
                    return 'was not started'
                process = subprocess.Popen(words, env=_environment(job.size.device), **streams)
                self._processes[job] = process
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        record['wall_seconds'] += time.monotonic() - start
        record['processor_seconds'] += usage.ru_utime + usage.ru_stime
        write_json(job.folder / 'record.json', record)
        if process.returncode:
            lines = output.read_text(encoding='utf-8', errors='replace').splitlines()[-_TAIL:]
            errors = [i for i, line in enumerate(lines) if line.startswith('error:')]
            lines = [f'    {line}' for line in (lines[errors[-1] :] if errors else lines)]
            return '\n'.join([f'exit status {process.returncode}; the end of {output}:', *lines])
        try:
            finish(job)
        except (RuntimeError, ValueError, OSError) as error:
            return f'it ended without a result: {error}'
        for file in [] if job.keep_weights else job.folder.glob('*.pth'):
            file.unlink()
        return None

    def _outcome(self, job: Job, reason: str | None) -> str:
        if reason is not None:
            return f'FAILED  {job.name}: {reason}'
        result = self.results.of(job, anew=True)
        metrics = [f'{name} {result[name]:.2f}' for name in ('mIoU', 'aAcc') if result.get(name) is not None]
        part = part_of_classes(of.get('IoU') for of in result.get('classes', {}).values())
        self._note_seconds(job)
        return '  '.join([job.name, *metrics, *([f'mIoU{part}'] if part else []), f'{result["wall_seconds"]:.0f} s'])

    def _note_seconds(self, job: Job) -> None:
        seconds = self.results.of(job).get('wall_seconds')
        if seconds is not None:
            self._seconds.setdefault(job.kind, []).append(seconds)

    def _time_left(self, waiting: Sequence[Job], running: Sequence[Job]) -> str:
        """The time left in words, by how long trainings of each kind took; those that run count half."""
        parts = [(self._seconds.get(job.kind), 1.0 if job in waiting else 0.5) for job in [*waiting, *running]]
        unknown = sum(past is None for past, _ in parts)
        if unknown and unknown == len(parts):
            return f'{unknown} left of unknown length'
        minutes = round(sum(fmean(past) * share for past, share in parts if past) / self.workers / 60)
        text = f'{minutes // 60} h {minutes % 60:02d} min left' if minutes >= 60 else f'{minutes} min left'
        return f'at least {text}, {unknown} of unknown length' if unknown else text


def _has_weights(job: Job) -> bool:
    """Whether the checkpoint that is probed is there."""
    return job.checkpoint.is_file() or (job.checkpoint == job.needs.folder and any(job.checkpoint.glob('*.pth')))


def _environment(device: str | None) -> Mapping[str, str]:
    """This Python is the first one; on the CPU one thread for each training, and no GPU, wherever one is."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', os.defpath)])
    of_cpu = dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='') if device == 'cpu' else {}
    return {**os.environ, 'PATH': path, 'PYTHON': sys.executable, **of_cpu}
