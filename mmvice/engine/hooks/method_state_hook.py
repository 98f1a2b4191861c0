"""What a method's head needs of a run: the state of all processes in one checkpoint, and a call after each step."""

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
    """Saves a head's state of every process, and gives each its own again, also where their number has changed.

    Checkpoints have ``process_state`` beside the ``state_dict``: what the head calls so, stacked over the W processes.
    From there each process takes its own. What the ``state_dict`` has of it is that of the first process, or what a
    hook such as ``EMAHook`` has put in its place. Another number of processes gets it dealt out by the head.

    Where a wrapper of the model takes the optimizer's steps, this hook tells the head of them.

    :class:`mmvice.engine.ViCERunner` has this hook without being told, before all others.
    """

    priority = 'HIGHEST'  # state has the model's shape before a hook loads or compares it

    def __init__(self) -> None:
        self._gathered: _State | None = None
        self._own: _State | None = None

    def before_train(self, runner: Runner) -> None:
        """Give the head what the checkpoint has for this process, whatever another hook has loaded meanwhile."""
        if self._own is not None:
            head_of(runner.model).load_state_dict(self._own, strict=False)
            self._own = None

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Tell the head that the optimizer has stepped, which a model without a wrapper does by itself."""
        head = head_of(runner.model)
        if head is not None and is_model_wrapper(runner.model) and runner.optim_wrapper.should_update():
            head.after_step()

    def before_save_in_all_processes(self, runner: Runner) -> None:
        """Gather the state in the first process."""
        head = head_of(runner.model)
        self._gathered = None
        if head is not None and get_world_size() > 1:
            gathered = {name: all_gather(value) for name, value in _own_state(head).items()}
            if is_main_process():
                self._gathered = {name: torch.stack(parts).cpu() for name, parts in gathered.items()}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add it to the checkpoint, in the first process, and the number of processes."""
        checkpoint['meta']['num_processes'] = get_world_size()
        head = head_of(runner.model)
        if head is not None and head.process_state:
            own = {name: value.cpu()[None] for name, value in _own_state(head).items()}
            checkpoint['process_state'] = self._gathered or own
        self._gathered = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put this process's share wherever the model may look for it.

        A hook may exchange the ``state_dict`` for another part of the checkpoint, before this one or after it: every
        state dict gets the state of this process. It may even load weights from elsewhere: a run that goes on puts the
        state into the head once more before its first step.

        Raises:
            ValueError: If something else is in its place, or the head has no use for it.
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
            number = get_world_size()
            if len(states) != number:
                saved, states = states, head.deal_out(states, number)
                print_log(
                    f'The checkpoint has the state of {len(saved)} processes: {_sizes(saved)}; it was dealt out to '
                    f'{number}: {_sizes(states)}.',
                    logger='current',
                )
        except ValueError as error:
            raise ValueError(f'{runner._load_from}: {error}') from error
        own = states[get_rank()]
        for part, prefix in parts:
            part.update({f'{prefix}{name}': value for name, value in own.items()})
        self._own = own if runner._resume else None


def _own_state(head: BaseMethodHead) -> _State:
    state = head.state_dict()
    return {name: state[name].detach() for name in head.process_state}


def _parts_with_head(part: MutableMapping | Sequence) -> Iterator[tuple[MutableMapping, str]]:
    """Every dict of weights with a head in the dicts and lists of a checkpoint, with what its names begin with."""
    if isinstance(part, MutableMapping):
        heads = {match[1] for name in part if isinstance(name, str) and (match := _HEAD.match(name))}
        yield from ((part, prefix) for prefix in heads)
    for value in part.values() if isinstance(part, MutableMapping) else part:
        if isinstance(value, (MutableMapping, list, tuple)):
            yield from _parts_with_head(value)


def _states_of_processes(checkpoint: MutableMapping[str, Any], head: BaseMethodHead) -> list[_State] | None:
    """The state of every process that saved a checkpoint; None where it is in the weights alone."""
    saved = checkpoint.get('process_state', checkpoint.get(FORMER_PROCESS_STATE))
    if saved is None or not head.process_state:
        weights = checkpoint.get('state_dict', checkpoint)
        own = {name: weights.get(f'head.{name}') for name in head.process_state}
        alone = get_world_size() == 1 or not all(isinstance(value, Tensor) for value in own.values())
        return None if alone or not own else [own]  # what is no tensor is found where the weights are compared
    stacked = all(isinstance(value, Tensor) and value.ndim for value in saved.values())
    if saved and stacked and len({len(value) for value in saved.values()}) == 1:
        states = [dict(zip(saved, values)) for values in zip(*saved.values())]
        for state in states:
            head.upgrade(state)
        if all(map(_is_like(_own_state(head)), states)):
            return states
    raise ValueError(
        "the checkpoint holds something else than the state of all processes as 'process_state': "
        f'{", ".join(head.process_state)} of {type(head).__name__}, each stacked over the processes'
    )


def _is_like(own: _State):
    def is_like(state: _State) -> bool:
        return state.keys() == own.keys() and all(
            state[name].ndim == value.ndim and state[name].is_floating_point() == value.is_floating_point()
            for name, value in own.items()
        )

    return is_like


def _sizes(states: Sequence[_State]) -> str:
    """The numbers that a state has, in words."""
    numbers = {name for state in states for name, value in state.items() if not value.ndim}
    return ', '.join(f'{name} {[int(state[name]) for state in states]}' for name in sorted(numbers)) or 'no numbers'
