"""Principal components and clusters of embedding maps against their literal form on dense embeddings."""

import numpy as np
import pytest
import torch

from mmvice.structures import EmbeddingMap
from mmvice.visualization import EmbeddingClusters, EmbeddingPCA, sample_embeddings


@pytest.fixture
def maps() -> EmbeddingMap:
    features = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    return EmbeddingMap(features + torch.arange(6)[:, None, None] / 4, (18, 23))


def vectors(maps: EmbeddingMap) -> torch.Tensor:
    return maps.dense().permute(0, 2, 3, 1)


def test_colours_are_those_of_a_pca_of_all_embeddings(maps):
    sample = vectors(maps).reshape(-1, 6)
    drawn = EmbeddingPCA.fit(sample, tail=0.02).colors(maps)

    centred = sample.double().numpy() - sample.double().numpy().mean(0)
    _, strengths, rows = np.linalg.svd(centred, full_matrices=False)
    rows = rows[:3] * np.sign([row[np.abs(row).argmax()] for row in rows[:3]])[:, None]
    projected = centred @ rows.T
    low, high = np.quantile(projected, 0.02, axis=0), np.quantile(projected, 0.98, axis=0)
    expected = np.clip((projected - low) / (high - low), 0, 1) * 255
    assert drawn.dtype == np.uint8 and drawn.shape == (2, 18, 23, 3)
    np.testing.assert_allclose(drawn, expected.reshape(drawn.shape), atol=0.51)
    np.testing.assert_allclose(EmbeddingPCA.fit(sample).explained, (strengths**2 / (strengths**2).sum())[:3], rtol=1e-4)


def test_pca_never_asks_for_the_dense_map(maps, monkeypatch):
    pca = EmbeddingPCA.fit(sample_embeddings([maps], 100))
    monkeypatch.setattr(EmbeddingMap, 'dense', None)
    pca.colors(maps)
    EmbeddingClusters(torch.randn(3, 6)).assign(maps)


def test_components_without_variance_are_grey():
    two_dims = EmbeddingMap(torch.randn(1, 2, 4, 4), (8, 8))
    sample = sample_embeddings([two_dims], 500)
    assert (EmbeddingPCA.fit(sample).colors(two_dims)[..., 2] == 128).all()
    constant = EmbeddingMap(torch.ones(1, 4, 2, 2), (8, 8))
    assert (EmbeddingPCA.fit(sample_embeddings([constant], 50)).colors(constant) == 128).all()


def test_clusters_are_the_nearest_centroids(maps):
    centroids = torch.randn(10, 6, generator=torch.Generator().manual_seed(1))
    centroids[3] *= 0.1
    clusters = EmbeddingClusters(centroids)
    distances = torch.cdist(vectors(maps).reshape(-1, 6), centroids)
    np.testing.assert_array_equal(clusters.assign(maps), distances.argmin(1).reshape(2, 18, 23))
    expected = np.bincount(distances.argmin(1), minlength=10) / len(distances)
    np.testing.assert_allclose(clusters.shares(vectors(maps).reshape(-1, 6)), expected)


def test_planted_clusters_are_found_and_numbered_by_size():
    generator = torch.Generator().manual_seed(0)
    axes = torch.eye(4)[:3]
    members = torch.tensor([1] * 600 + [0] * 300 + [2] * 100)
    noisy = torch.nn.functional.normalize(axes[members] + 0.05 * torch.randn(1000, 4, generator=generator), dim=1)
    clusters = EmbeddingClusters.fit(noisy[torch.randperm(1000, generator=generator)], 3)
    np.testing.assert_array_equal(clusters.centroids.argmax(1), [1, 0, 2])
    np.testing.assert_allclose(clusters.shares(noisy), [0.6, 0.3, 0.1])


def test_samples_are_embeddings_of_the_map_and_repeat(maps):
    sample = sample_embeddings([maps], 50, seed=3)
    assert sample.shape == (100, 6)
    assert torch.cdist(sample[:50], vectors(maps)[0].reshape(-1, 6)).min(1).values.max() < 1e-3
    torch.testing.assert_close(sample_embeddings(iter([maps]), 50, seed=3), sample, rtol=0, atol=0)
    assert not torch.equal(sample_embeddings([maps], 50, seed=4), sample)


def test_unusable_samples_are_errors():
    with pytest.raises(ValueError, match='n >= 1'):
        EmbeddingPCA.fit(sample_embeddings([], 5))
    with pytest.raises(ValueError, match='not finite'):
        EmbeddingPCA.fit(torch.full((4, 3), torch.nan))
    with pytest.raises(ValueError, match='5 clusters cannot be found in 4'):
        EmbeddingClusters.fit(torch.ones(4, 3), 5)
