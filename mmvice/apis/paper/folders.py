"""Where the runs of a table lie: one rule for those who start them and those who read them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .tables import Pictures, Result, template_fields


def seed_suffix(seed: int) -> str:
    """What a seed adds to a folder's name: nothing for seed 0."""
    return f'_seed-{seed}' if seed else ''


def pretraining_run(work_dirs: Path, config: str, seed: int) -> Path:
    """Folder of a pretraining."""
    return work_dirs / f'{Path(config).name}{seed_suffix(seed)}'


def probe_name(config: str, options: Mapping[str, Any]) -> str:
    """Name of a probe with the settings that tell it from others; those that hold a folder do not, and a seed neither.

    Example:
        >>> probe_name('linear_probe/p', {'model.decode_head.num_filters': 45, 'data.root': 'a/set.txt'})
        'p_num_filters-45_root-set'
    """
    parts = []
    for key, value in options.items():
        fields = template_fields(value) if isinstance(value, str) else set()
        if fields <= {'seed'}:
            text = re.sub(r'[-_]seed-\{seed\}', '', value) if fields else value
            parts.append(f'_{key.rpartition(".")[2]}-{slug(text.format(seed="") if fields else text)}')
    return Path(config).name + ''.join(parts)


def probe_run(work_dirs: Path, result: Result | Pictures, seed: int) -> Path:
    """Folder of a probe: in that of its pretraining, if it has one."""
    name = probe_name(result.probe, result.options)
    if result.pretrain is None:
        return work_dirs / f'{name}{seed_suffix(seed)}'
    return pretraining_run(work_dirs, result.pretrain, seed) / name


def seeds_of(work_dirs: Path, result: Result) -> list[int]:
    """Seeds that a result has folders of."""
    if result.pretrain is None:
        first = probe_run(work_dirs, result, 0)
    else:
        first = pretraining_run(work_dirs, result.pretrain, 0)
    found = [0] if first.is_dir() else []
    for folder in first.parent.glob(f'{first.name}_seed-*'):
        match = re.fullmatch(r'_seed-([1-9]\d*)', folder.name[len(first.name) :])
        if match and folder.is_dir():
            found.append(int(match.group(1)))
    return sorted(found)


def source_folder(work_dirs: Path, result: Result, seed: int) -> Path:
    """Where the file of a result lies: with the probe, if it has one, else with the pretraining."""
    if result.probe is not None:
        return probe_run(work_dirs, result, seed)
    return pretraining_run(work_dirs, result.pretrain, seed)


def curve_run(work_dirs: Path, result: Result, seed: int, step: int) -> Path:
    """Folder of the probe on one checkpoint of a pretraining."""
    run = probe_run(work_dirs, result, seed)
    return run.with_name(f'{run.name}_iter-{step}')


def curve_steps(work_dirs: Path, result: Result, seed: int) -> list[int]:
    """Steps of the checkpoints that have a probe's folder."""
    run = probe_run(work_dirs, result, seed)
    matches = (re.fullmatch(r'_iter-(\d+)', path.name[len(run.name) :]) for path in run.parent.glob(f'{run.name}_*'))
    return sorted(int(match.group(1)) for match in matches if match)


def slug(value: Any) -> str:
    """A setting as a part of a file name; of a path only the stem.

    Example:
        >>> slug([1, 0.5]), slug('torchvision://resnet18'), slug(None)
        ('1-0.5', 'resnet18', 'None')
    """
    text = Path(value).stem if isinstance(value, str) and '/' in value else str(value)
    return re.sub(r'[^\w.+-]+', '-', text).strip('-')


def checkpoints(run: Path) -> dict[int, Path]:
    """Checkpoints of a run by step, the earliest first."""
    found = {}
    for file in run.glob('iter_*.pth'):
        match = re.fullmatch(r'iter_(\d+)', file.stem)
        if match:
            found[int(match.group(1))] = file
    return dict(sorted(found.items()))
