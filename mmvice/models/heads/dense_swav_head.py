"""Swapped prediction of concepts between views, region by region."""

from collections.abc import MutableMapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from mmvice.models.utils import region_statistics
from mmvice.models.utils.region_queue import deal_out, enqueue, filled_part
from mmvice.ops import sinkhorn_knopp, sum_over_processes
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

from .base import check_counts
from .concept_head import ConceptHead
from .regions import region_weights, unit_region_means


@MODELS.register_module()
class DenseSwAVHead(ConceptHead):
    """Concepts on the unit sphere, and the loss that predicts a region's concept from its other views (Sec. 3.3).

    Everything that training needs to continue is in the state dict: the concepts, the queue and how many embeddings
    have entered it, the number of iterations, and the running means of the monitor.

    In distributed training the optimal assignment, the averages of the loss and the diagnostics are over the regions of
    all processes: each process gets the numbers that a single one would get for the whole batch, however its images and
    regions are dealt out, and the gradients which DistributedDataParallel's average turns into those of a single one.

    Each process keeps a queue of its own regions, ``queue_length`` long, and the union of all takes part in the
    assignment. That is the queue of a single process, of the total length, as long as none has overflowed. Then each
    drops its own oldest: the union can differ from a single queue in which of its oldest regions are left, unless every
    process gets the same number of regions in every step and ``queue_length`` is a multiple of it.

    Args:
        embed_dims (int): Channels D of an embedding. Defaults to 128.
        num_concepts (int): Number of concepts K. Defaults to 128.
        epsilon (float): Entropy regularisation of the assignment. Defaults to 0.05.
        sinkhorn_iters (int): Iterations of the assignment. Defaults to 3.
        queue_length (int): Region embeddings of past primary views, per process, that take part in the assignment;
            0 for none. They are kept as embeddings and scored with today's concepts. Defaults to 0.
        queue_start_iter (int): Iteration from which the queue takes part; it fills from the first. Like MMEngine's
            ``iter`` it counts batches, also where gradients of several accumulate for one step. Defaults to 0.
        freeze_concepts_iters (int): The concepts get no gradient in the first so many iterations, counted in the same
            way. Defaults to 0.
        kwargs: Those of :class:`ConceptHead`: ``temperature``, ``reduction``, ``normalize_pixels``,
            ``monitor_interval``, ``monitor_patience`` and ``init_cfg``.

    Raises:
        ValueError: If an argument is out of range.
    """

    process_state = ('queue', 'queue_count', 'steps')
    settings_in_steps = ('queue_start_iter', 'freeze_concepts_iters')
    settings_per_process = ('queue_length',)
    timed_parts = MappingProxyType(dict(assign='assignment and queue', _remember='assignment and queue'))
    remedies = 'freeze the concepts for the first steps (freeze_concepts_iters), or make batches or the queue larger'

    def __init__(
        self,
        embed_dims: int = 128,
        num_concepts: int = 128,
        *,
        epsilon: float = 0.05,
        sinkhorn_iters: int = 3,
        queue_length: int = 0,
        queue_start_iter: int = 0,
        freeze_concepts_iters: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(embed_dims, num_concepts, **kwargs)
        check_counts(
            sinkhorn_iters=sinkhorn_iters,
            queue_length=queue_length,
            queue_start_iter=queue_start_iter,
            freeze_concepts_iters=freeze_concepts_iters,
        )
        if not epsilon > 0:
            raise ValueError(f'epsilon must be positive, got {epsilon}')
        self.epsilon = epsilon
        self.sinkhorn_iters = sinkhorn_iters
        self.queue_length = queue_length
        self.queue_start_iter = queue_start_iter
        self.freeze_concepts_iters = freeze_concepts_iters
        self.monitor.patience += freeze_concepts_iters
        self.draw_concepts(learned=True)
        self.register_buffer('queue', torch.zeros(queue_length, embed_dims))
        self.register_count('queue_count')  # embeddings that have entered it so far

    def extra_repr(self) -> str:
        """The numbers that identify the head in a printed model."""
        return f'{super().extra_repr()}, queue_length={self.queue_length}'

    def loss(
        self, embeddings: EmbeddingMap, regions: Tensor, num_regions: Sequence[int], num_views: int
    ) -> dict[str, Tensor]:
        """Swapped prediction loss of a batch of N images with M views each (Alg. 2 and 3).

        In training mode the iteration is counted and the regions enter the queue; in evaluation no state changes.
        The concepts must have unit length, which :meth:`after_step` gives them.

        Args:
            embeddings, regions, num_regions, num_views: As in :meth:`BaseMethodHead.loss`.

        Returns:
            dict: ``loss`` (Eq. 4) and the diagnostics of :class:`CollapseMonitor`, over all processes.

        Raises:
            ValueError: If the number of views or of maps does not fit.
        """
        with torch.autocast(regions.device.type, enabled=False):
            # z*: mean embedding of every region in every view, at unit length (M, R, D)
            z = unit_region_means(embeddings, regions, num_regions, num_views, self.normalize_pixels)

            # s*: scores of all views (Eq. 3)
            scores = z @ self._learning_concepts().to(z.dtype).T

            # q: optimal assignment of the primary view's regions, together with the queue
            q = self.assign(z[0].detach())

            # L: cross-entropy between q and the softmax of the scores (Eq. 4), averaged over all processes
            log_p = F.log_softmax(scores / self.temperature, dim=-1)
            cross_entropy = -(q * log_p[1:]).sum(-1).mean(0)
            weights, weight = region_weights(self.reduction, regions, num_regions, num_views, like=cross_entropy)
            sums = sum_over_processes(
                dict(loss=(weights * cross_entropy).sum(), weight=weight)
                | region_statistics(z[0].detach(), len(num_regions), log_p[0].detach().exp(), q)
            )
            loss = sums['loss'] / sums['weight'].clamp_min(1)

        if self.training:
            self._remember(z[0].detach())
        return dict(loss=loss, **self.monitor(loss.detach(), sums, int(self.steps)))

    def _learning_concepts(self) -> Tensor:
        """The concepts, with a gradient of zero while they are frozen."""
        frozen = int(self.steps) < self.freeze_concepts_iters
        return self.concepts.detach() + 0 * self.concepts if frozen else self.concepts

    @torch.no_grad()
    def assign(self, z: Tensor) -> Tensor:
        """Optimal assignment of unit region embeddings (R, D) to concepts: (R, K), rows sum to 1.

        From ``queue_start_iter`` on, the filled part of the queue takes part in it.
        """
        rows, queued = z, filled_part(self.queue, int(self.queue_count))
        if len(queued) and int(self.steps) >= self.queue_start_iter:
            rows = torch.cat([z, queued.to(z.dtype)])
        scores = rows @ self.concepts.to(z.dtype).T
        return sinkhorn_knopp(scores, self.epsilon, self.sinkhorn_iters)[: len(z)]

    @torch.no_grad()
    def _remember(self, z: Tensor) -> None:
        """Count the iteration, and put the primary view's embeddings (R, D) in the queue."""
        enqueue(self.queue, int(self.queue_count), z)
        self.count_up('queue_count', len(z))
        self.count_up('steps', 1)

    def deal_out(self, states: Sequence[dict[str, Tensor]], num_processes: int) -> list[dict[str, Tensor]]:
        """The queues of some processes for others, see :func:`mmvice.models.utils.region_queue.deal_out`.

        Queues of embeddings of another size stay those of the first process.
        """
        if not self.queue_length or not states[0]['queue'].numel() or states[0]['queue'].shape[1] != self.embed_dims:
            return [states[0]] * num_processes
        queues, counts = deal_out(
            [state['queue'] for state in states],
            [int(state['queue_count']) for state in states],
            num_processes,
            self.queue_length,
        )
        return [
            dict(queue=queue, queue_count=torch.tensor(count), steps=states[0]['steps'])
            for queue, count in zip(queues, counts)
        ]

    def upgrade(self, state: MutableMapping[str, Tensor], prefix: str = '') -> None:
        """Take ``progress`` apart, which was (3,): steps, the next row of the queue to write, and the rows in use.

        Raises:
            ValueError: If it says what cannot be.
        """
        progress, queue = state.get(f'{prefix}progress'), state.get(f'{prefix}queue')
        if isinstance(progress, Tensor) and isinstance(queue, Tensor) and progress.shape == (3,):
            steps, next_row, filled = progress.tolist()
            if not 0 <= filled <= len(queue):
                raise ValueError(
                    f'the checkpoint says that {filled} of the {len(queue)} rows of a region queue are in use: it is '
                    'damaged, or was made by hand'
                )
            del state[f'{prefix}progress']
            state[f'{prefix}steps'] = progress.new_tensor(steps)
            state[f'{prefix}queue_count'] = progress.new_tensor(filled if filled < len(queue) else filled + next_row)
        super().upgrade(state, prefix)

    def enter_steady_state(self) -> None:
        """Fill the queue with random unit vectors, go past its start, and let the concepts learn."""
        self.queue.copy_(F.normalize(torch.randn_like(self.queue), dim=1))
        self.queue_count.fill_(self.queue_length)
        self.steps.fill_(max(self.queue_start_iter, self.freeze_concepts_iters))
