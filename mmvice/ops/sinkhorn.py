"""Sinkhorn-Knopp optimal assignment of samples to concepts (Sec. 3.3; Cuturi 2013)."""

import torch
import torch.distributed as dist
from torch import Tensor

from .process_sum import num_processes


def sinkhorn_knopp(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Assign samples to concepts so that all concepts are used equally.

    Starting from ``exp(scores / epsilon)``, columns and rows are scaled in turn towards the marginals 1/K of concepts
    and 1/N of samples. This is done in log space, so scores of any magnitude stay finite. If a default process group
    exists, its processes have parts of one assignment. Column sums and N are then over all processes, which may have
    different numbers of rows. Each process gets its own rows of the joint result. Every process must call this
    function, even without rows.

    Args:
        scores: (n, K) cosine scores of the samples of this process. Other scores work if ``scores / epsilon`` is below
            1e38 (1e300 in fp64). No gradient flows back. A NaN or inf among them gives NaN.
        epsilon: Entropy regularisation, > 0. Smaller gives harder assignments.
        iterations: Number of column and row scalings; 0 is a plain softmax.

    Returns:
        Tensor: (n, K), rows sum to 1, in fp32 (fp64 for fp64 scores).

    Raises:
        ValueError: If ``scores`` is not a matrix with at least one column, ``epsilon`` is not positive or
            ``iterations`` is negative.

    Example:
        >>> q = sinkhorn_knopp(torch.tensor([[1., 0.], [0.9, 0.]]), iterations=50)
        >>> [round(s, 3) for s in q.sum(0).tolist()]
        [1.0, 1.0]
    """
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ValueError(f'scores must be (n, K) with K >= 1, got shape {tuple(scores.shape)}')
    if not epsilon > 0:
        raise ValueError(f'epsilon must be positive, got {epsilon}')
    if iterations < 0:
        raise ValueError(f'iterations must not be negative, got {iterations}')
    distributed = num_processes() > 1
    with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
        dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
        log_q = scores.detach().to(dtype) / epsilon
        for _ in range(iterations):
            log_q = log_q - _column_logsumexp(log_q, distributed)  # concepts: every column sums to the same
            log_q = log_q - torch.logsumexp(log_q, dim=1, keepdim=True)  # samples: every row sums to the same
        # The common factors N/K of the columns and 1/N of the rows cancel: only ratios within a row are left.
        return torch.softmax(log_q, dim=1)


def _column_logsumexp(log_q: Tensor, distributed: bool) -> Tensor:
    """Log of the sum of every column (1, K) over the rows of all processes."""
    if log_q.shape[0]:
        largest = log_q.amax(0, keepdim=True)
    else:
        largest = log_q.new_full((1, log_q.shape[1]), -torch.inf)
    if distributed:
        dist.all_reduce(largest, dist.ReduceOp.MAX)
    if not distributed and not log_q.shape[0]:
        return torch.zeros_like(largest)
    total = (log_q - largest).exp().sum(0, keepdim=True)
    if distributed:
        dist.all_reduce(total)
    return largest + total.log()
