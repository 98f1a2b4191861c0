"""Configs with settings changed, and settings as a command line takes them."""

import copy
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmvice.utils.config_types import type_name

from .tables import template_fields


@lru_cache(maxsize=256)
def _load(file: Path, _modified: int) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


def load(file: Path, options: Mapping[str, Any] | None = None) -> Config:
    """A config file with settings changed; those that hold a name in braces are left out."""
    cfg = Config(_load(file, file.stat().st_mtime_ns)._cfg_dict.to_dict())
    fixed = {key: value for key, value in (options or {}).items() if not is_template(value)}
    cfg.merge_from_dict(copy.deepcopy(fixed))
    return cfg


def is_template(value: Any) -> bool:
    """Whether a setting holds a name in braces."""
    return isinstance(value, str) and bool(template_fields(value))


def reads_embedder(cfg: Config) -> bool:
    """Whether a model is a probe on the embedder of a checkpoint."""
    return 'embedder_checkpoint' in cfg.model or type_name(cfg.model) == 'ProbeSegmentor'


def placed(file: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the steps of a pipeline, which may go by their types, at their places.

    Raises:
        ValueError: If there is no such step, or several, or a step itself is to be something else.
    """
    places = {key: _place(file, key) for key in options}
    for key, place in places.items():
        words = place.split('.')
        if words[-1].isdigit() and words[-2] == 'pipeline' and not isinstance(options[key], Mapping):
            raise ValueError(f'{key} is a step of a pipeline: give one of its settings, {key}.SETTING=VALUE')
    return {places[key]: value for key, value in options.items()}


def _place(file: Path, key: str) -> str:
    part: Any = _load(file, file.stat().st_mtime_ns)._cfg_dict
    words = key.split('.')
    for i, word in enumerate(words):
        if not isinstance(part, (list, tuple, dict)):
            raise ValueError(f'{key}: {file} has no {".".join(words[:i])} to be changed')
        if isinstance(part, (list, tuple)) and not word.isdigit():
            places = [place for place, step in enumerate(part) if word in (step.get('type'), type_name(step))]
            if len(places) != 1:
                there = ', '.join(type_name(step) for step in part)
                raise ValueError(f'{key}: {file} has {len(places)} steps {word} there; its steps are {there}')
            words[i] = str(places[0])
        if isinstance(part, (list, tuple)):
            part = part[int(words[i])] if int(words[i]) < len(part) else None
        else:
            part = part.get(word) if hasattr(part, 'get') else None
    return '.'.join(words)


def setting(key: str, value: Any) -> str:
    """A setting as ``--cfg-options`` takes it.

    Raises:
        ValueError: If it cannot be given there.

    Example:
        >>> setting('a.b', [1, 'x', None])
        'a.b=[1,x,None]'
        >>> setting('a.scale', (128, 96))
        'a.scale=(128,96)'
    """
    text = _text(value)
    if DictAction._parse_iterable(text) != value:
        raise ValueError(f'{key}: {value!r} cannot be given on a command line, {text} means something else there')
    return f'{key}={text}'


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f'({",".join(_text(item) for item in value)}{"," * (len(value) == 1)})'
    if isinstance(value, list):
        return f'[{",".join(_text(item) for item in value)}]'
    return str(value)
