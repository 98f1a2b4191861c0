"""Online deep clustering of regions: hard targets of centroids that follow the embeddings."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.utils import OptMultiConfig
from torch import Tensor

from mmvice.models.utils import CollapseMonitor, region_statistics
from mmvice.ops import sum_over_processes, unit_vectors
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import to_device

from .base import BaseMethodHead, HostBuffersMixin, check_counts
from .regions import REDUCTIONS, region_weights, unit_region_means

_SPLIT = 0.1
"""Length of the random vector, at right angles to a centroid, by which its two halves differ from it."""


@MODELS.register_module()
class ODCHead(HostBuffersMixin, BaseMethodHead):
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
        temperature (float): Softmax temperature of the prediction. Defaults to 0.1.
        momentum (float): Weight of the old centroid, and of the old size, in each update; 0 replaces them. Defaults
            to 0.9.
        min_size (float): Size below which a cluster is revived, as a share of the mean size 1/K. Defaults to 0.1.
        reduction (str): As of :class:`DenseSwAVHead`. Defaults to 'image'.
        normalize_pixels (bool): As of :class:`DenseSwAVHead`. Defaults to True.
        monitor_interval (int): Steps between two looks at the diagnostics for signs of collapse. Defaults to 50.
        monitor_patience (int): Steps before the first judgement. Defaults to 500.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    training_state = ('sizes', 'steps', 'monitor')

    def __init__(
        self,
        embed_dims: int = 128,
        num_concepts: int = 128,
        temperature: float = 0.1,
        momentum: float = 0.9,
        min_size: float = 0.1,
        reduction: str = 'image',
        normalize_pixels: bool = True,
        monitor_interval: int = 50,
        monitor_patience: int = 500,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(embed_dims, init_cfg)
        check_counts(monitor_patience=monitor_patience)
        if num_concepts < 2 or monitor_interval < 1:
            raise ValueError(
                f'need num_concepts >= 2 and monitor_interval >= 1, got {num_concepts} and {monitor_interval}'
            )
        if not temperature > 0 or not 0 <= momentum < 1 or not 0 <= min_size < 1:
            raise ValueError(
                'temperature must be positive, momentum and min_size in [0, 1), '
                f'got {temperature}, {momentum} and {min_size}'
            )
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction must be one of {", ".join(map(repr, REDUCTIONS))}, got {reduction!r}')
        self.num_concepts = num_concepts
        self.temperature = temperature
        self.momentum = momentum
        self.min_size = min_size
        self.reduction = reduction
        self.normalize_pixels = normalize_pixels
        self.register_buffer('concepts', F.normalize(torch.randn(num_concepts, embed_dims), dim=1))
        self.register_buffer('sizes', torch.full((num_concepts,), 1 / num_concepts))  # shares of all regions
        self.register_count('steps')  # taken so far
        remedies = 'revive clusters earlier (min_size), or make batches larger'
        self.monitor = CollapseMonitor(num_concepts, monitor_interval, monitor_patience, remedies=remedies)
        self._seen: Tensor | None = None

    def extra_repr(self) -> str:
        """The numbers that identify the head in a printed model."""
        return f'embed_dims={self.embed_dims}, num_concepts={self.num_concepts}'

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
            scores = z @ self.concepts.to(z.dtype).T  # (M, R, K)

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
                | region_statistics(primary, log_p[0].detach().exp(), q, len(num_regions))
            )
            loss = sums['loss'] / sums['weight'].clamp_min(torch.finfo(z.dtype).tiny)

        if self.training:
            self.count_up('steps', 1)
            seen = torch.cat([sums['centroids'], sums['counts'][:, None]], dim=1).detach()
            self._seen = seen if self._seen is None else self._seen + seen
        return dict(loss=loss, **self.monitor(loss.detach(), sums, int(self.steps)))

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the centroids towards the regions of the step, and split the largest cluster for one that is small."""
        if self._seen is None:
            return
        sums, counts = self._seen[:, :-1].to(self.concepts), self._seen[:, -1].to(self.sizes)
        self._seen = None
        means = sums / counts.clamp_min(1)[:, None]
        moved = self.concepts.lerp(means, 1 - self.momentum)
        self.concepts.copy_(unit_vectors(torch.where(counts[:, None] > 0, moved, self.concepts)))
        shares = torch.where(counts.sum() > 0, counts / counts.sum().clamp_min(1), self.sizes)
        self.sizes.lerp_(shares, 1 - self.momentum).clamp_min_(torch.finfo(self.sizes.dtype).tiny)
        self._revive()

    def _revive(self) -> None:
        """Give the smallest cluster, if it is too small, one half of the largest one; the host does not wait for it."""
        pair = torch.stack([self.sizes.argmin(), self.sizes.argmax()])
        (_, whole), (small, size) = self.concepts[pair], self.sizes[pair]
        generator = torch.Generator().manual_seed(int(self.steps))  # the same in all processes, and after resuming
        direction = torch.randn(self.embed_dims, generator=generator)
        direction = to_device(direction.to(self.concepts.dtype), self.concepts.device)
        direction = _SPLIT * F.normalize(direction - (direction @ whole) * whole, dim=0)  # parts the regions evenly
        halves = unit_vectors(torch.stack([whole + direction, whole - direction]))
        too_small = small < self.min_size / self.num_concepts
        self.concepts[pair] = torch.where(too_small, halves, self.concepts[pair])
        self.sizes[pair] = torch.where(too_small, size / 2, self.sizes[pair])
