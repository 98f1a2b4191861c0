"""Online deep clustering of regions: hard targets of centroids that follow the embeddings."""

import math
from collections.abc import MutableMapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmvice.models.utils import region_statistics
from mmvice.ops import sum_over_processes
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import to_device

from .concept_head import ConceptHead
from .regions import region_weights, unit_region_means

_SPLIT = 0.1
"""Length of the random vector, at right angles to a centroid, by which its two halves differ from it."""


@MODELS.register_module()
class ODCHead(ConceptHead):
    """Clusters the regions while training, and predicts a region's cluster from its other views.

    Sec. 3 says that any cluster-based method can stand in SwAV's place, and names Online Deep Clustering (Zhan et al.,
    CVPR 2020). Its parts are here: the target of a region is its nearest centroid; after every step the centroids move
    towards the mean of their regions; regions of a small cluster count more, by 1/sqrt(size); a cluster that has become
    too small is given one half of the largest one. ODC keeps a memory of all samples; images are cut into other regions
    in every epoch, so here the running size of a cluster and its centroid are all that is remembered.

    Everything is summed over processes: each has the same centroids and sizes.

    Args:
        embed_dims (int): Channels D of an embedding. Defaults to 128.
        num_concepts (int): Number of clusters K. Defaults to 128.
        momentum (float): Weight of the old centroid, and of the old size, in each update; 0 replaces them. Defaults
            to 0.9.
        min_size (float): Size below which a cluster is revived, as a share of the mean size 1/K. Defaults to 0.1.
        kwargs: Those of :class:`ConceptHead`: ``temperature``, ``reduction``, ``normalize_pixels``,
            ``monitor_interval``, ``monitor_patience`` and ``init_cfg``.

    Raises:
        ValueError: If an argument is out of range.
    """

    training_state = ('sizes', 'steps', 'seen', 'monitor')
    remedies = 'revive clusters earlier (min_size), or make batches larger'

    def __init__(
        self,
        embed_dims: int = 128,
        num_concepts: int = 128,
        *,
        momentum: float = 0.9,
        min_size: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(embed_dims, num_concepts, **kwargs)
        if not 0 <= momentum < 1 or not 0 <= min_size < 1:
            raise ValueError(f'momentum and min_size must be in [0, 1), got {momentum} and {min_size}')
        self.momentum = momentum
        self.min_size = min_size
        self.draw_concepts(learned=False)
        self.register_buffer('sizes', torch.full((num_concepts,), 1 / num_concepts))  # shares of all regions
        # since the last step of the optimizer, for each cluster the sum of its regions, and their number
        self.register_buffer('seen', torch.zeros(num_concepts, embed_dims + 1))

    def loss(
        self, embeddings: EmbeddingMap, regions: Tensor, num_regions: Sequence[int], num_views: int
    ) -> dict[str, Tensor]:
        """Cross-entropy of the secondary views' predictions against the primary view's clusters.

        Args:
            embeddings, regions, num_regions, num_views: As in :meth:`BaseMethodHead.loss`.

        Returns:
            dict: ``loss`` and the diagnostics of :class:`CollapseMonitor`, over all processes.

        Raises:
            ValueError: If the number of views or of maps does not fit.
        """
        with torch.autocast(regions.device.type, enabled=False):
            z = unit_region_means(embeddings, regions, num_regions, num_views, self.normalize_pixels)
            scores = z @ self.unit_concepts().to(z.dtype).T  # (M, R, K)

            # q: the nearest centroid of the primary view's region, as a one-hot row (R, K)
            clusters = scores[0].detach().argmax(-1)
            q = F.one_hot(clusters, self.num_concepts).to(z.dtype)

            log_p = F.log_softmax(scores / self.temperature, dim=-1)
            cross_entropy = -(q * log_p[1:]).sum(-1).mean(0)
            weights, _ = region_weights(self.reduction, regions, num_regions, num_views, like=cross_entropy)
            weights = weights * (self.num_concepts * self.sizes.to(z.dtype)).rsqrt()[clusters]
            primary = z[0].detach()
            sums = sum_over_processes(
                dict(loss=(weights * cross_entropy).sum(), weight=weights.sum())
                | dict(centroids=q.T @ primary, counts=q.sum(0))
                | region_statistics(primary, len(num_regions), log_p[0].detach().exp(), q)
            )
            loss = sums['loss'] / sums['weight'].clamp_min(torch.finfo(z.dtype).tiny)

        if self.training:
            self.count_up('steps', 1)
            self.seen += torch.cat([sums['centroids'], sums['counts'][:, None]], dim=1).detach()
        return dict(loss=loss, **self.monitor(loss.detach(), sums, int(self.steps)))

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the centroids towards the regions of the step, and split the largest cluster for one that is small."""
        if not self.training:
            return
        sums, counts = self.seen[:, :-1], self.seen[:, -1]
        moved = self.unit_concepts().lerp(sums / counts.clamp_min(1)[:, None], 1 - self.momentum)
        self.concepts.copy_(torch.where(counts[:, None] > 0, moved, self.concepts))
        super().after_step()
        shares = torch.where(counts.sum() > 0, counts / counts.sum().clamp_min(1), self.sizes)
        self.sizes.lerp_(shares, 1 - self.momentum).clamp_min_(torch.finfo(self.sizes.dtype).tiny)
        self.seen.zero_()
        self._revive()

    def _revive(self) -> None:
        """Give the smallest cluster, if it is too small, one half of the largest one; the host does not wait for it."""
        pair = torch.stack([self.sizes.argmin(), self.sizes.argmax()])
        (_, whole), (small, size) = self.concepts[pair], self.sizes[pair]
        generator = torch.Generator().manual_seed(int(self.steps))  # the same in all processes, and after resuming
        direction = torch.randn(self.embed_dims, generator=generator)
        direction = to_device(direction.to(self.concepts.dtype), self.concepts.device)
        direction = _SPLIT * F.normalize(direction - (direction @ whole) * whole, dim=0)  # parts the regions evenly
        halves = torch.stack([whole + direction, whole - direction]) / math.hypot(1, _SPLIT)  # of unit length
        too_small = small < self.min_size / self.num_concepts
        self.concepts[pair] = torch.where(too_small, halves, self.concepts[pair])
        self.sizes[pair] = torch.where(too_small, size / 2, self.sizes[pair])

    def upgrade(self, state: MutableMapping[str, Tensor], prefix: str = '') -> None:
        """Begin what has been seen since the last step, which older checkpoints lack."""
        super().upgrade(state, prefix)
        if f'{prefix}sizes' in state:
            state.setdefault(f'{prefix}seen', torch.zeros_like(self.seen))
