"""A ring buffer of the newest region embeddings: pure functions of its rows and a counter of entered rows."""

from collections.abc import Sequence

import torch
from torch import Tensor


def filled_part(queue: Tensor, count: int) -> Tensor:
    """The rows of a ring (L, D) that are in use, after ``count`` have entered it."""
    return queue[: min(count, len(queue))]


def enqueue(queue: Tensor, count: int, rows: Tensor) -> None:
    """Write rows (R, D) over the oldest rows of a ring (L, D), in place; ``count`` have entered it before."""
    if len(queue):
        places = (count + torch.arange(len(rows), device=rows.device))[-len(queue) :] % len(queue)
        queue[places] = rows[-len(queue) :].to(queue.dtype)


def deal_out(
    queues: Sequence[Tensor], counts: Sequence[int], num_processes: int, length: int
) -> tuple[list[Tensor], list[int]]:
    """Distribute the rows of some processes' rings to those of others, in turn from the newest on.

    If the new rings are too short, the oldest rows are dropped. The n-th newest rows of all processes count as equally
    old.

    Args:
        queues: W rings (L, D).
        counts: How many rows have entered each.
        num_processes: Number V of processes to deal to.
        length: Length of their rings.

    Returns:
        tuple: V rings (length, D), oldest row first, and how many rows have entered each.
    """
    newest_first = []
    for queue, count in zip(queues, counts):
        ages = torch.arange(len(filled_part(queue, count)), device=queue.device)
        newest_first.append(queue[(count - 1 - ages) % max(len(queue), 1)])
    ages = torch.cat([torch.arange(len(rows)) for rows in newest_first])
    union = torch.cat(newest_first)[ages.argsort(stable=True).to(queues[0].device)]

    dealt = [union[process::num_processes][:length].flip(0) for process in range(num_processes)]
    rings = [torch.cat([rows, rows.new_zeros(length - len(rows), rows.shape[1])]) for rows in dealt]
    return rings, [len(rows) for rows in dealt]
