"""Mean unit embedding of every region, from the full-resolution map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def dense_embeddings(features: Tensor, size: Sequence[int]) -> Tensor:
    """Unit embeddings (B, D, H, W) of all pixels from features (B, D, h, w)."""
    return F.normalize(F.interpolate(features, tuple(size), mode='bilinear', align_corners=False), dim=1)


def indexed_region_means(features: Tensor, regions: Tensor, num_regions: Sequence[int]) -> Tensor:
    """Upsample, normalise, index_add: the usual vectorised way.

    Args:
        features: (B, D, h, w).
        regions: (B, H, W) ids 0..num_regions[b]-1, each of which occurs.
        num_regions: B ints.

    Returns:
        Tensor: (sum(num_regions), D).
    """
    embeddings = dense_embeddings(features, regions.shape[1:])
    vectors = embeddings.permute(0, 2, 3, 1).flatten(0, 2)
    counts = torch.tensor(num_regions, device=regions.device)
    ids = (regions.long() + (counts.cumsum(0) - counts)[:, None, None]).flatten()
    sums = vectors.new_zeros(sum(num_regions), vectors.shape[1]).index_add(0, ids, vectors)
    return sums / torch.bincount(ids, minlength=len(sums)).unsqueeze(1)


def masked_region_means(features: Tensor, regions: Tensor, num_regions: Sequence[int]) -> Tensor:
    """A boolean mask and a mean for each region, as in the authors' code. Arguments as above.

    Autograd writes a full map of gradients for each region.
    """
    embeddings = dense_embeddings(features, regions.shape[1:])
    means = [
        view[:, ids == region].mean(1)
        for view, ids, count in zip(embeddings, regions, num_regions)
        for region in range(count)
    ]
    return torch.stack(means)


def region_matrix(regions: Tensor, num_regions: Sequence[int], low_size: Sequence[int]) -> tuple[Tensor, ...]:
    """The low-resolution pixels that a region is interpolated from, with the mean bilinear weight of each.

    That matrix times the features is the mean over the region of the upsampled vectors, which are not normalised.

    Args:
        regions: (B, H, W) ids 0..num_regions[b]-1, each of which occurs.
        num_regions: B ints.
        low_size: Size (h, w) of the features.

    Returns:
        Its entries by region: ``columns`` (n,) int64 among the B*h*w pixels, ``weights`` (n,) and ``offsets`` (R,),
        where the entries of a region begin.
    """
    height, width = low_size
    batch, full_height, full_width = regions.shape
    counts = torch.tensor(num_regions)
    ids = (regions.cpu().long() + (counts.cumsum(0) - counts)[:, None, None]).flatten()

    def neighbours(low: int, full: int) -> tuple[Tensor, Tensor]:
        at = ((torch.arange(full) + 0.5) * low / full - 0.5).clamp(0, low - 1)
        first = at.floor().long().clamp(max=max(low - 2, 0))
        share = at - first
        return torch.stack([first, (first + 1).clamp(max=low - 1)]), torch.stack([1 - share, share])

    y, weight_y = neighbours(height, full_height)
    x, weight_x = neighbours(width, full_width)
    pixels = torch.arange(batch)[:, None, None] * (height * width)
    rows, columns, weights = [], [], []
    for a in range(2):
        for b in range(2):
            rows.append(ids)
            columns.append((pixels + (y[a] * width)[None, :, None] + x[b][None, None, :]).flatten())
            weights.append((weight_y[a][:, None] * weight_x[b]).expand(batch, -1, -1).flatten())
    size = (int(counts.sum()), batch * height * width)
    matrix = torch.sparse_coo_tensor(torch.stack([torch.cat(rows), torch.cat(columns)]), torch.cat(weights), size)
    matrix = matrix.coalesce()
    rows, columns = matrix.indices()
    weights = matrix.values() / torch.bincount(ids, minlength=size[0])[rows]
    offsets = torch.searchsorted(rows.contiguous(), torch.arange(size[0]))
    return tuple(tensor.to(regions.device) for tensor in (columns, weights, offsets))
