"""Probes on the full-resolution map of embeddings."""

import numpy as np
import torch
from torch import Tensor

from mmvice.models import ClusterProbeHead, LinearProbeHead
from mmvice.utils.faiss import import_faiss


def linear_logits(head: LinearProbeHead, embeddings: Tensor) -> Tensor:
    """1x1 convolution, batch norm, 1x1 convolution: (B, classes, H, W) from (B, D, H, W)."""
    return head.conv_seg(head.norm(head.filters(embeddings)))


def faiss_index(head: ClusterProbeHead) -> object:
    """An exact L2 index of the centroids."""
    index = import_faiss().IndexFlatL2(head.in_channels)
    index.add(head.centroids.cpu().numpy())
    return index


def faiss_classes(index: object, head: ClusterProbeHead, embeddings: Tensor) -> Tensor:
    """Class of every pixel (B, H, W) from (B, D, H, W): that of the nearest centroid."""
    batch, dims, height, width = embeddings.shape
    vectors = np.ascontiguousarray(embeddings.permute(0, 2, 3, 1).reshape(-1, dims).cpu().numpy())
    _, clusters = index.search(vectors, 1)
    return head.cluster_classes.cpu()[torch.from_numpy(clusters[:, 0])].reshape(batch, height, width)
