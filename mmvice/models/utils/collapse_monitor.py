"""The diagnostics of a step, and warnings about them."""

import logging
import math

import torch
from mmengine.logging import print_log
from torch import Tensor, nn


@torch.no_grad()
def region_statistics(
    z: Tensor, num_images: int, p: Tensor | None = None, q: Tensor | None = None
) -> dict[str, Tensor]:
    """Sums over the images of this process for :class:`CollapseMonitor`.

    Args:
        z: Unit region embeddings (R, D) of the primary view.
        num_images: Number of images.
        p: The predictions from their scores (R, K), rows sum to 1; None for a method without concepts.
        q: Their assignments (R, K), rows sum to 1; None for a method without assignments.
    """
    statistics = dict(images=z.new_full((), num_images), regions=z.new_full((), len(z)), means=z.sum(0))
    if p is not None:
        chosen = p.new_zeros(p.shape[1]).index_fill_(0, p.argmax(1), 1)
        statistics.update(chosen=chosen, predictions=p.sum(0))
    if q is not None:
        statistics.update(entropy=torch.special.entr(q).sum())
    return statistics


class CollapseMonitor(nn.Module):
    """Gives the diagnostics of a step, and warns once of each kind of failing training.

    It warns if embeddings or concepts collapse, or if the loss is no better than a uniform guess over the concepts. For
    a method without concepts it watches the embeddings alone. Running means stay on the device. They are copied to the
    host asynchronously; the next check reads the copy. The state dict contains them.

    Args:
        num_concepts: Number of concepts K; None for a method without.
        interval: Iterations between two checks.
        patience: Iterations before the first possible warning.
        momentum: Of the running means, per iteration.
        remedies: Advice against a collapse, besides a lower learning rate or a longer warm-up.
    """

    def __init__(
        self,
        num_concepts: int | None = None,
        interval: int = 50,
        patience: int = 200,
        momentum: float = 0.98,
        remedies: str = 'make batches larger',
    ) -> None:
        super().__init__()
        self.num_concepts = num_concepts
        self.interval = interval
        self.patience = patience
        self.momentum = momentum
        self.remedies = remedies
        self.warned: set[str] = set()
        # running sums of loss, share of concepts, spread, and of their weights
        self.register_buffer('sums', torch.zeros(4))
        self._copy: Tensor | None = None
        self._event: torch.cuda.Event | None = None

    @torch.no_grad()
    def forward(self, loss: Tensor, sums: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Add one iteration, in training mode, and return its diagnostics.

        Args:
            loss: Scalar loss.
            sums: Those of :func:`region_statistics` over all processes.
            step: Number of iterations, including this one.

        Returns:
            dict: Diagnostics of the primary view, as far as the sums allow. ``regions_per_image``. ``concepts_used``:
                share of concepts that score best for some region. ``concept_perplexity`` of the mean prediction: 1 to
                K. (Both use the scores, since an optimal assignment always uses all concepts equally.)
                ``assignment_entropy`` of a region's assignment: 0 to ln K nats. ``embedding_spread``: 0 if all region
                embeddings are equal, near 1 if they point in all directions.
        """
        regions = sums['regions'].clamp_min(1)
        diagnostics = dict(regions_per_image=sums['regions'] / sums['images'].clamp_min(1))
        if 'predictions' in sums:
            usage = sums['predictions'] / regions
            diagnostics['concepts_used'] = (sums['chosen'] > 0).to(usage.dtype).mean()
            diagnostics['concept_perplexity'] = torch.special.entr(usage).sum().exp()
        if 'entropy' in sums:
            diagnostics['assignment_entropy'] = sums['entropy'] / regions
        diagnostics['embedding_spread'] = 1 - (sums['means'] / regions).norm()
        if self.training:
            self._take_in(loss, diagnostics, sums['regions'])
            if step % self.interval == 0:
                self._look(step)
        return diagnostics

    def _take_in(self, loss: Tensor, diagnostics: dict[str, Tensor], num_regions: Tensor) -> None:
        """R regions can use at most R concepts, and an iteration without regions does not count."""
        used = torch.ones_like(loss)
        if 'concepts_used' in diagnostics:
            used = diagnostics['concepts_used'] / (num_regions.clamp(1, self.num_concepts) / self.num_concepts)
        now = torch.stack([loss, used, diagnostics['embedding_spread'], torch.ones_like(loss)]).to(self.sums)
        self.sums = self.sums.lerp(now, (1 - self.momentum) * (num_regions > 0).to(now))

    def _look(self, step: int) -> None:
        """Check the copy of the last interval, and start another copy."""
        if self._copy is not None and (self._event is None or self._event.query()):
            self._judge(*self._copy.tolist(), step)
        self._copy = (self.sums[:3] / self.sums[3]).to('cpu', non_blocking=True, copy=True)
        if self.sums.is_cuda:
            self._event = torch.cuda.Event()
            self._event.record()

    def _judge(self, loss: float, used: float, spread: float, step: int) -> None:
        if step < self.patience or math.isnan(used):  # too early, or no iteration had a region
            return
        signs = []
        if used < 0.05:
            signs.append(f'regions choose {used:.1%} of the concepts that they could')
        if spread < 0.02:
            signs.append(f'the spread of the embeddings of regions is {spread:.3f}')
        if signs:
            what = 'embeddings' if self.num_concepts is None else 'concepts'
            self._warn(
                'collapse',
                f'The {what} have collapsed: {" and ".join(signs)}. Lower the learning rate or warm it up longer, '
                f'{self.remedies}.',
            )
        if self.num_concepts is None:
            return
        uniform = math.log(self.num_concepts)
        if not loss < 0.99 * uniform:
            self._warn(
                'stuck',
                f'The loss is {loss:.3f}, no better than ln K = {uniform:.3f} of a uniform guess over '
                f'{self.num_concepts} concepts: nothing is being learned. Raise the learning rate, weaken the colour '
                'distortion, or look at the views with tools/visualization/browse_views.py.',
            )

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self.warned:
            self.warned.add(kind)
            print_log(message, logger='current', level=logging.WARNING)
