"""What finished trainings gave: read from their folders, or from a file of kept results."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

import mmvice
from mmvice.evaluation import is_class_metric
from mmvice.utils.files import write_file

from .fields import NULL, checked, read_json, refuse
from .folders import seeds_there
from .jobs import Job
from .logs import Run, read_pretraining, read_probe
from .plan import Planner
from .tables import Source

FINISHED, STALE, LEFT = 'finished', 'stale', 'left'
OTHER_SETTINGS = 'of other settings'
LOG_LINES = 20
NUMBER, TEXT, MAPPING = (int, float), (str, NULL), (dict,)
_KEY = dict(size=TEXT, split=TEXT, run=(str,), variant=TEXT, seed=(int,), probe=TEXT, embedder=TEXT, step=(int, NULL))
_TYPES = dict(**_KEY, fingerprint=(str,), steps=(int,), variant_options=MAPPING)
_OPTIONAL = dict(versions=MAPPING, probe_options=MAPPING, classes=MAPPING, device=(str,), git_revision=TEXT)
_OPTIONAL |= dict(mIoU=NUMBER, aAcc=(*NUMBER, NULL), train_time=NUMBER, processor_seconds=NUMBER)
_OPTIONAL |= dict(wall_seconds=(*NUMBER, NULL))
_NO_METRICS = ('step', 'time', 'data_time')


def found(job: Job, of_settings: bool = True) -> dict[str, Any] | str:
    """The result in a training's folder; in words how far the training is, and nothing where nothing is there.

    Args:
        job: The training.
        of_settings: Whether the result must be of the training's settings.
    """
    if job.result_file.is_file():
        result = read_result(job.result_file)
        return OTHER_SETTINGS if of_settings and result['fingerprint'] != job.fingerprint else result
    record = read_record(job.folder)
    if of_settings and record and record.get('fingerprint') != job.fingerprint and any(job.folder.glob('*.pth')):
        return OTHER_SETTINGS
    run = _read_logs(job)
    return '' if run is None else _summary(job, run, record) if run.finished else run.progress


def _read_logs(job: Job) -> Run | None:
    cfg = job.cfg
    measured = job.probe is not None or cfg.get('val_cfg') is not None
    return (read_probe if measured else read_pretraining)(job.folder, cfg)


def read_record(folder: Path) -> dict[str, Any]:
    """What is noted of a training's starts: settings, revision, seconds; empty before the first one.

    Raises:
        ValueError: If the file is damaged.
    """
    file, advice = folder / 'record.json', f'move {folder} away to have it trained again'
    record = read_json(file, advice) if file.is_file() else {}
    refuse(str(file), {f'must be a mapping, got {record!r}; {advice}': not isinstance(record, dict)})
    return record


def finish(job: Job) -> None:
    """Leave the result of a training in its folder; a RuntimeError if its logs do not say that it has finished."""
    run = _read_logs(job)
    if run is None or not run.finished:
        raise RuntimeError(f'{job.folder} has no finished training' + ('' if run is None else f': {run.progress}'))
    write_json(job.result_file, _summary(job, run, read_record(job.folder)))


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, whole or not at all."""
    write_file(str(file), (json.dumps(content, indent=1, allow_nan=False) + '\n').encode())


def _summary(job: Job, run: Run, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished training was and gave; the record is empty for one that was started by hand."""
    on_cpu = job.size.device == 'cpu' or not torch.cuda.is_available()
    classes: dict[str, dict[str, float | None]] = {}
    for name, value in run.metrics.items():
        if is_class_metric(name):
            kind, _, of = name.rpartition('/')[2].partition('.')
            classes.setdefault(of, {})[kind] = _number(value)
    means = {name: _number(value) for name, value in run.metrics.items() if not is_class_metric(name)}
    options = {**job.scaling.options, **job.options}
    if 'model.embedder_checkpoint' in options:  # by its place among the runs, which does not tell of the machine
        options['model.embedder_checkpoint'] = job.checkpoint.relative_to(job.needs.folder.parent).as_posix()
    return dict(
        **dict(zip(_KEY, job.key)),
        config=_below_project(job.config),
        options=options,
        amp=job.amp,
        variant_options=dict(job.variant_options),
        probe_options=dict(job.probe_options),
        fingerprint=job.fingerprint,
        **{name: value for name, value in means.items() if name not in _NO_METRICS},
        **(dict(classes=classes) if classes else {}),
        steps=run.step,
        train_time=round(run.train_time, 1),
        **{name: round(record[name], 1) for name in ('wall_seconds', 'processor_seconds') if name in record},
        device='cpu' if on_cpu else torch.cuda.get_device_name(),
        log=_log(run.rows),
        **{name: record[name] for name in ('versions', 'git_revision') if name in record},
    )


def _below_project(config: Path) -> str:
    """The place of a config in the project, which does not tell of the machine."""
    root, config = Path(mmvice.__file__).resolve().parents[1], config.resolve()
    return config.relative_to(root).as_posix() if config.is_relative_to(root) else config.name


def _log(rows: Mapping[int, Mapping[str, float]]) -> list[dict[str, float]]:
    """Some logged steps, evenly spread, the last one among them."""
    steps, dropped = sorted(rows), ('iter', 'data_time', 'memory')
    count = min(len(steps), LOG_LINES)
    chosen = [steps[math.ceil(len(steps) * (i + 1) / count) - 1] for i in range(count)]
    return [{key: _number(value) for key, value in rows[step].items() if key not in dropped} for step in chosen]


def _number(value: float) -> float | None:
    """A number with five digits; None for one that JSON does not have."""
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    return value


def read_result(file: Path) -> dict[str, Any]:
    """The result in a training's folder.

    Raises:
        ValueError: If the file is not what a training leaves.
    """
    return _checked(str(file), read_json(file, 'remove it to have that training measured again'))


def _checked(where: str, content: Any) -> dict[str, Any]:
    checked(where, content, _TYPES | _OPTIONAL, [*_TYPES], others=True)
    for name in ('mIoU', 'aAcc'):
        value = content.get(name)
        refuse(
            where, {f'{name} must be a number of percent, got {value!r}': value is not None and not 0 <= value <= 100}
        )
    return content


def read_kept(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Kept results, a line each, and the step times among them, if any.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is damaged.
    """
    results, step_times = [], None
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
        try:
            content = json.loads(line)
        except ValueError as error:
            raise ValueError(f'{file}, line {number} is no JSON: {error}') from error
        if isinstance(content, dict) and 'step_times' in content:
            step_times = content['step_times']
        else:
            results.append(_checked(f'{file}, line {number}', content))
    return results, step_times


class Results:
    """The results of trainings, from their folders and from kept ones.

    Args:
        kept: Kept results.
        step_times: How long steps take, if that has been measured.
        of_settings: Whether results must be of the trainings' settings.

    Attributes:
        used: Results that were asked for.
        others: Names of trainings that have a result of other settings.

    Raises:
        ValueError: If two kept results are of the same training.
    """

    def __init__(
        self,
        kept: Iterable[Mapping[str, Any]] = (),
        step_times: Mapping[str, Any] | None = None,
        of_settings: bool = True,
    ) -> None:
        self.step_times, self.of_settings = step_times, of_settings
        self.kept: dict[tuple, Mapping[str, Any]] = {}
        self.used: dict[tuple, Mapping[str, Any]] = {}
        self.others: dict[str, None] = {}
        self._known: dict[Job, Mapping[str, Any] | str] = {}
        self._seeds: dict[tuple, set[int]] = {}
        for result in kept:
            key = tuple(result[name] for name in _KEY)
            refuse('kept results', {f'two are of {" ".join(map(str, key))}: take one away': key in self.kept})
            self.kept[key] = result
            size, _, run, variant, seed, probe, embedder, _ = key
            self._seeds.setdefault((size, run, variant, probe, embedder), set()).add(seed)

    def of(self, job: Job, anew: bool = False) -> Mapping[str, Any] | str:
        """The result of a training, or in words why there is none; ``anew`` if it may have changed."""
        if anew or job not in self._known:
            there, kept = found(job, self.of_settings), self.kept.get(job.key)
            other = there == '' and kept and self.of_settings and kept['fingerprint'] != job.fingerprint
            there = kept if there == '' and kept and not other else there
            self.others.update({job.name: None} if other or there == OTHER_SETTINGS else {})
            self.used.update({} if isinstance(there, str) else {job.key: there})
            self._known[job] = there
        return self._known[job]

    def state(self, job: Job) -> str:
        """Whether a training has finished, is there with other settings ('stale'), or is left to be run."""
        there = self.of(job, anew=True)
        return FINISHED if not isinstance(there, str) else STALE if there == OTHER_SETTINGS else LEFT

    def seeds(self, planner: Planner, source: Source) -> list[int]:
        """Seeds of a source that were started or are kept."""
        run = source.run if source.pretraining is None else source.pretraining.run
        key = (planner.size.name, run or source.name, planner.variant, source.name, source.embedder)
        kept = self._seeds.get(key, ())
        return sorted({*kept, *seeds_there(planner.folder(source, 0))})

    def unasked(self, planner: Planner) -> list[str]:
        """What kept results are of that nobody has asked for, of a size and split and of the rows as they are."""
        asked, split = {job.key for job in self._known}, (planner.split, None)
        keys = [key for key in self.kept if key[0] == planner.size.name and key[1] in split and key[3] is None]
        return [' '.join(str(part) for part in key if part is not None) for key in keys if key not in asked]

    def variants(self, planner: Planner) -> list[str | None]:
        """Names of what was tried, the rows as they are first."""
        folders = (path.name.partition('@')[2] for path in planner.work_dirs.glob('*@*') if path.is_dir())
        names = {name.partition('_seed-')[0].removesuffix(f'_{planner.split}') for name in folders}
        return [None, *sorted(names | {result['variant'] for result in self.kept.values()} - {None})]

    def write(self, file: Path) -> None:
        """Keep what was used in one file, a line each."""
        contents = [*self.used.values(), *([dict(step_times=self.step_times)] if self.step_times else [])]
        text = ''.join(json.dumps(content, allow_nan=False, separators=(',', ':')) + '\n' for content in contents)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(str(file), text.encode())
