"""Visualizing embeddings by principal components as colours and by clusters (Fig. 5 and 9)."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from mmvice.structures import EmbeddingMap
from mmvice.utils.faiss import import_faiss


def sample_embeddings(maps: Iterable[EmbeddingMap], per_image: int, seed: int = 0) -> Tensor:
    """Embeddings of random pixels, equally many from every image, for fitting components and clusters.

    Args:
        maps: Embedding maps of any sizes; only one is in memory at a time.
        per_image: Number of pixels drawn from an image, with replacement.
        seed: Seed of the pixels' positions.

    Returns:
        Tensor: (n, D) float unit vectors on the CPU; (0, 0) without any map.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for embeddings in maps:
        height, width = embeddings.size
        pixels = torch.randint(height * width, (len(embeddings), per_image), generator=generator)
        batch = torch.arange(len(embeddings))[:, None].expand_as(pixels)
        device = embeddings.features.device
        where = (index.flatten().to(device) for index in (batch, pixels // width, pixels % width))
        with torch.no_grad():
            drawn.append(embeddings.sample(*where).float().cpu())
    return torch.cat(drawn) if drawn else torch.zeros(0, 0)


class EmbeddingPCA:
    """The three principal components of embeddings of a set of images, as red, green and blue (Fig. 5).

    The sign of a component makes its largest entry positive, so the same embeddings always have the same colours.

    Args:
        mean (Tensor): Mean embedding (D,).
        components (Tensor): (3, D), the strongest first.
        low (Tensor): Projection (3,) that becomes 0.
        high (Tensor): Projection (3,) that becomes 255.
        explained (Tensor): Share (3,) of the variance that each component explains.
    """

    def __init__(self, mean: Tensor, components: Tensor, low: Tensor, high: Tensor, explained: Tensor) -> None:
        self.mean = mean
        self.components = components
        self.low = low
        self.high = high
        self.explained = explained

    @classmethod
    def fit(cls, embeddings: Tensor, tail: float = 0.01) -> 'EmbeddingPCA':
        """Fit to embeddings (n, D).

        Args:
            embeddings: A sample of all images to compare.
            tail: Share of the embeddings to clip at either end of a component, so that outliers do not set the range.

        Raises:
            ValueError: If there is no embedding, or one is not finite.
        """
        vectors = _checked_sample(embeddings).double()
        mean = vectors.mean(0)
        centred = vectors - mean
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(vectors))
        variances, directions = variances.flip(0).clamp_min(0), directions.T.flip(0)
        components, explained = vectors.new_zeros(3, vectors.shape[1]), vectors.new_zeros(3)
        found = min(3, vectors.shape[1])
        strongest = directions[:found]
        signs = strongest.gather(1, strongest.abs().argmax(1, keepdim=True)).sign()
        components[:found] = strongest * signs
        explained[:found] = variances[:found] / variances.sum().clamp_min(torch.finfo(variances.dtype).tiny)
        ends = np.quantile((centred @ components.T).numpy(), [tail, 1 - tail], axis=0)
        low, high = torch.from_numpy(ends)
        return cls(mean.float(), components.float(), low.float(), high.float(), explained.float())

    @torch.no_grad()
    def colors(self, embeddings: EmbeddingMap) -> np.ndarray:
        """RGB pictures uint8 (B, H, W, 3) of embedding maps; a component without any variance is mid-grey."""
        device = embeddings.features.device
        projected = embeddings.project(self.components.to(device), -(self.components @ self.mean).to(device)).cpu()
        low, spread = self.low[:, None, None], (self.high - self.low)[:, None, None]
        flat = spread < 1e-6
        shades = torch.where(flat, 0.5, (projected - low) / spread.masked_fill(flat, 1))
        return (shades.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


class EmbeddingClusters:
    """Clusters of embeddings over a set of images: a segmentation without labels (Fig. 9, centre).

    A pixel belongs to the nearest centroid in L2. For unit embeddings z, this is the one with the largest ``z.c - |c|^2
    / 2``. Learned concepts are centroids on the unit sphere: ``EmbeddingClusters(head.unit_concepts())``.

    Args:
        centroids (Tensor): (K, D).
    """

    def __init__(self, centroids: Tensor) -> None:
        self.centroids = centroids.detach().float().cpu()

    def __len__(self) -> int:
        return len(self.centroids)

    @classmethod
    def fit(cls, embeddings: Tensor, num_clusters: int, iterations: int = 30, seed: int = 0) -> 'EmbeddingClusters':
        """Find clusters by FAISS k-means, numbered by decreasing size.

        Args:
            embeddings: A sample (n, D) of all images.
            num_clusters: Number of clusters K.
            iterations: Iterations of k-means.
            seed: Seed of k-means.

        Raises:
            ImportError: If FAISS is missing.
            ValueError: If there are fewer embeddings than clusters, or one is not finite.
        """
        embeddings = _checked_sample(embeddings)
        if not 1 <= num_clusters <= len(embeddings):
            raise ValueError(f'{num_clusters} clusters cannot be found in {len(embeddings)} embeddings')
        vectors = np.ascontiguousarray(embeddings.float().numpy())
        kmeans = import_faiss().Kmeans(
            vectors.shape[1],
            num_clusters,
            niter=iterations,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(vectors),
        )
        kmeans.train(vectors)
        _, nearest = kmeans.assign(vectors)
        by_size = np.argsort(-np.bincount(nearest, minlength=num_clusters), kind='stable')
        return cls(torch.from_numpy(kmeans.centroids[by_size]))

    @torch.no_grad()
    def assign(self, embeddings: EmbeddingMap) -> np.ndarray:
        """Nearest centroid of every pixel: int64 (B, H, W) in 0..K-1."""
        weight = self.centroids.to(embeddings.features.device)
        return embeddings.argmax(weight, weight.square().sum(1) / -2).cpu().numpy()

    def shares(self, embeddings: Tensor) -> np.ndarray:
        """Share of a sample of embeddings (n, D) that falls into each cluster: float (K,), 0 to 1."""
        nearest = (embeddings.cpu().float() @ self.centroids.T - self.centroids.square().sum(1) / 2).argmax(1)
        return nearest.bincount(minlength=len(self)).double().div(max(len(embeddings), 1)).numpy()


def _checked_sample(embeddings: Tensor) -> Tensor:
    """A sample of embeddings on the CPU, for fp64, FAISS and NumPy."""
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f'need a sample of embeddings (n, D), n >= 1, got shape {tuple(embeddings.shape)}')
    if not embeddings.isfinite().all():
        raise ValueError('some embeddings are not finite: the network gives NaN or inf')
    return embeddings.cpu()
