"""Planted clusters are found, scored and matched with classes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmvice.models import ClusterProbeHead
from mmvice.structures import EmbeddingMap


def planted(num_clusters=4, dims=8, n=2000, seed=0):
    """Unit vectors around orthogonal centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    which = rng.integers(num_clusters, size=n)
    vectors = np.eye(dims)[which] + rng.normal(0, 0.05, (n, dims))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), which


def fitted_head(**kwargs):
    head = ClusterProbeHead(8, num_classes=kwargs.pop('num_classes', 3), num_clusters=4, **kwargs)
    vectors, which = planted()
    head.fit_centroids(vectors, seed=1)
    return head, vectors, which


def test_planted_clusters_are_recovered():
    head, vectors, which = fitted_head(kmeans_redo=5)
    nearest = torch.cdist(torch.from_numpy(vectors), head.centroids).argmin(1).numpy()
    names = {c: np.bincount(which[nearest == c]).argmax() for c in range(4)}
    assert len(set(names.values())) == 4
    assert np.mean([names[c] == w for c, w in zip(nearest, which)]) == 1


@pytest.mark.parametrize('redo, iters', [(1, 1), (1, 30), (8, 2), (8, 30)])
def test_the_error_is_that_of_the_centroids(redo, iters):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    head = ClusterProbeHead(8, num_classes=3, num_clusters=12, kmeans_redo=redo, kmeans_iters=iters)
    error = head.fit_centroids(vectors, seed=3)
    literal = torch.cdist(torch.from_numpy(vectors), head.centroids).min(1).values.square().mean()
    assert error == pytest.approx(float(literal), rel=1e-5)


def test_as_many_embeddings_as_clusters_leave_no_error():
    head = ClusterProbeHead(8, num_classes=3, num_clusters=4)
    assert head.fit_centroids(planted(n=4)[0]) == pytest.approx(0, abs=1e-6)


def test_assign_is_the_nearest_centroid_in_l2():
    head, _, _ = fitted_head()
    head.centroids *= torch.tensor([0.3, 0.9, 0.6, 1.0])[:, None]  # lengths that matter
    e = EmbeddingMap(torch.randn(2, 8, 5, 6), (20, 25))
    literal = torch.cdist(e.dense().permute(0, 2, 3, 1).reshape(-1, 8), head.centroids).argmin(1)
    assert (head.assign(e).flatten() == literal).float().mean() > 0.999


def test_majority_classes_and_a_cluster_nobody_is_in():
    head, _, _ = fitted_head()
    head.match_classes(torch.tensor([[5, 1, 0], [0, 2, 9], [0, 0, 0], [3, 4, 0]]))
    assert head.cluster_classes.tolist() == [0, 2, 2, 1]  # class 2 is the most frequent of all


def test_hungarian_is_one_to_one():
    head, _, _ = fitted_head(num_classes=4, matching='hungarian')
    head.match_classes(torch.tensor([[9, 8, 0, 0], [9, 1, 0, 0], [0, 0, 5, 4], [0, 0, 5, 1]]))
    assert head.cluster_classes.tolist() == [1, 0, 3, 2]


def test_counts_leave_ignored_pixels_out():
    head, _, _ = fitted_head()
    clusters = torch.tensor([[[0, 0, 1], [3, 3, 3]]])
    labels = torch.tensor([[[2, 255, 0], [1, 1, 7]]])
    expected = torch.zeros(4, 3, dtype=torch.int64)
    expected[0, 2], expected[1, 0], expected[3, 1] = 1, 1, 2
    assert torch.equal(head.count(clusters, labels), expected)


@pytest.mark.parametrize('num_clusters', [4, 130])
def test_class_of_the_best_score_is_the_class_of_the_nearest_cluster(num_clusters):
    torch.manual_seed(0)
    head = ClusterProbeHead(8, num_classes=5, num_clusters=num_clusters)
    head.centroids.copy_(F.normalize(torch.randn(num_clusters, 8), dim=1) * torch.rand(num_clusters, 1))
    head.cluster_classes.copy_(torch.randint(4, (num_clusters,)))  # class 4 has no cluster
    e = EmbeddingMap(torch.randn(2, 8, 5, 6), (20, 25))
    scores = head(e)
    assert scores.shape == (2, 5, 20, 25) and scores.isfinite().all()
    assert (scores.argmax(1) == head.classify(e)).float().mean() > 0.999


def test_bad_use_is_named():
    with pytest.raises(ValueError, match='num_clusters=4 must equal num_classes=3'):
        ClusterProbeHead(8, 3, 4, matching='hungarian')
    head = ClusterProbeHead(8, 3, 4)
    with pytest.raises(RuntimeError, match='has not been fitted'):
        head(EmbeddingMap(torch.randn(1, 8, 2, 2), (4, 4)))
    with pytest.raises(RuntimeError, match='has not been fitted'):
        head.classify(EmbeddingMap(torch.randn(1, 8, 2, 2), (4, 4)))
    with pytest.raises(RuntimeError, match='ClusterFitLoop'):
        head.loss(None, None, None)
    with pytest.raises(ValueError, match='4 clusters cannot be found in 3 embeddings'):
        head.fit_centroids(planted(n=3)[0])
    with pytest.raises(ValueError, match='not finite'):
        head.fit_centroids(np.full((10, 8), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match='no pixel of the training set has a class'):
        head.match_classes(torch.zeros(4, 3, dtype=torch.int64))
