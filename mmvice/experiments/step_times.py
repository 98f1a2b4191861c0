"""How long a training step of each pretraining takes, all of them side by side on one machine."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.device import get_device

from mmvice.experiments.timing import build_training, endless
from mmvice.models import head_of
from mmvice.utils.device import device_name, synchronize
from mmvice.utils.provenance import provenance

from .fields import checked, read_json
from .jobs import Job

STEP_TIMES = 'step_times.json'
WARMUP = 2


class TimedTraining:
    """The steps of a pretraining, with its batches loaded in this process.

    Args:
        job: The pretraining. It is timed as in the middle of a run: see :meth:`BaseMethodHead.enter_steady_state`.
        device: Where to train.
        steps: Number of steps it is for.
    """

    def __init__(self, job: Job, device: torch.device, steps: int) -> None:
        cfg = job.load_config()
        cfg.train_dataloader.update(num_workers=0)
        self.device = device
        self.model, self.optim_wrapper, loader = build_training(cfg, device, steps, job.amp)
        head = head_of(self.model)
        if head is not None:
            head.enter_steady_state()
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
    device = torch.device('cpu' if jobs[0].size.device == 'cpu' else get_device())
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == 'cpu' else threads)
    try:
        trainings = {job.run: TimedTraining(job, device, rounds + WARMUP) for job in jobs}
        times: dict[str, list[tuple[float, float]]] = {run: [] for run in trainings}
        for number in range(1, rounds + WARMUP + 1):
            for run, training in trainings.items():
                times[run].append(training.step())
            say(f'{number} of {rounds + WARMUP} rounds')
    finally:
        torch.set_num_threads(threads)
    data, steps = ({run: median(each[i] for each in times[run][WARMUP:]) for run in times} for i in (0, 1))
    runs = {
        run: dict(step_ms=round(1000 * steps[run], 2), data_ms=round(1000 * data[run], 2), images=training.images)
        for run, training in trainings.items()
    }
    name = 'cpu, one thread' if device.type == 'cpu' else device_name(device)
    return dict(size=jobs[0].size.name, runs=runs, rounds=rounds, device=name, **provenance())


def read_step_times(work_dirs: Path) -> dict[str, Any] | None:
    """Step times in the folder of all runs; None if they have not been measured.

    Raises:
        ValueError: If the file is damaged.
    """
    file, number = work_dirs / STEP_TIMES, (int, float)
    if not file.is_file():
        return None
    times = checked(str(file), read_json(file, 'measure the steps again'), dict(runs=(dict,)), ['runs'], others=True)
    for name, run in times['runs'].items():
        needed = dict(step_ms=number, data_ms=number)
        checked(f'{file}, {name}, measure the steps again', run, needed, [*needed], others=True)
    return times
