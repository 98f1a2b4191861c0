"""Clusters of frozen embeddings, each standing for one class."""

import warnings

import numpy as np
import torch
from mmengine.model import BaseModule
from mmseg.utils import ConfigType, OptMultiConfig, SampleList
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

# Exact and the fastest of its kind since torch 1.12; torch still calls its interface beta.
warnings.filterwarnings('ignore', message=r'index_reduce\(\) is in beta')

_NO_CLUSTER = -2.0  # below the score of any cluster: z.c - |c|^2 / 2 >= -1.5 inside the unit ball


@MODELS.register_module()
class ClusterProbeHead(BaseModule):
    """Cluster probe of dense embeddings (Sec. 4.3): k-means without labels, then one class for each cluster.

    It is fitted by :class:`mmvice.engine.ClusterFitLoop` and kept in buffers. A pixel belongs to the cluster with the
    nearest centroid in L2; since embeddings have unit length, that is the largest of ``z.c - |c|^2 / 2``, one matrix
    product at low resolution.

    Args:
        in_channels (int): Channels D of an embedding.
        num_classes (int): Number of classes.
        num_clusters (int): Number of clusters C.
        matching (str): 'majority' gives every cluster the class that most of its training pixels have; 'hungarian' the
            one-to-one match with the most pixels in agreement, for as many clusters as classes. Defaults to 'majority'.
        kmeans_iters (int): Iterations of k-means. Defaults to 30.
        kmeans_redo (int): Runs of k-means from other seeds, of which the best is kept. Defaults to 1.
        ignore_index (int): Label of pixels that have no class. Defaults to 255.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    align_corners = False

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_clusters: int,
        matching: str = 'majority',
        kmeans_iters: int = 30,
        kmeans_redo: int = 1,
        ignore_index: int = 255,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value in dict(num_clusters=num_clusters, kmeans_iters=kmeans_iters, kmeans_redo=kmeans_redo).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be a whole number of at least 1, got {value!r}')
        if matching not in ('majority', 'hungarian'):
            raise ValueError(f"matching must be 'majority' or 'hungarian', got {matching!r}")
        if matching == 'hungarian' and num_clusters != num_classes:
            raise ValueError(
                f'hungarian matching is one-to-one: num_clusters={num_clusters} must equal num_classes={num_classes}; '
                "use matching='majority' for other numbers"
            )
        self.in_channels = in_channels
        self.num_classes = self.out_channels = num_classes
        self.num_clusters = num_clusters
        self.matching = matching
        self.kmeans_iters = kmeans_iters
        self.kmeans_redo = kmeans_redo
        self.ignore_index = ignore_index
        self.register_buffer('centroids', torch.full((num_clusters, in_channels), torch.nan))
        self.register_buffer('cluster_classes', torch.full((num_clusters,), -1, dtype=torch.int64))
        self._fitted = False

    @property
    def embed_dims(self) -> int:
        """Number of channels D that the probe takes."""
        return self.in_channels

    def fit_centroids(self, embeddings: np.ndarray, seed: int = 0) -> float:
        """Find the clusters by FAISS k-means.

        Args:
            embeddings: (n, D) float32 unit vectors, n >= number of clusters.
            seed: Seed of k-means.

        Returns:
            float: Mean squared distance of an embedding to its nearest centroid, of the centroids that are kept.

        Raises:
            ValueError: If there are fewer embeddings than clusters, or one is not finite.
        """
        from mmvice.utils.faiss import import_faiss

        if embeddings.ndim != 2 or embeddings.shape[1] != self.in_channels:
            raise ValueError(f'embeddings must be (n, {self.in_channels}), got shape {embeddings.shape}')
        if len(embeddings) < self.num_clusters:
            raise ValueError(
                f'{self.num_clusters} clusters cannot be found in {len(embeddings)} embeddings: '
                'give more images, or raise max_samples of ClusterFitLoop, or lower num_clusters'
            )
        if not np.isfinite(embeddings).all():
            raise ValueError('some embeddings are not finite: the embedder gives NaN or inf')
        kmeans = import_faiss().Kmeans(
            self.in_channels,
            self.num_clusters,
            niter=self.kmeans_iters,
            nredo=self.kmeans_redo,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(embeddings),
        )
        vectors = np.ascontiguousarray(embeddings, dtype=np.float32)
        kmeans.train(vectors)
        self.centroids.copy_(torch.from_numpy(kmeans.centroids))
        distances, _ = kmeans.assign(vectors)  # FAISS's own objective is of the last run, before its last update
        return float(distances.mean(dtype=np.float64))

    @torch.no_grad()
    def assign(self, embeddings: EmbeddingMap) -> Tensor:
        """Nearest cluster of every pixel: int64 (B, H, W) in 0..C-1."""
        return embeddings.argmax(*self._scoring())

    def classify(self, embeddings: EmbeddingMap) -> Tensor:
        """Class of every pixel, int64 (B, H, W): that of its nearest cluster.

        Raises:
            RuntimeError: If the head has not been fitted.
        """
        self._check_fitted()
        clusters = self.assign(embeddings)
        return self.cluster_classes.index_select(0, clusters.flatten()).view_as(clusters)

    def count(self, clusters: Tensor, labels: Tensor) -> Tensor:
        """Count how often a cluster and a class meet.

        Args:
            clusters: (B, H, W) int64 in 0..C-1.
            labels: (B, H, W) integer labels; ``ignore_index`` and what lies outside 0..classes-1 does not count.

        Returns:
            Tensor: int64 (C, classes).
        """
        labels = labels.long()
        valid = (labels >= 0) & (labels < self.num_classes) & (labels != self.ignore_index)
        pairs = torch.where(valid, clusters * self.num_classes + labels, self.num_clusters * self.num_classes)
        counts = torch.bincount(pairs.flatten(), minlength=self.num_clusters * self.num_classes + 1)
        return counts[:-1].reshape(self.num_clusters, self.num_classes)

    def match_classes(self, counts: Tensor) -> None:
        """Give every cluster its class.

        A cluster that no labelled pixel fell into gets the most frequent class of all.

        Args:
            counts: (C, classes), see :meth:`count`.

        Raises:
            ValueError: If no pixel has a label.
        """
        if not counts.sum() > 0:
            raise ValueError('no pixel of the training set has a class: check the annotations and ignore_index')
        if self.matching == 'hungarian':
            _, classes = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
            classes = torch.from_numpy(classes).to(self.cluster_classes)
        else:
            classes = counts.argmax(1)
            classes[counts.sum(1) == 0] = counts.sum(0).argmax()
        self.cluster_classes.copy_(classes)

    def forward(self, embeddings: EmbeddingMap) -> Tensor:
        """Class scores (B, classes, H, W): the score of the best cluster of each class.

        Raises:
            RuntimeError: If the head has not been fitted.
        """
        self._check_fitted()
        weight, bias = self._scoring()
        scores: Tensor | None = None
        for start in range(0, self.num_clusters, 64):  # bounds the memory of full-resolution cluster maps
            part = slice(start, start + 64)
            of_clusters = embeddings.project(weight[part], bias[part])
            if scores is None:
                scores = of_clusters.new_full((len(embeddings), self.num_classes, *embeddings.size), _NO_CLUSTER)
            scores.index_reduce_(1, self.cluster_classes[part], of_clusters, 'amax')
        return scores

    def loss(self, inputs: EmbeddingMap, batch_data_samples: SampleList, train_cfg: ConfigType) -> dict[str, Tensor]:
        """A cluster probe is fitted in closed form, not by gradient steps.

        Raises:
            RuntimeError: Always; it names the loop to configure.
        """
        raise RuntimeError("ClusterProbeHead has no loss: fit it with train_cfg=dict(type='ClusterFitLoop')")

    def predict(self, inputs: EmbeddingMap, batch_img_metas: list[dict], test_cfg: ConfigType) -> Tensor:
        """Class scores at the size of the images, as MMSegmentation's decode heads give them."""
        return self.forward(inputs)

    def _scoring(self) -> tuple[Tensor, Tensor]:
        return self.centroids, self.centroids.square().sum(1) / -2

    def _check_fitted(self) -> None:
        if not self._fitted:
            self._fitted = bool(self.centroids.isfinite().all() and (self.cluster_classes >= 0).all())
        if not self._fitted:
            raise RuntimeError(
                'this ClusterProbeHead has not been fitted: run tools/train.py on its config, '
                'or give tools/test.py the checkpoint which that wrote'
            )
