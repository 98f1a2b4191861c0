"""What the configs of a table say, with the settings of a row."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from .tables import Paper, template_fields


@lru_cache(maxsize=256)
def _load(file: Path, _modified: int) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


def load(paper: Paper, config: str, options: Mapping[str, Any] | None = None) -> Config:
    """A config of the paper, changed by options; those that hold a folder are left out."""
    file = paper.file(config)
    cfg = Config(_load(file, file.stat().st_mtime_ns)._cfg_dict.to_dict())
    fixed = {key: value for key, value in (options or {}).items() if not is_template(value)}
    cfg.merge_from_dict(fixed)
    return cfg


def is_template(value: Any) -> bool:
    """Whether a setting holds a name in braces."""
    return isinstance(value, str) and bool(template_fields(value))


def reads_embedder(cfg: Config) -> bool:
    """Whether a model is a probe on the embedder of a checkpoint."""
    return 'embedder_checkpoint' in cfg.model


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
