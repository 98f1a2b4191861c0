"""The segmentations of an image by a model: clusters, concepts, classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmengine.model import BaseModel
from torch import Tensor

from mmvice.models import head_of
from mmvice.structures import EmbeddingMap
from mmvice.visualization import EmbeddingClusters, Legend, palette


class Labels(NamedTuple):
    """One kind of segmentation, with the names and colours of its labels."""

    name: str
    title: str
    names: Sequence[str]
    colors: np.ndarray
    legend: Legend


def concepts_of(model: BaseModel) -> Tensor | None:
    """The learned concepts (K, D) of a model, unit vectors; None for a probe, or a method without concepts."""
    head = head_of(model)
    return None if head is None else head.unit_concepts()


def clusters_of(model: BaseModel, sample: Tensor, number: int | None = None, seed: int = 0) -> EmbeddingClusters:
    """The clusters of a cluster probe, or new ones.

    Args:
        model: The model that gave the sample.
        sample: Embeddings (n, D).
        number: Number of new clusters; None takes those of a cluster probe, and finds 16 for any other model.
        seed: Seed of k-means.
    """
    of_probe = getattr(getattr(model, 'decode_head', None), 'centroids', None)
    if of_probe is not None and number is None:
        return EmbeddingClusters(of_probe)
    return EmbeddingClusters.fit(sample, number or 16, seed=seed)


def cluster_labels(clusters: EmbeddingClusters, name: str, sample: Tensor) -> Labels:
    """Numbers and colours of clusters; used ones are listed by decreasing share of the sample.

    Args:
        clusters: The clusters.
        name: Name of the labels: 'clusters' or 'concepts'.
        sample: Embeddings (n, D) to compute the shares.
    """
    shares = clusters.shares(sample)
    title = f'{len(clusters)} {name}'
    names = [f'{i} ({share:.1%})' for i, share in enumerate(shares)]
    colors = palette(len(clusters))
    used = np.flatnonzero(shares)[np.argsort(-shares[shares > 0], kind='stable')]
    heading = f'{title}, {len(used)} of them in use: number and share of the pixels'
    return Labels(name, title, names, colors, Legend(heading, [names[i] for i in used], colors[used]))


def probe_classes(model: BaseModel) -> Labels | None:
    """The classes of a probe, with the names and colours in its checkpoint; None for a ViCE model."""
    if not hasattr(model, 'decode_head'):
        return None
    number = model.decode_head.num_classes
    names, colors = (model.dataset_meta.get(key) or () for key in ('classes', 'palette'))
    names = names if len(names) == number else [f'class {i}' for i in range(number)]
    colors = np.asarray(colors, np.uint8) if len(colors) == number else palette(number)
    return Labels('classes', 'segmentation', names, colors, Legend('classes', names, colors))


def segment(model: BaseModel, embeddings: EmbeddingMap) -> np.ndarray:
    """Class ids (H, W) of one image by the probe."""
    return model.decode_head.classify(embeddings)[0].cpu().numpy()
