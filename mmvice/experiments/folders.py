"""Names of the folders of runs, and what lies in them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .tables import template_fields


def seed_suffix(seed: int) -> str:
    """What a seed adds to a folder's name: nothing for seed 0."""
    return f'_seed-{seed}' if seed else ''


def run_name(config: str, options: Mapping[str, Any]) -> str:
    """Name of a run with the settings that tell it from others; those that hold a folder do not, and a seed neither.

    Example:
        >>> run_name('linear_probe/p', {'model.decode_head.num_filters': 45, 'data.root': 'a/set.txt'})
        'p_num_filters-45_root-set'
    """
    parts = []
    for key, value in options.items():
        fields = template_fields(value) if isinstance(value, str) else set()
        if fields <= {'seed'}:
            text = re.sub(r'[-_]seed-\{seed\}', '', value) if fields else value
            parts.append(f'_{key.rpartition(".")[2]}-{slug(text.format(seed="") if fields else text)}')
    return Path(config).name + ''.join(parts)


def slug(value: Any) -> str:
    """A setting as a part of a file name; of a path only the stem.

    Example:
        >>> slug([1, 0.5]), slug('torchvision://resnet18'), slug(None)
        ('1-0.5', 'resnet18', 'None')
    """
    text = Path(value).stem if isinstance(value, str) and '/' in value else str(value)
    return re.sub(r'[^\w.+-]+', '-', text).strip('-')


def seeds_there(first: Path) -> list[int]:
    """Seeds that have a folder beside that of seed 0."""
    found = [0] if first.is_dir() else []
    for folder in first.parent.glob(f'{first.name}_seed-*'):
        match = re.fullmatch(r'_seed-([1-9]\d*)', folder.name[len(first.name) :])
        if match and folder.is_dir():
            found.append(int(match.group(1)))
    return found


def checkpoints(run: Path) -> dict[int, Path]:
    """Checkpoints of a run by step, the earliest first."""
    found = {}
    for file in run.glob('iter_*.pth'):
        match = re.fullmatch(r'iter_(\d+)', file.stem)
        if match:
            found[int(match.group(1))] = file
    return dict(sorted(found.items()))
