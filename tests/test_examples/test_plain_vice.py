"""The method on one screen equals the package, part by part, and runs over a folder of images."""

import functools
import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmvice.datasets.transforms import MutualRegions
from mmvice.models import DenseSwAVHead
from mmvice.ops import sinkhorn_knopp
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py'


@pytest.fixture
def plain():
    """The example, freshly imported: its constants may be changed."""
    spec = importlib.util.spec_from_file_location('plain_vice', ROOT / 'examples/plain_vice.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_images(folder, sizes):
    """Smooth random colours with a few rectangles, which have edges."""
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate(sizes):
        image = cv2.resize(rng.integers(0, 255, (3, 4, 3), np.uint8), (width, height))
        cv2.rectangle(image, (width // 4, height // 4), (width // 2, height // 2), (255, 0, 200), -1)
        assert cv2.imwrite(str(folder / f'{i}.png'), image)


def draw_regions(num_regions, num_views, size):
    """Regions (N, M, h, w) of N images: every id of an image occurs in each of its views, beside -1."""
    regions = torch.stack([torch.randint(-1, count, (num_views, *size)) for count in num_regions])
    for view, count in zip(regions.flatten(0, 1).flatten(1), np.repeat(num_regions, num_views)):
        view[:count] = torch.arange(int(count))
    return regions


@pytest.mark.parametrize('num_queued', [0, 7])
@pytest.mark.parametrize(
    'num_regions, num_views, size',
    [([5, 3], 3, (12, 16)), ([1], 2, (8, 8)), ([2, 9, 4], 4, (11, 7))],
)
def test_loss_and_gradients_are_those_of_the_package(plain, num_regions, num_views, size, num_queued):
    torch.manual_seed(0)
    dims = 6
    head = DenseSwAVHead(dims, num_concepts=5, temperature=plain.tau, epsilon=plain.epsilon, queue_length=7).double()
    past = torch.randn(num_queued, dims, dtype=torch.float64)
    past /= past.norm(dim=1, keepdim=True)
    if num_queued:
        head._remember(past)
    features = torch.randn(len(num_regions) * num_views, dims, 4, 3, dtype=torch.float64, requires_grad=True)
    regions = draw_regions(num_regions, num_views, size)

    expected = head.loss(EmbeddingMap(features, size), regions.flatten(0, 1), num_regions, num_views)['loss']
    expected_grads = torch.autograd.grad(expected, [features, head.concepts])

    C = head.concepts.detach().clone().requires_grad_()
    z, counts = plain.region_embeddings(plain.embedding_map(features, size), regions)
    loss = plain.swapped_prediction(z, counts, C, past)
    assert counts.tolist() == num_regions
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-10)
    for grad, expected_grad in zip(torch.autograd.grad(loss, [features, C]), expected_grads):
        assert expected_grad.abs().max() > 1e-4
        torch.testing.assert_close(grad, expected_grad, rtol=0, atol=1e-10)


def test_assignment_is_that_of_the_package(plain):
    scores = torch.rand(9, 4, dtype=torch.float64) * 2 - 1
    expected = sinkhorn_knopp(scores, plain.epsilon, 3)
    torch.testing.assert_close(plain.optimal_assignment(scores), expected, rtol=0, atol=1e-12)


def test_network_is_that_of_the_config(plain):
    config = Config.fromfile(CONFIG).model
    config.backbone.norm_cfg.type = 'BN'
    package = nn.ModuleDict(dict(backbone=MODELS.build(config.backbone), decoder=MODELS.build(config.decoder)))
    f = plain.Embedder().double().eval()
    renamed = {name.replace('laterals', 'decoder.laterals'): value for name, value in f.state_dict().items()}
    package.load_state_dict(renamed)
    package.double().eval()
    images = torch.randn(2, 3, 64, 48, dtype=torch.float64)
    expected = package.decoder(package.backbone(images))
    torch.testing.assert_close(f(images), expected, rtol=0, atol=1e-10)


def test_constants_are_those_of_the_config(plain):
    config = Config.fromfile(CONFIG)
    loader, head, preprocessor = config.train_dataloader, config.model.head, config.model.data_preprocessor
    steps = {step.type: step for step in loader.dataset.pipeline}
    crop = steps['ContextualViewCrop']
    assert (plain.N, plain.M, plain.D) == (loader.batch_size, crop.num_views, config.model.decoder.embed_dims)
    assert (plain.K, plain.queue_length) == (head.num_concepts, head.queue_length)
    assert (plain.image_size, plain.view_size) == (min(steps['Resize'].scale), crop.view_size)
    assert plain.superpixel_size == steps['SuperpixelSLIC'].region_size
    torch.testing.assert_close(plain.mean.flatten() * 255, torch.tensor(preprocessor.mean))
    torch.testing.assert_close(plain.std.flatten() * 255, torch.tensor(preprocessor.std))
    default = DenseSwAVHead()
    assert (plain.tau, plain.epsilon) == (default.temperature, default.epsilon)


def test_views_have_the_mutual_regions_of_the_package(plain, tmp_path, monkeypatch):
    write_images(tmp_path, [(100, 150)])
    image = plain.read_image(tmp_path / '0.png')
    assert image.shape == (96, 144, 3)
    cut, number_regions = [], plain.number_regions
    monkeypatch.setattr(plain, 'number_regions', lambda a, mutual: cut.append(a.copy()) or number_regions(a, mutual))
    monkeypatch.setattr(plain, 'distort', lambda view: view)
    monkeypatch.setattr(plain, 'mean', 100)  # far from the noise in [-1, 1], which can be told by its values then
    monkeypatch.setattr(np.random, 'rand', lambda n: np.linspace(0, 0.9, n))  # the first two of four views are flipped
    for seed in range(5):
        np.random.seed(seed)
        X, A = plain.generate_views(image)
        assert X.shape == (plain.M, 3, 64, 64) and A.shape == (plain.M, 64, 64)
        masks = (X.abs() <= 1).all(1)
        assert masks.any()
        unflipped = torch.cat([masks[:2].flip(-1), masks[2:]]).numpy()
        package = MutualRegions()(dict(view_superpixels=cut[-1], view_masks=unflipped))
        regions, count = torch.from_numpy(package['regions']), package['num_regions']
        np.testing.assert_array_equal(torch.cat([regions[:2].flip(-1), regions[2:]]), A)
        assert count >= len(functools.reduce(np.intersect1d, cut[-1])) / 4  # the preserved ones
        # the pixels of a region show the same part of the image in all views
        colors = [torch.stack([x[:, a == i].mean(1) for i in range(count)]) for x, a in zip(X * plain.std, A)]
        assert torch.stack(colors).std(0).mean() < 0.03 < torch.stack(colors).std(1).mean()


def test_two_steps_over_a_folder_draw_its_concepts(plain, tmp_path, monkeypatch, capsys):
    (tmp_path / 'sub').mkdir()
    write_images(tmp_path, [(48, 64), (120, 90)])
    write_images(tmp_path / 'sub', [(100, 100)])
    for name, value in dict(N=2, M=2, D=8, K=6).items():
        monkeypatch.setattr(plain, name, value)
    started, train = [], plain.train
    monkeypatch.setattr(plain, 'train', lambda *arguments: started.append(train(*arguments)) or started[-1])
    picture = tmp_path / 'out/picture.png'
    monkeypatch.setattr(sys, 'argv', ['plain_vice.py', str(tmp_path), '--steps', '2', '--out', str(picture)])
    plain.main()

    shown = capsys.readouterr().out
    assert '3 images' in shown and 'step 2/2, loss ' in shown and str(picture) in shown
    [(_, C)] = started
    torch.testing.assert_close(C.norm(dim=1), torch.ones(6))
    assert cv2.imread(str(picture)).shape == (3 * (96 + 128 + 96), 2 * 3 * 128, 3)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['{}/missing'], r'missing is not a folder: give a folder of images'),
        (['{}'], r'contains no \.jpg, \.jpeg or \.png file: give a folder of images'),
        (['{}', '--out', 'picture'], r'--out must end in \.png, got picture'),
        (['{}', '--steps', '0'], r'--steps must be at least 1, got 0'),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(plain, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / 'notes.txt').write_text('no image')
    monkeypatch.setattr(sys, 'argv', ['plain_vice.py', *(argument.format(tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit):
        plain.main()
    assert re.search(message, capsys.readouterr().err)


def test_a_file_that_is_no_image_is_named(plain, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(SystemExit, match=r'cannot read .*broken\.png as an image: repair or remove this file'):
        plain.read_image(tmp_path / 'broken.png')
