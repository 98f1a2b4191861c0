"""Running the trainings of a plan, several at a time, each as a user would start it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from .plan import Job
from .results import read_result, summarise, write_result

OUTPUT = 'output.txt'
FINISHED, STALE, LEFT = 'finished', 'stale', 'left'
_TAIL = 15


def state(job: Job) -> str:
    """Whether a training has finished, has finished with other settings ('stale'), or is left to be run."""
    if not job.result_file.is_file():
        return LEFT
    return FINISHED if read_result(job.result_file)['fingerprint'] == job.fingerprint else STALE


class Executor:
    """Runs what is left of a plan.

    A training that was interrupted goes on from its last checkpoint, one that fails is reported and holds up only what
    needs it, and one that has finished is not repeated, unless its settings are not those of the plan: then it is
    reported, and left as it is.

    Args:
        train: The tool that trains, ``tools/train.py``.
        workers: Trainings at a time, each of one thread on the CPU.
        say: Where lines about the progress go.
    """

    def __init__(self, train: Path, workers: int = 1, say: Callable[[str], None] = print) -> None:
        self.train = train
        self.workers = workers
        self.say = say
        self._processes: dict[Job, subprocess.Popen] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, jobs: Sequence[Job]) -> dict[Job, str]:
        """Run them.

        Returns:
            dict: What is wrong with each training that has no result of its settings.
        """
        states = {job: state(job) for job in jobs}
        for job in jobs:
            if states[job] == LEFT and states.get(job.needs) == FINISHED and not _has_weights_for(job):
                states[job.needs] = LEFT
                self.say(f'{job.needs.name}: its weights are not there any more, it is trained again')
        wrong = {
            job: f'{job.result_file} is of other settings: give the new ones a name (--variant), or move '
            f'{job.folder} away'
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
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
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
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)

    def _train(self, job: Job) -> str | None:
        """Run one training; what went wrong, or None."""
        start = time.monotonic()
        job.folder.mkdir(parents=True, exist_ok=True)
        output = job.folder / OUTPUT
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
                )
                self._processes[job] = process
            status = process.wait()
        if status:
            lines = output.read_text(encoding='utf-8', errors='replace').splitlines()[-_TAIL:]
            return '\n'.join([f'exit status {status}; the end of {output}:', *(f'    {line}' for line in lines)])
        try:
            write_result(job, summarise(job, time.monotonic() - start))
        except (RuntimeError, ValueError, OSError) as error:
            return f'it ended without a result: {error}'
        if not job.keep_weights:
            for file in job.folder.glob('*.pth'):
                file.unlink()
        return None


def _has_weights_for(probe: Job) -> bool:
    """Whether the checkpoint is there that a probe is put on."""
    return any(probe.needs.folder.glob(f'iter_{probe.step}.pth' if probe.step else '*.pth'))


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
    return '  '.join([job.name, *metrics, f'{result["wall_seconds"]:.0f} s'])


def _environment(size: str) -> Mapping[str, str]:
    """One thread for each training on the CPU; the CPU size stays on the CPU, wherever a GPU is."""
    environment = dict(os.environ)
    if size == 'cpu':
        environment.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    return environment
