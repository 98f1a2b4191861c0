"""The region queues of all processes in one checkpoint."""

from collections.abc import Mapping, MutableMapping, Sequence

import torch
from mmengine.dist import all_gather, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from mmvice.models import DenseSwAVHead
from mmvice.registry import HOOKS


@HOOKS.register_module()
class RegionQueueHook(Hook):
    """Saves the queue of every process, and gives each its own again, also where their number has changed.

    Checkpoints have the queues of all processes beside the ``state_dict``, in ``region_queues``: ``queue`` (W, L, D)
    and ``progress`` (W, 3). From there each process takes its own. The queue in the ``state_dict`` is that of the first
    process, as a model of one process has it, or what a hook such as ``EMAHook`` has put in its place.
    Another number of processes, or a checkpoint that has one queue only, gets them dealt out, see
    :func:`deal_out_queues`; ``queue_length`` may then be another one, too.

    :class:`mmvice.engine.ViCERunner` has this hook without being told, before all others.
    """

    priority = 'HIGHEST'  # queues have the model's shape before a hook loads or compares one

    def __init__(self) -> None:
        self._queues: dict[str, Tensor] | None = None

    def before_save_in_all_processes(self, runner: Runner) -> None:
        """Gather the queues in the first process."""
        head = _head(runner)
        self._queues = None
        if head is not None and head.queue_length and get_world_size() > 1:
            queues = {name: all_gather(getattr(head, name)) for name in ('queue', 'progress')}
            if is_main_process():
                self._queues = {name: torch.stack(parts).cpu() for name, parts in queues.items()}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add them to the checkpoint, in the first process."""
        head = _head(runner)
        if head is not None and head.queue_length:
            own = {name: getattr(head, name).detach().cpu()[None] for name in ('queue', 'progress')}
            checkpoint['region_queues'] = self._queues or own
        self._queues = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put this process's share wherever the model may look for its queue.

        A hook may exchange the ``state_dict`` for another part of the checkpoint, before this one or after it: every
        state dict gets the queue of this process.

        Raises:
            ValueError: If something else is in the place of queues.
        """
        head, state = _head(runner), checkpoint.get('state_dict', checkpoint)
        if head is None or not {'head.queue', 'head.progress'} <= state.keys():
            return
        own = state['head.queue'], state['head.progress']
        if not _are_queues(*(part[None] if isinstance(part, Tensor) else part for part in own)):
            return  # which is found where the weights are compared
        saved = checkpoint.get('region_queues', dict(queue=own[0][None], progress=own[1][None]))
        queues, progress = saved.get('queue'), saved.get('progress')
        if not _are_queues(queues, progress):
            raise ValueError(
                f'the checkpoint {runner._load_from} holds something else than the queues of all processes as '
                "'region_queues': queue (W, L, D) and progress (W, 3), of W processes with queues of length L"
            )
        filled = progress[:, 1:]
        if (filled < 0).any() or (filled > queues.shape[1]).any():
            raise ValueError(
                f'the checkpoint {runner._load_from} says that {int(filled.max())} of the {queues.shape[1]} rows of a '
                'region queue are in use: it is damaged, or was made by hand'
            )
        can_be_dealt = queues.shape[1] and head.queue_length and queues.shape[2] == head.embed_dims
        if len(queues) != get_world_size() and can_be_dealt:
            before = len(queues), int(progress[:, 2].sum())
            queues, progress = deal_out_queues(queues, progress, get_world_size(), head.queue_length)
            print_log(
                f'The checkpoint has the queues of {before[0]} processes, with {before[1]} embeddings of regions; '
                f'{int(progress[:, 2].sum())} of them were dealt out to {len(queues)} processes.',
                logger='current',
            )
        if 'region_queues' not in checkpoint and len(queues) == len(own[0][None]):
            return  # one process, whose queue is where it was saved
        # that of the first process has the shape to complain about
        process = get_rank() if len(queues) == get_world_size() else 0
        _put_everywhere(checkpoint, {'head.queue': queues[process], 'head.progress': progress[process]})


def _put_everywhere(part: MutableMapping | Sequence, values: Mapping[str, Tensor]) -> None:
    """Replace values in all dicts and lists in it, also where names have a prefix, as in an averaged model."""
    for key, value in part.items() if isinstance(part, MutableMapping) else enumerate(part):
        if isinstance(value, (MutableMapping, list, tuple)):
            _put_everywhere(value, values)
            continue
        for name in values:
            if f'.{key}'.endswith(f'.{name}'):
                part[key] = values[name]


def deal_out_queues(queues: Tensor, progress: Tensor, num_processes: int, length: int) -> tuple[Tensor, Tensor]:
    """Deal the embeddings of the queues of some processes out to those of others, the newest in turn to each.

    What does not fit is dropped, oldest first. The n-th newest embeddings of all processes count as equally old.

    Args:
        queues: (W, L, D), the ring of each process.
        progress: (W, 3) int64: steps taken, next row to write, rows in use.
        num_processes: Number V of processes to deal to.
        length: Length of their queues.

    Returns:
        tuple: Queues (V, length, D), oldest embedding first, and progress (V, 3), as above.
    """
    steps, newest_first = int(progress[0, 0]), []
    for queue, (_, next_row, filled) in zip(queues, progress.tolist()):
        newest_first.append(queue[(next_row - 1 - torch.arange(filled, device=queue.device)) % max(len(queue), 1)])
    ages = torch.cat([torch.arange(len(rows)) for rows in newest_first])
    union = torch.cat(newest_first)[ages.argsort(stable=True).to(queues.device)]

    dealt = queues.new_zeros(num_processes, length, queues.shape[2])
    dealt_progress = progress.new_zeros(num_processes, 3)
    for process in range(num_processes):
        rows = union[process::num_processes][:length].flip(0)
        dealt[process, : len(rows)] = rows
        dealt_progress[process] = progress.new_tensor([steps, len(rows) % length, len(rows)])
    return dealt, dealt_progress


def _are_queues(queues: object, progress: object) -> bool:
    both = isinstance(queues, Tensor) and isinstance(progress, Tensor)
    return both and queues.ndim == 3 and progress.shape == (len(queues), 3) and not progress.is_floating_point()


def _head(runner: Runner) -> DenseSwAVHead | None:
    head = getattr(getattr(runner.model, 'module', runner.model), 'head', None)
    return head if isinstance(head, DenseSwAVHead) else None
