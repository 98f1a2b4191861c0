"""Explaining errors in computing a step, by the settings of the part of the model where they occur."""

import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop
from torch import nn

OF_SETTINGS = (AssertionError, IndexError, RuntimeError, TypeError, ValueError)
"""What PyTorch and the packages on it raise for values that cannot work."""
SHOW_WHERE = '--traceback shows where'

_OF_THE_MACHINE = re.compile('memory|CUDA|NCCL|gloo|shared file', re.IGNORECASE)
_ONE_VALUE = 'Expected more than 1 value per channel'


def explain_step(error: BaseException) -> str | None:
    """Explain an error in a step of training or testing by the settings; None for other errors.

    Only the first step is considered, since settings that worked once are not the cause of an error. Batch norm is the
    exception: it may get a batch of one image at the end of every epoch.
    """
    if not isinstance(error, OF_SETTINGS) or isinstance(error, (torch.OutOfMemoryError, NotImplementedError)):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    loops = [owner for owner, _ in _owners(frames) if isinstance(owner, BaseLoop)]
    if not loops or _OF_THE_MACHINE.search(str(error)):
        return None
    loop = loops[-1]
    name, part = _part(frames, getattr(loop.runner.model, 'module', loop.runner.model))
    if _ONE_VALUE in str(error):
        return (
            f'batch norm in {name} gets one value per channel, of which there is no variance ({first_line(error)}): '
            'raise the batch_size of the data loader, set its drop_last=True if only the last batch of an epoch is so '
            "small, or take another norm_cfg, such as dict(type='GN', num_groups=...), for that part of the model"
        )
    if part is None or not _is_first(loop, frames):
        return None
    own = _settings_at(loop.runner.cfg, name)
    return f'{name} ({type(part).__name__}) cannot compute the first step: {first_line(error)}; {own} ({SHOW_WHERE})'


def settings(given: Mapping[str, Any]) -> str:
    """Settings of a config as ``name=value, ...``, without those of inner parts and without objects."""
    plain = (bool, int, float, str, list, tuple, dict, type(None))
    shown = (
        f'{key}={"dict(...)" if isinstance(value, dict) else repr(value)}'
        for key, value in given.items()
        if isinstance(value, plain)
    )
    return textwrap.shorten(', '.join(shown), 300, placeholder=' ...') or 'its default settings'


def first_line(error: BaseException) -> str:
    """The first line of a message, without its final dot; for a bare ``assert``, its line of code."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = text.strip().splitlines()
    if not lines:
        code = traceback.extract_tb(error.__traceback__)[-1].line
        return f'`{code}` does not hold' if isinstance(error, AssertionError) and code else type(error).__name__
    return textwrap.shorten(lines[0].rstrip('.:'), 300, placeholder=' ...')


def _owners(frames: list[FrameType]) -> Iterator[tuple[Any, FrameType]]:
    for frame in frames:
        if 'self' in frame.f_locals:
            yield frame.f_locals['self'], frame


def _part(frames: list[FrameType], model: nn.Module) -> tuple[str, Any]:
    """The innermost part of a model in an error's traceback, or the optimizer, with its name in a config."""
    names = {id(module): '.'.join(filter(None, ('model', name))) for name, module in model.named_modules()}
    for owner, _ in reversed([*_owners(frames)]):
        if id(owner) in names:
            return names[id(owner)], owner
        if isinstance(owner, OptimWrapper):
            return 'optim_wrapper', owner
    return 'the model', None


def _is_first(loop: BaseLoop, frames: list[FrameType]) -> bool:
    """Whether it is the first step of its loop, by the step count of a training or the batch number of a test."""
    index = next((frame.f_locals['idx'] for _, frame in _owners(frames) if 'idx' in frame.f_locals), 0)
    return getattr(loop, 'iter', index) == 0


def _settings_at(cfg: Mapping[str, Any], name: str) -> str:
    """The settings of a part of the model, or of the smallest enclosing part that the config names."""
    found, place = cfg, []
    for word in name.split('.'):
        inner = found.get(word)
        if not isinstance(inner, Mapping):
            break
        found, place = inner, [*place, word]
    return f'the config gives {".".join(place)} {settings(found)}'
