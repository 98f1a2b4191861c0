"""Explaining errors in building a part from its config, by the setting and its valid values."""

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import mmengine.fileio
import mmengine.registry

from mmvice.cli.step_errors import OF_SETTINGS, SHOW_WHERE, first_line, settings
from mmvice.registry import MODELS
from mmvice.utils.reading import no_storage

_BUILDING = Path(mmengine.registry.__file__).parent
_STORAGES = Path(mmengine.fileio.__file__).parent
_OF_VALUES = (*OF_SETTINGS, LookupError, FileNotFoundError)


def explain_building(error: BaseException) -> str | None:
    """Explain an error of an object that MMEngine could not build from a config; None for other errors."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    storage = [frame for frame in frames if _STORAGES in Path(frame.f_code.co_filename).parents]
    if storage and isinstance(error, (LookupError, ImportError, TypeError)):
        given = (value for frame in storage for name, value in frame.f_locals.items() if name == 'backend_args')
        return no_storage(next(given, None), error)
    building = [frame for frame in frames if _BUILDING in Path(frame.f_code.co_filename).parents]
    if not building:
        return None
    built, given = (building[-1].f_locals.get(name) for name in ('obj_cls', 'args'))
    if frames[-1] is building[-1] and isinstance(error, (KeyError, TypeError)) and not inspect.isclass(built):
        return _no_type(error, building[-1].f_locals.get('cfg'), frames)
    if not inspect.isclass(built) or not isinstance(given, dict) or not isinstance(error, _OF_VALUES):
        return None
    in_constructor = frames[-1] is building[-1] or frames[-1].f_code.co_name == '__init__'
    wrong = re.search(r'keyword argument|missing \d+ required|positional argument', str(error))
    if isinstance(error, TypeError) and in_constructor and wrong:
        return f'{error}: the config gives {built.__name__} {", ".join(given)}; {_takes(built, str(error))}'
    return f'{built.__name__} cannot be built with {settings(given)}: {first_line(error)} ({SHOW_WHERE})'


def _no_type(error: Exception, part: Any, frames: list[FrameType]) -> str:
    """Explain a missing or unknown type."""
    if isinstance(part, Mapping) and part.get('type') is None:
        path = next((place for config in _configs(frames) for place in _places(config, part)), 'a part of the config')
        default = _default_type(path.rpartition('.')[2], frames)
        add = f'={default}, the default, or the name of another class' if default else ', the name of its class'
        return f'{path} has no type, but {settings(part)}: add {path}.type{add}'
    return first_line(error).split('. Please check')[0]


def _configs(frames: list[FrameType]) -> Iterator[Mapping]:
    """The configs of the runs in an error's traceback."""
    for frame in frames:
        config = getattr(frame.f_locals.get('self'), 'cfg', frame.f_locals.get('cfg'))
        if isinstance(config, Mapping) or hasattr(config, '_cfg_dict'):
            yield getattr(config, '_cfg_dict', config)


def _places(config: Any, part: Mapping, path: str = '') -> Iterator[str]:
    """The place of a part in a config, such as ``model.decode_head.loss_decode``."""
    if path and config == part:
        yield path
    entries = config.items() if isinstance(config, Mapping) else enumerate(config) if _is_list(config) else ()
    for name, value in entries:
        yield from _places(value, part, f'{path}.{name}' if path else str(name))


def _is_list(part: Any) -> bool:
    return isinstance(part, (list, tuple))


def _default_type(name: str, frames: list[FrameType]) -> str | None:
    """The default type of a part of this name."""
    owners = [type(frame.f_locals['self']) for frame in frames if 'self' in frame.f_locals]
    return next(
        (part[name]['type'] for owner in reversed(owners) for part in [_default_parts(owner)] if name in part), None
    )


def _default_parts(kind: type) -> dict[str, dict]:
    """The arguments of a class whose defaults are configs."""
    defaults = {name: parameter.default for name, parameter in _parameters(kind).items()}
    return {name: value for name, value in defaults.items() if isinstance(value, dict) and 'type' in value}


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The arguments of a class, including those that it passes to its base class."""
    found: dict[str, inspect.Parameter] = {}
    for owner in kind.__mro__:
        if '__init__' not in vars(owner) or owner is object:
            continue
        own = inspect.signature(owner.__init__).parameters
        found = {**own, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
            break
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: parameter for name, parameter in found.items() if name != 'self' and parameter.kind not in variable}


def _takes(kind: type, message: str) -> str:
    """Describe the arguments of a class, and which of its parts accepts an argument that was given to the class."""
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", message)
    for name, default in _default_parts(kind).items() if unexpected else ():
        part = MODELS.get(default['type'])
        if inspect.isclass(part) and unexpected[1] in _parameters(part):
            return f'that is a setting of {name}: write {name}=dict(type={default["type"]!r}, {unexpected[1]}=...)'
    return f'it takes {", ".join(_parameters(kind))}'
