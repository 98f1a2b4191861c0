"""How long a training step of each pretraining takes, all of them side by side on one machine."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.device import get_device

from mmvice.apis.benchmark import build_training, endless
from mmvice.models import ViCE
from mmvice.utils.device import device_name, synchronize
from mmvice.utils.files import write_file
from mmvice.utils.provenance import provenance

from .plan import Job

STEP_TIMES = 'step_times.json'


class TimedTraining:
    """The steps of a pretraining, with its batches loaded in this process.

    Args:
        job: The pretraining. ViCE is timed as in the middle of a run, with a full queue and concepts that learn.
        device: Where to train.
        steps: Number of steps it is for.
    """

    def __init__(self, job: Job, device: torch.device, steps: int) -> None:
        cfg = job.load_config()
        cfg.train_dataloader.update(num_workers=0)
        self.device = device
        self.model, self.optim_wrapper, loader = build_training(cfg, device, steps, job.amp)
        if isinstance(self.model, ViCE):
            self.model.head.enter_steady_state()
        self.model.train()
        self.images = loader.batch_size
        self._batches = endless(loader)

    def step(self) -> tuple[float, float]:
        """Train on a batch.

        Returns:
            tuple: Seconds of loading it, and of the step. On the CPU both are those of the processor, which other
            work on the machine hardly changes.
        """
        start = self._now()
        batch = next(self._batches)
        loaded = self._now()
        self.model.train_step(batch, self.optim_wrapper)
        return loaded - start, self._now() - loaded

    def _now(self) -> float:
        if self.device.type == 'cpu':
            return time.process_time()
        synchronize(self.device)
        return time.perf_counter()


def time_steps(jobs: Sequence[Job], rounds: int, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Time the steps of pretrainings, a step of each in turn, on one thread where there is no GPU.

    Args:
        jobs: Pretrainings of one size.
        rounds: Steps of each that count; two more come before.
        say: Where lines about the progress go.

    Returns:
        dict: Milliseconds for each run, medians, and where they were measured.

    Raises:
        ValueError: If there is nothing to time.
    """
    if not jobs:
        raise ValueError('none of these rows is of a pretraining, so there are no steps to time')
    device = torch.device('cpu' if jobs[0].size == 'cpu' else get_device())
    threads = torch.get_num_threads()
    if device.type == 'cpu':
        torch.set_num_threads(1)
    warmup = 2
    try:
        trainings = {job.run: TimedTraining(job, device, rounds + warmup) for job in jobs}
        times: dict[str, list[tuple[float, float]]] = {run: [] for run in trainings}
        for number in range(rounds + warmup):
            for run, training in trainings.items():
                measured = training.step()
                if number >= warmup:
                    times[run].append(measured)
            say(f'{number + 1} of {rounds + warmup} rounds')
    finally:
        torch.set_num_threads(threads)
    runs = {
        run: dict(
            step_ms=round(1000 * median(step for _, step in times[run]), 2),
            data_ms=round(1000 * median(data for data, _ in times[run]), 2),
            images=training.images,
        )
        for run, training in trainings.items()
    }
    return dict(
        size=jobs[0].size,
        runs=runs,
        rounds=rounds,
        device='cpu, one thread' if device.type == 'cpu' else device_name(device),
        **provenance(),
    )


def step_times_file(work_dir: Path, size: str) -> Path:
    """Where the step times of a size lie."""
    return work_dir / f'{size}_{STEP_TIMES}'


def write_step_times(times: Mapping[str, Any], work_dir: Path) -> Path:
    """Leave step times in the folder of all runs, or among collected results."""
    work_dir.mkdir(parents=True, exist_ok=True)
    file = step_times_file(work_dir, times['size'])
    write_file(str(file), (json.dumps(times, indent=1) + '\n').encode())
    return file


def read_step_times(work_dir: Path, size: str) -> dict[str, Any] | None:
    """Step times of a size; None if they have not been measured.

    Raises:
        ValueError: If the file is damaged.
    """
    file = step_times_file(work_dir, size)
    if not file.is_file():
        return None
    try:
        times = json.loads(file.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{file} is no JSON file: {error}; measure the steps again') from error
    runs = times.get('runs') if isinstance(times, dict) else None
    if not isinstance(runs, dict) or not all(map(_is_timed, runs.values())):
        raise ValueError(f'{file} has not the milliseconds of each run: measure the steps again')
    return times


def _is_timed(run: Any) -> bool:
    return isinstance(run, dict) and all(isinstance(run.get(key), (int, float)) for key in ('step_ms', 'data_ms'))
