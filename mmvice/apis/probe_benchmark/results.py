"""The small files that finished trainings leave: what was run, and what came of it."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

import torch

import mmvice
from mmvice.apis.paper.logs import Run, read_json_lines, read_pretraining, read_probe
from mmvice.utils.files import write_file

from .plan import RESULT, Job, make_plan
from .reader import Benchmark

LOG_LINES = 20
CLASS_IOU, CLASS_ACC = 'IoU.', 'Acc.'
_TYPES: dict[str, type | UnionType] = dict.fromkeys(('size', 'run', 'fingerprint'), str)
_TYPES |= dict.fromkeys(('split', 'variant', 'probe', 'embedder'), str | None)
_TYPES |= dict(seed=int, steps=int, step=int | None, variant_options=dict, wall_seconds=int | float)
_OPTIONAL_TYPES = dict(versions=dict, probe_options=dict, device=str, git_revision=str | None)
_OPTIONAL_TYPES |= dict(processor_seconds=int | float)


def summarise(job: Job, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished training was and gave, as plain values.

    Args:
        job: The training.
        record: What is noted of its starts: seconds, and the revision of the last one.

    Raises:
        RuntimeError: If its logs do not say that it finished.
    """
    cfg = job.load_config()
    measured = cfg.get('val_cfg') is not None
    run = (read_probe if measured else read_pretraining)(job.folder, cfg)
    if run is None or not run.finished:
        raise RuntimeError(f'{job.folder} has no finished training' + ('' if run is None else f': {run.progress}'))
    return dict(
        size=job.size,
        split=job.split if job.probe or cfg.get('val_cfg') is not None else None,
        run=job.run,
        variant=job.variant.name,
        seed=job.seed,
        probe=job.probe,
        embedder=job.embedder,
        step=job.step,
        config=_below_project(job.config),
        options=_without_folders(job),
        amp=job.amp,
        variant_options=dict(job.variant.options),
        probe_options=dict(job.tried),
        fingerprint=job.fingerprint,
        **_metrics(run),
        steps=run.step,
        wall_seconds=round(record['wall_seconds'], 1),
        processor_seconds=round(record['processor_seconds'], 1),
        device=torch.cuda.get_device_name() if job.size == 'gpu' and torch.cuda.is_available() else 'cpu',
        log=_log(job.folder),
        versions=record['versions'],
        git_revision=record['git_revision'],
    )


def _below_project(config: Path) -> str:
    """The place of a config in the project, which does not tell of the machine."""
    root = Path(mmvice.__file__).resolve().parents[1]
    config = config.resolve()
    return config.relative_to(root).as_posix() if config.is_relative_to(root) else config.name


def _without_folders(job: Job) -> dict[str, Any]:
    """The settings, with the checkpoint by its place among the runs."""
    if job.checkpoint is None:
        return dict(job.options)
    place = Path(*job.checkpoint.parts[-4:]).as_posix()  # run, seed, pretraining, file
    return {**job.options, 'model.embedder_checkpoint': place}


def _metrics(run: Run) -> dict[str, Any]:
    """Means, and the values of every class."""
    if not run.metrics:
        return {}
    means = {name: _number(run.metrics[name]) for name in ('mIoU', 'aAcc', 'mAcc')}
    classes = {
        key.removeprefix(CLASS_IOU): dict(
            IoU=_number(value), Acc=_number(run.metrics[CLASS_ACC + key.removeprefix(CLASS_IOU)])
        )
        for key, value in run.metrics.items()
        if key.startswith(CLASS_IOU)
    }
    return dict(**means, classes=classes)


def _log(folder: Path) -> list[dict[str, float]]:
    """Some logged steps, evenly spread, the last one among them."""
    rows: dict[int, dict[str, float]] = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        trained = {row['step']: row for row in read_json_lines(file) if 'iter' in row}
        rows = {step: row for step, row in rows.items() if not trained or step < min(trained)} | trained
    steps = sorted(rows)
    count = min(len(steps), LOG_LINES)
    chosen = [steps[math.ceil(len(steps) * (i + 1) / count) - 1] for i in range(count)]
    dropped = ('iter', 'data_time', 'memory')
    return [{key: _number(value) for key, value in rows[step].items() if key not in dropped} for step in chosen]


def _number(value: float) -> float | None:
    """A number with five digits; None for one that JSON does not have."""
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    return value


def write_result(job: Job, result: Mapping[str, Any]) -> None:
    """Leave the result in the training's folder, whole or not at all."""
    text = json.dumps(result, indent=1, allow_nan=False) + '\n'
    write_file(str(job.result_file), text.encode())


def read_result(file: Path) -> dict[str, Any]:
    """A result.

    Raises:
        ValueError: If the file is not what :func:`write_result` leaves.
    """
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{file} is no JSON file: {error}; remove it to have that training measured again') from error
    missing = _TYPES.keys() - set(content if isinstance(content, dict) else ())
    if missing:
        raise ValueError(f'{file} is not the result of a training: it has no {", ".join(sorted(missing))}')
    probed = dict(mIoU=int | float, aAcc=int | float, classes=dict) if content['probe'] is not None else {}
    types = _TYPES | {name: kind for name, kind in _OPTIONAL_TYPES.items() if name in content} | probed
    for name, kind in types.items():
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted = kind.__name__ if isinstance(kind, type) else kind
            raise ValueError(f'{file}: {name} must be {wanted}, got {value!r}')
        if name in ('mIoU', 'aAcc') and not 0 <= value <= 100:
            raise ValueError(f'{file}: {name} of a probe must be a number of percent, got {value!r}')
    return content


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results under a folder, in the order of their paths: of work folders, or collected ones.

    Raises:
        ValueError: If one is damaged.
    """
    return [read_result(file) for file in sorted({*folder.rglob(RESULT), *folder.rglob(f'*.{RESULT}')})]


def restore_results(
    jobs: Iterable[Job], kept: Iterable[Mapping[str, Any]], write: bool = True
) -> tuple[list[Job], list[str]]:
    """Put kept results where their trainings would leave them, so that these are not repeated.

    Args:
        jobs: The trainings of a plan; those that have a result keep it.
        kept: Results of earlier runs, as of :func:`read_results`.
        write: Put them there. False only tells which would be.

    Returns:
        tuple: The trainings that have them, and the names of those whose kept result is of other settings.
    """
    found = {_key(result): result for result in kept}
    restored, others = [], []
    for job in jobs:
        result = found.get(_key_of(job))
        if result is None or job.result_file.is_file():
            continue
        if result['fingerprint'] != job.fingerprint:
            others.append(job.name)
            continue
        if write:
            job.folder.mkdir(parents=True, exist_ok=True)
            write_result(job, result)
        restored.append(job)
    return restored, others


def of_these_settings(
    benchmark: Benchmark, results: Iterable[Mapping[str, Any]], size: str
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Results for the table: those of the benchmark as it is now.

    Args:
        benchmark: The benchmark.
        results: Results of any kind.
        size: Whose table it is.

    Returns:
        tuple: The results, without those of its table that are of other settings, or of a row or probe that it has
            not; and the names of the latter.
    """
    results = list(results)
    seeds = sorted({result['seed'] for result in results})
    jobs = make_plan(benchmark, Path(), size, 'table', seeds=seeds) if seeds else []
    planned = {_key_of(job): job for job in jobs}
    used, others = [], []
    for result in results:
        job = planned.get(_key(result))
        elsewhere = result['size'] != size or result['split'] == 'tune' or result['variant'] is not None
        if elsewhere or (job is not None and job.fingerprint == result['fingerprint']):
            used.append(result)
        else:
            others.append(
                job.name if job is not None else ' '.join(str(part) for part in _key(result) if part is not None)
            )
    return used, others


def _key_of(job: Job) -> tuple:
    """What the result of a training is of; without labels, a pretraining is of both splits."""
    split = None if job.probe is None and job.load_config().get('val_cfg') is None else job.split
    names = dict(size=job.size, split=split, run=job.run, variant=job.variant.name, seed=job.seed)
    return _key(dict(**names, probe=job.probe, embedder=job.embedder, step=job.step))


def _key(result: Mapping[str, Any]) -> tuple:
    """What a result is of."""
    return tuple(result[name] for name in ('size', 'split', 'run', 'variant', 'seed', 'probe', 'embedder', 'step'))


def export_results(results: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write results, by themselves, into one folder, under names that tell what they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for result in results:
        parts = [
            result['size'],
            f'{result["run"]}@{result["variant"]}' if result['variant'] else result['run'],
            f'seed-{result["seed"]}',
            result['split'],
            result['embedder'],
            result['probe'] or 'pretraining',
            None if result['step'] is None else f'iter-{result["step"]}',
        ]
        file = folder / f'{"_".join(part for part in parts if part)}.{RESULT}'
        write_file(str(file), (json.dumps(result, allow_nan=False) + '\n').encode())
        written.append(file)
    return written
