"""Swapped prediction of concepts between views, region by region."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.models.utils import CollapseMonitor
from mmvice.ops import sinkhorn_knopp, sum_over_processes, unit_vectors
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import to_device, to_double


@MODELS.register_module()
class DenseSwAVHead(BaseModule):
    """Concepts on the unit sphere, and the loss that predicts a region's concept from its other views (Sec. 3.3).

    Everything that training needs to continue is in the state dict: the concepts, the queue with its fill and write
    position, and the number of steps taken. The queues of other processes are what
    :class:`mmvice.engine.RegionQueueHook` adds to a checkpoint.

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
        temperature (float): Softmax temperature tau of Eq. 4. Defaults to 0.1.
        epsilon (float): Entropy regularisation of the assignment. Defaults to 0.05.
        sinkhorn_iters (int): Iterations of the assignment. Defaults to 3.
        queue_length (int): Region embeddings of past primary views, per process, that take part in the assignment;
            0 for none. They are kept as embeddings and scored with today's concepts. Defaults to 0.
        queue_start_iter (int): Step from which the queue takes part; it fills from the first. Defaults to 0.
        freeze_concepts_iters (int): The concepts get no gradient in the first so many steps. Defaults to 0.
        reduction (str): 'image' averages over the regions of an image, then over images and secondary views (Eq. 4,
            Alg. 3); 'region' over all regions of the batch, as the reference code does. Defaults to 'image'.
        normalize_pixels (bool): True averages unit pixel embeddings over a region, as the paper; False averages
            features and normalises then, as the reference code. Defaults to True.
        monitor_interval (int): Steps between two looks at the diagnostics for signs of collapse. Defaults to 50.
        monitor_patience (int): Steps after the freeze before the first judgement. Defaults to 500.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        embed_dims: int = 128,
        num_concepts: int = 128,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        sinkhorn_iters: int = 3,
        queue_length: int = 0,
        queue_start_iter: int = 0,
        freeze_concepts_iters: int = 0,
        reduction: str = 'image',
        normalize_pixels: bool = True,
        monitor_interval: int = 50,
        monitor_patience: int = 500,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims < 1 or num_concepts < 2:
            raise ValueError(f'need embed_dims >= 1 and num_concepts >= 2, got {embed_dims} and {num_concepts}')
        if not temperature > 0 or not epsilon > 0:
            raise ValueError(f'temperature and epsilon must be positive, got {temperature} and {epsilon}')
        counts = dict(
            sinkhorn_iters=sinkhorn_iters,
            queue_length=queue_length,
            queue_start_iter=queue_start_iter,
            freeze_concepts_iters=freeze_concepts_iters,
            monitor_patience=monitor_patience,
        )
        for name, value in counts.items():
            if not isinstance(value, int) or value < 0:
                raise ValueError(f'{name} must be a whole number of at least 0, got {value!r}')
        if monitor_interval < 1:
            raise ValueError(f'monitor_interval must be at least 1, got {monitor_interval}')
        if reduction not in ('image', 'region'):
            raise ValueError(f"reduction must be 'image' or 'region', got {reduction!r}")
        self.embed_dims = embed_dims
        self.num_concepts = num_concepts
        self.temperature = temperature
        self.epsilon = epsilon
        self.sinkhorn_iters = sinkhorn_iters
        self.queue_length = queue_length
        self.queue_start_iter = queue_start_iter
        self.freeze_concepts_iters = freeze_concepts_iters
        self.reduction = reduction
        self.normalize_pixels = normalize_pixels
        self.concepts = nn.Parameter(F.normalize(torch.randn(num_concepts, embed_dims), dim=1))
        self.register_buffer('queue', torch.zeros(queue_length, embed_dims))
        # steps taken, next row of the queue to write, rows of the queue in use
        self.register_buffer('progress', torch.zeros(3, dtype=torch.int64))
        self._steps, self._queue_next, self._queue_filled = 0, 0, 0
        self.monitor = CollapseMonitor(num_concepts, monitor_interval, freeze_concepts_iters + monitor_patience)
        self._off_sphere = True
        # MMEngine's checkpoints, too, call these hooks: what is saved has unit rows
        self._register_state_dict_hook(lambda head, *_: head._is_learning() and head.normalize_concepts())

    def extra_repr(self) -> str:
        """The numbers that identify the head in a printed model."""
        return f'embed_dims={self.embed_dims}, num_concepts={self.num_concepts}, queue_length={self.queue_length}'

    def loss(
        self, embeddings: EmbeddingMap, regions: Tensor, num_regions: Sequence[int], num_views: int
    ) -> dict[str, Tensor]:
        """Swapped prediction loss of a batch of N images with M views each (Alg. 2 and 3).

        Args:
            embeddings: Maps of B = N*M views, image-major: b = n*M + m; view 0 is the primary one.
            regions: (B, H, W) integers: a region of an image has the same id in all its views; -1 for no region.
            num_regions: N ints, the number of mutual regions I of every image.
            num_views: M >= 2.

        Returns:
            dict: ``loss`` (Eq. 4) and diagnostics of the primary view, over all processes: ``regions_per_image``;
            ``concepts_used``, the share of concepts that score best for some region; ``concept_perplexity`` of the mean
            prediction, 1 to K (both by the scores alone: the optimal assignment uses all concepts alike by
            construction); ``assignment_entropy`` of a region's optimal assignment, 0 to ln K nats;
            ``embedding_spread``, 0 if all region embeddings are alike, near 1 if they point everywhere.

        In training mode the step is counted and the regions enter the queue; in evaluation the state stays as it is.

        Raises:
            ValueError: If the number of views or of maps does not fit.
        """
        if num_views < 2:
            raise ValueError(f'swapped prediction needs at least 2 views of an image, got num_views={num_views}')
        if len(embeddings) != len(num_regions) * num_views:
            raise ValueError(
                f'{len(num_regions)} images with {num_views} views need {len(num_regions) * num_views} maps, '
                f'got {len(embeddings)}'
            )
        self.normalize_concepts()
        with torch.autocast(regions.device.type, enabled=False):
            # z*: mean embedding of every region in every view, at unit length (M, R, D)
            means = embeddings.region_means(regions, np.repeat(num_regions, num_views), self.normalize_pixels)
            means = means[to_device(_view_major(num_regions, num_views), means.device)]
            means = unit_vectors(means)

            # s*: scores of all views (Eq. 3)
            concepts = self.concepts.to(means.dtype)
            if self._steps < self.freeze_concepts_iters:
                concepts = concepts.detach() + 0 * concepts
            scores = means @ concepts.T

            # q: optimal assignment of the primary view's regions, together with the queue
            targets = self.assign(means[0].detach())

            # L: cross-entropy between q and the softmax of the scores (Eq. 4), averaged over all processes
            log_p = F.log_softmax(scores / self.temperature, dim=-1)
            cross_entropy = -(targets * log_p[1:]).sum(-1).mean(0)
            weights, num_terms = _region_weights(num_regions, self.reduction)
            weights = to_device(weights.to(cross_entropy.dtype), cross_entropy.device)
            sums = dict(loss=(weights * cross_entropy).sum(), terms=cross_entropy.new_full((), num_terms))
            sums |= self._diagnostic_sums(means[0].detach(), log_p[0].detach().exp(), targets, len(num_regions))
            sums = _sum_over_processes(sums)
            loss = sums['loss'] / sums['terms'].clamp_min(1)
        if loss.requires_grad:
            loss.register_hook(self._expect_step)

        diagnostics = self._diagnose(sums)
        if self.training:
            self.monitor.update(loss.detach(), diagnostics, sums['regions'].detach())
            self._advance(means[0].detach())
        return dict(loss=loss, **diagnostics)

    @torch.no_grad()
    def assign(self, means: Tensor) -> Tensor:
        """Optimal assignment of unit region embeddings (R, D) to concepts: (R, K), rows sum to 1.

        From ``queue_start_iter`` on, the filled part of the queue takes part in it.
        """
        rows = means
        if self._queue_filled and self._steps >= self.queue_start_iter:
            rows = torch.cat([means, self.queue[: self._queue_filled].to(means.dtype)])
        scores = rows @ self.concepts.to(means.dtype).T
        return sinkhorn_knopp(scores, self.epsilon, self.sinkhorn_iters)[: len(means)]

    @torch.no_grad()
    def unit_concepts(self) -> Tensor:
        """The concepts (K, D) at unit length, whatever the length of the parameter's rows is; the parameter stays.

        Its rows are not unit vectors between an optimizer step and the next loss, and while MMEngine's ``EMAHook`` has
        put its averages in their place.
        """
        return unit_vectors(self.concepts)

    @torch.no_grad()
    def normalize_concepts(self) -> None:
        """Put the concepts back on the unit sphere, which optimizer steps leave.

        After that, they are not touched until a loss has been differentiated again: losses of one step may be summed,
        and a rounding more or less would tell a resumed run from an unbroken one.
        """
        if self._off_sphere:
            self.concepts.copy_(F.normalize(self.concepts, dim=1))
            self._off_sphere = False

    def _expect_step(self, grad: Tensor) -> None:
        """The hook of a loss: its gradient is on the way, and with it an optimizer step."""
        self._off_sphere = True

    @torch.no_grad()
    def _advance(self, means: Tensor) -> None:
        """Count the step and put the primary view's embeddings (R, D) in the queue, oldest out first."""
        self._steps += 1
        if self.queue_length:
            newest = means[-self.queue_length :]
            rows = (self._queue_next + torch.arange(len(newest), device=means.device)) % self.queue_length
            self.queue[rows] = newest.to(self.queue.dtype)
            self._queue_next = (self._queue_next + len(newest)) % self.queue_length
            self._queue_filled = min(self._queue_filled + len(newest), self.queue_length)
        progress = torch.tensor([self._steps, self._queue_next, self._queue_filled])
        self.progress.copy_(to_device(progress, self.progress.device))

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._steps, self._queue_next, self._queue_filled = self.progress.tolist()
        self._off_sphere = False
        if self._is_learning() and not _have_unit_length(self.concepts):
            with torch.no_grad():
                self.concepts.copy_(self.unit_concepts())

    def _is_learning(self) -> bool:
        """False for the copy in which MMEngine's ``EMAHook`` sums up averages: its rows must keep their lengths."""
        return self.concepts.requires_grad

    @torch.no_grad()
    def _diagnostic_sums(
        self, means: Tensor, predictions: Tensor, targets: Tensor, num_images: int
    ) -> dict[str, Tensor]:
        """What :meth:`_diagnose` needs to know of the images of this process, in a form that adds up."""
        chosen = predictions.new_zeros(self.num_concepts)
        return dict(
            images=predictions.new_full((), num_images),
            regions=predictions.new_full((), len(targets)),
            chosen=chosen.index_fill_(0, predictions.argmax(1), 1),
            predictions=predictions.sum(0),
            entropy=torch.special.entr(targets).sum(),
            means=means.sum(0),
        )

    @torch.no_grad()
    def _diagnose(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        regions = sums['regions'].clamp_min(1)
        usage = sums['predictions'] / regions
        return dict(
            regions_per_image=sums['regions'] / sums['images'].clamp_min(1),
            concepts_used=(sums['chosen'] > 0).to(usage.dtype).mean(),
            concept_perplexity=torch.special.entr(usage).sum().exp(),
            assignment_entropy=sums['entropy'] / regions,
            embedding_spread=1 - (sums['means'] / regions).norm(),
        )


def _have_unit_length(vectors: Tensor) -> bool:
    """Whether rows have unit length to within rounding; such rows of a checkpoint are taken bit for bit."""
    return bool(((to_double(vectors).norm(dim=1) - 1).abs() < 1e-5).all())


def _view_major(num_regions: Sequence[int], num_views: int) -> Tensor:
    """Rows of an image-major stack of region vectors, in the order (M, R) of views, then images and their regions."""
    counts = np.asarray(num_regions, dtype=np.int64)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    own = np.repeat(counts, counts)
    first = before * num_views + np.arange(counts.sum()) - before
    return torch.from_numpy(first + np.arange(num_views)[:, None] * own)


def _region_weights(num_regions: Sequence[int], reduction: str) -> tuple[Tensor, int]:
    """Weight (R,) of every region in the sum of the loss, and the number of terms in it, of which it is to be the mean.

    The terms are the images that have regions, or the regions.
    """
    counts = np.asarray(num_regions, dtype=np.int64)
    if reduction == 'region':
        return torch.ones(counts.sum()), int(counts.sum())
    return torch.from_numpy(1 / np.repeat(counts, counts)), int((counts > 0).sum())


def _sum_over_processes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The sum of each over all processes, in a single message."""
    total = sum_over_processes(torch.cat([value.reshape(-1) for value in values.values()]))
    parts = total.split([value.numel() for value in values.values()])
    return {name: part.reshape(value.shape) for part, (name, value) in zip(parts, values.items())}
