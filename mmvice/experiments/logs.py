"""What a run of MMEngine has left in its folder: steps, metrics and times."""

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvice.utils.config_types import type_name

from .folders import checkpoints

TRAIN_LINE = re.compile(r'Iter\(train\) +\[ *\d+/(\d+)\]')


@dataclass(frozen=True)
class Run:
    """A run, finished or not, with the parts of a resumed one put together.

    Attributes:
        step: Last step that is known of.
        total: Steps that the config makes, None where the run is too young to tell.
        finished: Whether it has left what it was to leave.
        metrics: Logged at the last step; empty before.
        rows: What was logged of training, by step.
    """

    step: int
    total: int | None
    finished: bool
    metrics: dict[str, float] = field(default_factory=dict)
    rows: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def train_time(self) -> float:
        """Seconds of all its steps; what is logged is a mean since the step that was logged before."""
        steps = [0, *sorted(self.rows)]
        return sum((end - start) * self.rows[end]['time'] for start, end in zip(steps, steps[1:]))

    @property
    def progress(self) -> str:
        """How far it is."""
        return f'running (step {self.step}' + (')' if self.total is None else f' of {self.total})')


def read_pretraining(folder: Path, cfg: Config) -> Run | None:
    """The pretraining in a folder, None if there is none; it has finished when its last checkpoint is there.

    Raises:
        ValueError: If a log is damaged, or the run's length is counted otherwise than the config's.
    """
    saved = checkpoints(folder)
    if not saved and not _sessions(folder):
        return None
    _, rows = _read_scalars(folder)
    total = _total_steps(folder, cfg)
    return Run(max([0, *rows, *saved]), total, total is not None and total in saved, rows=rows)


def read_probe(folder: Path, cfg: Config) -> Run | None:
    """The probe in a folder, None if there is none; it has finished when its last step has been measured.

    Raises:
        ValueError: If a log is damaged, or the run's length is counted otherwise than the config's.
    """
    if not _sessions(folder):
        return None
    metrics, rows = _read_scalars(folder)
    total = _total_steps(folder, cfg)
    return Run(max([0, *rows, *metrics]), total, total in metrics, metrics.get(total, {}), rows)


def _sessions(folder: Path) -> list[Path]:
    """What each start of a run has logged to, the oldest first; MMEngine names them by the time."""
    return sorted(folder.glob('*/vis_data'))


def _total_steps(folder: Path, cfg: Config) -> int | None:
    """Steps that a config makes. A length in epochs is turned into steps as the latest log does.

    The length is the config's, not the log's, so that a run that was cut short by an option does not count as finished.
    """
    length = cfg.train_cfg
    if type_name(length) == 'ClusterFitLoop':
        return 1
    if 'max_iters' in length:
        return length.max_iters
    for session in reversed(_sessions(folder)):
        log = session.parent / f'{session.parent.name}.log'
        totals = TRAIN_LINE.findall(log.read_text(encoding='utf-8')) if log.is_file() else []
        if totals:
            made = Config.fromfile(session / 'config.py', import_custom_modules=False).train_cfg.get('max_epochs')
            if made is None:
                raise ValueError(
                    f'{session / "config.py"}: the length of this run is not in epochs, as its config has it'
                )
            return round(int(totals[-1]) * length.max_epochs / made)
    return None


def _read_scalars(folder: Path) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
    """Metrics, and what was logged of training, by step.

    A later part of a run replaces what an earlier one logged from its first step on: a crash loses steps that had
    been logged, and a run that starts afresh loses all of them.
    """
    metrics: dict[int, dict[str, float]] = {}
    trained: dict[int, dict[str, float]] = {}
    for file in (session / 'scalars.json' for session in _sessions(folder)):
        rows = _read_json_lines(file) if file.is_file() else []
        start = min((row['step'] for row in rows if 'iter' in row), default=math.inf)
        metrics, trained = ({step: row for step, row in of.items() if step < start} for of in (metrics, trained))
        trained.update({row['step']: row for row in rows if 'iter' in row})
        metrics.update({row['step']: row for row in rows if 'iter' not in row})
    return metrics, trained


def _read_json_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a log; a damaged last one is what a crash leaves, and is left out.

    Raises:
        ValueError: If another line is damaged, or a line lacks what MMEngine writes.
    """
    lines = [(i, line) for i, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1) if line.strip()]
    rows = []
    for number, line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == lines[-1][0]:
                break
            raise ValueError(f'{file}, line {number} is damaged: {error}') from error
        if not isinstance(row, dict) or 'step' not in row or ('iter' in row and 'time' not in row):
            raise ValueError(f'{file}, line {number} lacks the step or time that MMEngine logs')
        rows.append(row)
    return rows
