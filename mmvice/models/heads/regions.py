"""Regions in the losses of heads: their embeddings view by view, and their weights."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mmvice.ops import unit_vectors
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import to_device


def unit_region_means(
    embeddings: EmbeddingMap, regions: Tensor, num_regions: Sequence[int], num_views: int, normalize_pixels: bool
) -> Tensor:
    """Mean embedding of every region in every view, at unit length.

    Args:
        embeddings, regions, num_regions, num_views: As in :meth:`BaseMethodHead.loss`.
        normalize_pixels: Average unit pixel embeddings, or features.

    Returns:
        Tensor: (M, R, D); the R regions are those of all images, in their order.

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
    means = embeddings.region_means(regions, np.repeat(num_regions, num_views), normalize_pixels)
    return unit_vectors(means[to_device(_view_major(num_regions, num_views), means.device)])


def _view_major(num_regions: Sequence[int], num_views: int) -> Tensor:
    """Rows of an image-major stack of region vectors, in the order (M, R) of views, then images and their regions."""
    counts = np.asarray(num_regions, dtype=np.int64)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    own = np.repeat(counts, counts)
    first = before * num_views + np.arange(counts.sum()) - before
    return torch.from_numpy(first + np.arange(num_views)[:, None] * own)


def _per_image(regions: Tensor, counts: np.ndarray) -> Tensor:
    """Every image counts alike, and the regions of an image do (Eq. 4, Alg. 3)."""
    return torch.from_numpy(1 / np.repeat(counts, counts))


def _per_region(regions: Tensor, counts: np.ndarray) -> Tensor:
    """Every region counts alike, as in the authors' code."""
    return torch.ones(counts.sum(), dtype=torch.float64)


def _per_pixel(regions: Tensor, counts: np.ndarray) -> Tensor:
    """Every pixel of the primary view that lies in a region counts alike: regions by their area."""
    first = to_device(torch.from_numpy(np.cumsum(counts) - counts), regions.device)
    rows = torch.where(regions < 0, counts.sum(), regions + first[:, None, None]).flatten()
    areas = torch.zeros(counts.sum() + 1, dtype=torch.int64, device=regions.device)
    return areas.index_add_(0, rows, torch.ones_like(rows))[:-1]


REDUCTIONS: dict[str, Callable[[Tensor, np.ndarray], Tensor]] = {
    'image': _per_image,
    'region': _per_region,
    'area': _per_pixel,
}
"""Weight (R,) of every region in the mean that is the loss, from the primary views' regions (N, h, w) and I (N,)."""


def region_weights(
    reduction: str, regions: Tensor, num_regions: Sequence[int], num_views: int, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Weight of every region in the loss, and their sum, added up before both get the type of ``like``.

    Args:
        reduction: One of ``REDUCTIONS``.
        regions, num_regions, num_views: As in :meth:`BaseMethodHead.loss`.
        like: A tensor of the type and device that both get.

    Returns:
        tuple: (R,) and a scalar.
    """
    weights = REDUCTIONS[reduction](regions[::num_views].long(), np.asarray(num_regions, np.int64))
    return tuple(to_device(value.to(like.dtype), like.device) for value in (weights, weights.sum()))
