"""Every slow side of a benchmark gives what mmvice gives."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks import data
from benchmarks.lines import dataset_start, probes, region_means, scaling, training_step, view_generation
from benchmarks.plain import superpixels as plain_superpixels
from benchmarks.plain import views
from benchmarks.plain.dataset import DictListDataset
from benchmarks.plain.region_means import dense_embeddings, indexed_region_means, masked_region_means, region_matrix
from mmvice.datasets import UnlabeledImageDataset
from mmvice.datasets.street_scenes import render_street_scene
from mmvice.ops import slic


@pytest.fixture(autouse=True)
def built_in_scenes(monkeypatch, tmp_path):
    """The same images on every machine."""
    monkeypatch.setattr(data, 'CAMVID', tmp_path / 'absent')
    data.labeled_images.cache_clear()
    yield
    data.labeled_images.cache_clear()


@pytest.mark.parametrize('plain', [indexed_region_means, masked_region_means])
def test_region_means_and_their_gradients_are_ours(plain):
    case = region_means.Case(views=2, side=64, dims=6)
    case.check(plain)
    few = case.first(1)
    few.check(plain)
    assert len(few.step(plain)[0]) == case.num_regions[0]


def test_a_wrong_side_is_found_out():
    case = region_means.Case(views=1, side=64, dims=6)
    with pytest.raises(AssertionError, match='gradients of the features'):
        case.check(lambda f, *of: indexed_region_means(f.detach(), *of) + 0 * f.sum())
    with pytest.raises(AssertionError, match='region means'):
        case.check(lambda *of: 1.001 * indexed_region_means(*of))


def test_the_region_matrix_averages_upsampled_features():
    case = region_means.Case(views=2, side=64, dims=6)
    columns, weights, offsets = region_matrix(case.regions, case.num_regions, case.features.shape[2:])
    rows = case.features.detach().permute(0, 2, 3, 1).reshape(-1, 6)
    means = torch.nn.functional.embedding_bag(columns, rows, offsets, mode='sum', per_sample_weights=weights)
    lengths = torch.nn.functional.interpolate(case.features.detach(), (64, 64), mode='bilinear').norm(dim=1)
    dense = dense_embeddings(case.features.detach(), (64, 64)) * lengths[:, None]
    first = torch.stack([dense[0][:, case.regions[0] == i].mean(1) for i in range(case.num_regions[0])])
    torch.testing.assert_close(means[: case.num_regions[0]], first)
    assert case.low_resolution_products()().shape == case.features.shape


def test_region_means_of_grids_are_ours():
    features = torch.randn(2, 4, 8, 8)
    scaling.check_means(features, torch.arange(32 * 32).reshape(1, 32, 32).expand(2, -1, -1), 32 * 32)
    assert scaling.fitted_slope([10, 100, 1000], [2.0, 20.0, 200.0]) == pytest.approx(1)


def test_a_view_of_the_authors_is_ours(tmp_path):
    init_default_scope('mmvice')
    [file] = data.image_files(1, tmp_path)
    view_generation.check_parts(file)


def test_the_authors_sample_is_learnable(tmp_path):
    [file] = data.image_files(1, tmp_path)
    sample = views.make_sample(file, plain_superpixels.numpy_slic)
    regions = sample['regions']
    assert sample['inputs'].shape == (5, 3, 256, 256) and sample['inputs'].dtype == torch.uint8
    for view, mask in zip(regions, sample['view_masks']):
        assert set(view.unique().tolist()) - {-1} == set(range(sample['num_regions']))
        assert (view[mask] == -1).all()


def test_numpy_superpixels_are_as_good_as_ours():
    image, labels = render_street_scene(0, 3, (120, 160))
    ours, plain = slic(image, 20), plain_superpixels.numpy_slic(image, 20)
    assert abs(len(np.unique(ours)) - len(np.unique(plain))) <= 1
    for measure in (plain_superpixels.segmentation_accuracy, plain_superpixels.boundary_recall):
        assert measure(ours, labels) == pytest.approx(measure(plain, labels), abs=0.03)


def test_quality_of_known_superpixels():
    labels = np.zeros((8, 12), np.uint8)
    labels[:, 6:] = 1
    labels[:, :2] = 255
    halves = (np.arange(12) >= 6).astype(int) * np.ones((8, 1), int)
    assert plain_superpixels.segmentation_accuracy(halves, labels) == 1
    assert plain_superpixels.boundary_recall(halves, labels) == 1
    assert plain_superpixels.segmentation_accuracy(np.zeros((8, 12), int), labels) == pytest.approx(6 / 10)
    assert plain_superpixels.boundary_recall(np.zeros((8, 12), int), labels) == 0
    shifted = (np.arange(12) >= 9).astype(int) * np.ones((8, 1), int)
    assert plain_superpixels.boundary_recall(shifted, labels, tolerance=2) == 0
    assert plain_superpixels.boundary_recall(shifted, labels, tolerance=3) == 1


def test_libraries_are_found_or_said_to_be_absent(monkeypatch):
    monkeypatch.delattr(cv2, 'ximgproc', raising=False)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert plain_superpixels.installed() == {}
    monkeypatch.setattr('importlib.util.find_spec', lambda name: name)
    assert list(plain_superpixels.installed()) == ['skimage']


def test_probes_on_dense_embeddings_are_ours():
    model, cluster = probes.build_probes(quick=True, device='cpu')
    with torch.no_grad():
        embeddings = model.embed(torch.randn(1, 3, 48, 64))
    probes.check_heads(model.decode_head, cluster, embeddings, fitted=False)
    cluster.centroids.copy_(cluster.centroids.roll(1, 0))
    index = probes.faiss_index(cluster)
    cluster.centroids.copy_(cluster.centroids.roll(-1, 0))
    wrong = probes.faiss_classes(index, cluster, embeddings.dense())
    assert (wrong == cluster(embeddings).argmax(1)).double().mean() < 0.9


def test_the_trivial_step_trains_the_same_network():
    cfg = training_step.small_config(Config.fromfile(training_step.CONFIG))
    init_default_scope('mmvice')
    batch = training_step.make_batch(cfg, 1)
    model, plain = training_step.build_pair(cfg, 'cpu')
    training_step.check_networks(model, plain, batch)
    inputs = plain.data_preprocessor(batch, True)['inputs']
    expected = plain.embed(inputs).features.mean()
    torch.testing.assert_close(plain.loss(inputs, batch['data_samples'])['loss'], expected)
    assert model.head.queue_count == 64


def test_datasets_hold_the_same_paths(tmp_path):
    list_file = dataset_start.write_list(tmp_path / 'images.txt', 1200)
    folder = dataset_start.make_files(tmp_path / 'images', 1200)
    for arguments in (
        dict(ann_file=str(list_file), data_prefix=dict(img_path='images')),
        dict(data_prefix=dict(img_path=str(folder))),
    ):
        sides = [side(**arguments) for side in (UnlabeledImageDataset, DictListDataset)]
        dataset_start.check_equal(*sides, 1200)
    with pytest.raises(AssertionError, match='paths of 3'):
        dataset_start.check_equal(*sides, 3)
