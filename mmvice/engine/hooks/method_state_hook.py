"""Support for a method's head: the state of all processes in one checkpoint, and a call after each step."""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmvice.models import BaseMethodHead, head_of
from mmvice.registry import HOOKS
from mmvice.utils.checkpoint_structure import FORMER_PROCESS_STATE

_HEAD = re.compile(r'((?:module\.)*head\.)')
_State = dict[str, Tensor]


@HOOKS.register_module()
class MethodStateHook(Hook):
    """Saves a head's state of every process, and restores it, also if the number of processes has changed.

    Checkpoints have ``process_state`` beside the ``state_dict``: the head's process state, stacked over the W
    processes. Each process loads its own part. The ``state_dict`` has that of the first process, or the values of a
    hook such as ``EMAHook``. For another number of processes, the head redistributes the state.

    If a wrapper of the model makes the optimizer's steps, this hook informs the head of them.

    :class:`mmvice.engine.ViCERunner` always has this hook, before all others.
    """

    priority = 'HIGHEST'  # state has the model's shape before a hook loads or compares it

    def __init__(self) -> None:
        self._gathered: _State | None = None
        self._own: _State | None = None

    def before_train(self, runner: Runner) -> None:
        """Load this process's state from the checkpoint into the head, after any other hook has loaded weights."""
        if self._own is not None:
            head_of(runner.model).load_state_dict(self._own, strict=False)
            self._own = None

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Inform the head of an optimizer step; a model without a wrapper does that itself."""
        head = head_of(runner.model)
        if head is not None and is_model_wrapper(runner.model) and runner.optim_wrapper.should_update():
            head.after_step()

    def before_save_in_all_processes(self, runner: Runner) -> None:
        """Collect the state of all processes in the first one."""
        head = head_of(runner.model)
        self._gathered = None
        if head is not None and get_world_size() > 1:
            gathered = {name: all_gather(value) for name, value in _own_state(head).items()}
            if is_main_process():
                self._gathered = {name: torch.stack(parts).cpu() for name, parts in gathered.items()}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state and the number of processes to the checkpoint, in the first process."""
        checkpoint['meta']['num_processes'] = get_world_size()
        head = head_of(runner.model)
        if head is not None and head.process_state:
            own = {name: value.cpu()[None] for name, value in _own_state(head).items()}
            checkpoint['process_state'] = self._gathered or own
        self._gathered = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write this process's state into every state dict of the checkpoint.

        Another hook may replace the ``state_dict`` by another part of the checkpoint, so every state dict gets the
        state of this process. A hook may also load other weights, so a resumed run loads the state into the head again
        before its first step.

        A run that starts from the weights of a checkpoint has no use for a state that does not fit: it starts anew.

        Raises:
            ValueError: If a run resumes, and the checkpoint has another object in its place, or the head cannot use it.
        """
        head = head_of(runner.model)
        if head is None:
            return
        parts = list(_parts_with_head(checkpoint))
        try:
            for part, prefix in parts:
                head.upgrade(part, prefix)
            states = _states_of_processes(checkpoint, head)
            if states is None:
                return
            own = _dealt_out(states, head)[get_rank()]
        except ValueError as error:
            if runner._resume:
                raise ValueError(f'{runner._load_from}: {error}') from error
            print_log(
                f'{runner._load_from}: {error}. This run does not resume: it starts without that state.', 'current'
            )
            own = _own_state(head)
        for part, prefix in parts:
            fitting = own if runner._resume else {name: own[name] for name in own if f'{prefix}{name}' in part}
            part.update({f'{prefix}{name}': value for name, value in fitting.items()})
        self._own = own if runner._resume else None


def _dealt_out(states: list[_State], head: BaseMethodHead) -> list[_State]:
    """The state of some processes for those of this run."""
    number = get_world_size()
    if len(states) == number:
        return states
    dealt = head.deal_out(states, number)
    print_log(
        f'The checkpoint has the state of {len(states)} processes: {_sizes(states)}; it was redistributed to '
        f'{number}: {_sizes(dealt)}.',
        logger='current',
    )
    return dealt


def _own_state(head: BaseMethodHead) -> _State:
    state = head.state_dict()
    return {name: state[name].detach() for name in head.process_state}


def _parts_with_head(part: MutableMapping | Sequence) -> Iterator[tuple[MutableMapping, str]]:
    """Every dict of weights with a head in the dicts and lists of a checkpoint, and the prefix of its names."""
    if isinstance(part, MutableMapping):
        heads = {match[1] for name in part if isinstance(name, str) and (match := _HEAD.match(name))}
        yield from ((part, prefix) for prefix in heads)
    for value in part.values() if isinstance(part, MutableMapping) else part:
        if isinstance(value, (MutableMapping, list, tuple)):
            yield from _parts_with_head(value)


def _states_of_processes(checkpoint: MutableMapping[str, Any], head: BaseMethodHead) -> list[_State] | None:
    """The state of every process that saved a checkpoint; None if only the weights contain it."""
    saved = checkpoint.get('process_state', checkpoint.get(FORMER_PROCESS_STATE))
    if saved is None or not head.process_state:
        weights = checkpoint.get('state_dict', checkpoint)
        own = {name: weights.get(f'head.{name}') for name in head.process_state}
        alone = get_world_size() == 1 or not all(isinstance(value, Tensor) for value in own.values())
        return None if alone or not own else [own]  # what is no tensor is found where the weights are compared
    mapping = isinstance(saved, MutableMapping)
    stacked = mapping and all(isinstance(value, Tensor) and value.ndim for value in saved.values())
    if saved and stacked and len({len(value) for value in saved.values()}) == 1:
        states = [dict(zip(saved, values)) for values in zip(*saved.values())]
        for state in states:
            head.upgrade(state)
        if all(map(_is_like(_own_state(head)), states)):
            return states
    found = ', '.join(map(str, saved)) if mapping else type(saved).__name__
    raise ValueError(
        f"'process_state' of the checkpoint has {found or 'nothing'}, but {type(head).__name__} needs "
        f'{", ".join(head.process_state)}, each stacked over the processes: resume with the head that was trained, or '
        'start anew with its weights, by load_from=FILE without --resume'
    )


def _is_like(own: _State):
    def is_like(state: _State) -> bool:
        return state.keys() == own.keys() and all(
            state[name].ndim == value.ndim and state[name].is_floating_point() == value.is_floating_point()
            for name, value in own.items()
        )

    return is_like


def _sizes(states: Sequence[_State]) -> str:
    """The counts of a state, in words."""
    numbers = {name for state in states for name, value in state.items() if not value.ndim}
    return ', '.join(f'{name} {[int(state[name]) for state in states]}' for name in sorted(numbers)) or 'no numbers'
