"""Loading a model and embedding single images."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from mmvice.apis import embed_image, init_model
from mmvice.cli.labelling import concepts_of
from mmvice.visualization import EmbeddingClusters

BACKBONE = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'), norm_eval=False)
EMBEDDER = dict(backbone=BACKBONE, decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8))
NORMALISE = dict(mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0], bgr_to_rgb=True)
VICE = dict(
    type='ViCE',
    **EMBEDDER,
    head=dict(type='DenseSwAVHead', num_concepts=6, queue_length=4),
    data_preprocessor=dict(type='ViCEDataPreprocessor', **NORMALISE),
)
PROBE = dict(
    type='ProbeSegmentor',
    **EMBEDDER,
    decode_head=dict(type='LinearProbeHead', num_classes=3),
    data_preprocessor=dict(type='SegDataPreProcessor', **NORMALISE),
)


def config(model: dict) -> Config:
    return Config(dict(default_scope='mmvice', model=model))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (33, 47, 3), dtype=np.uint8)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = init_model(config(VICE))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.2, 0.2)
    model.head.after_step()
    file = tmp_path / 'vice.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=('a', 'b')))), file)
    return file


@pytest.mark.parametrize('model', [VICE, PROBE])
def test_embedding_is_that_of_the_normalised_image(model, image, tmp_path):
    model = init_model(config(model))
    assert not model.training
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float()
    normalised = (rgb - torch.tensor([10.0, 20.0, 30.0])[:, None, None]) / torch.tensor([1.0, 2.0, 4.0])[:, None, None]
    with torch.no_grad():
        cells = F.interpolate(normalised[None], (32, 32), mode='bilinear')  # one, of the coarsest map
        expected = model.decoder(model.backbone(cells))
    embeddings = embed_image(model, image)
    assert embeddings.size == (33, 47) and not embeddings.features.requires_grad
    torch.testing.assert_close(embeddings.features, expected)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    torch.testing.assert_close(embed_image(model, tmp_path / 'image.png').features, expected)


def test_config_files_and_options_are_taken(tmp_path, checkpoint):
    file = tmp_path / 'config.py'
    config(VICE).dump(file)
    model = init_model(file, checkpoint, cfg_options={'model.head.temperature': 0.5})
    assert model.head.temperature == 0.5 and model.dataset_meta == dict(classes=('a', 'b'))
    saved = torch.load(checkpoint)['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())


def test_weights_that_do_not_fit_are_listed(checkpoint):
    with pytest.raises(ValueError, match=r'(?s)missing: decode_head.*unexpected: head.concepts') as error:
        init_model(config(PROBE), checkpoint)
    assert 'config it was trained with' in str(error.value)
    wider = Config(config(VICE).to_dict())
    wider.model.head.num_concepts = 7
    with pytest.raises(ValueError, match=r'head.concepts: \(6, 8\) in the checkpoint, \(7, 8\) in the model'):
        init_model(wider, checkpoint)


def test_missing_files_and_devices_are_named(tmp_path, checkpoint):
    with pytest.raises(FileNotFoundError, match=r'no_config\.py'):
        init_model(tmp_path / 'no_config.py')
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        init_model(config(VICE), tmp_path / 'none.pth')
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='no CUDA device'):
            init_model(config(VICE), checkpoint, device='cuda')


def test_checkpoints_with_code_are_refused(tmp_path):
    file = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, meta=dict(run=print)), file)
    with pytest.raises(pickle.UnpicklingError, match='print'):
        init_model(config(VICE), file)


def test_images_that_are_none_are_refused(tmp_path, image):
    model = init_model(config(VICE))
    with pytest.raises(FileNotFoundError, match=r'gone\.png'):
        embed_image(model, tmp_path / 'gone.png')
    for content, message in ((b'', 'is empty'), (b'no image', 'is not an image of a known format')):
        (tmp_path / 'broken.png').write_bytes(content)
        with pytest.raises(ValueError, match=rf"broken\.png' {message}"):
            embed_image(model, tmp_path / 'broken.png')
    with pytest.raises(ValueError, match='uint8'):
        embed_image(model, image / 255)


def test_padding_preprocessors_are_refused(image):
    padding = Config(config(PROBE).to_dict())
    padding.model.data_preprocessor.test_cfg = dict(size_divisor=32)
    with pytest.raises(ValueError, match=r'pads an image of \(33, 47\) to \(64, 64\)'):
        embed_image(init_model(padding), image)


def test_a_queue_of_another_length_does_not_matter(tmp_path):
    """Runs on fewer GPUs have longer queues; what a model makes of an image has nothing to do with them."""
    model = init_model(config(VICE))
    state = model.state_dict()
    state['head.queue'] = torch.zeros(7, model.embed_dims)
    torch.save(dict(state_dict=state), tmp_path / 'vice.pth')
    loaded = init_model(config(VICE), tmp_path / 'vice.pth')
    assert torch.equal(loaded.head.concepts, model.head.concepts)
    del state['head.concepts']
    torch.save(dict(state_dict=state), tmp_path / 'less.pth')
    with pytest.raises(ValueError, match='missing: head.concepts'):
        init_model(config(VICE), tmp_path / 'less.pth')


@pytest.mark.parametrize('shrink', [[0.9, 0.99, 0.5, 0.7, 0.999, 0.2], [1.0, 30.0, 1.0, 1e-4, 1.0, 1.0]])
def test_averaged_concepts_mean_the_same_to_a_model_and_to_pictures(checkpoint, tmp_path, image, shrink):
    """Weights averaged over steps, as EMAHook saves them, have concepts shorter than 1."""
    saved = torch.load(checkpoint)
    saved['state_dict']['head.concepts'] *= torch.tensor(shrink)[:, None]
    torch.save(saved, tmp_path / 'ema.pth')
    cuts = []
    for file in (checkpoint, tmp_path / 'ema.pth'):
        model = init_model(config(VICE), file)
        embeddings = embed_image(model, image)
        cuts.append(EmbeddingClusters(concepts_of(model)).assign(embeddings))
        cuts.append(embeddings.argmax(model.head.concepts).numpy())
    assert len(np.unique(cuts[0])) > 1
    assert all(np.mean(cut == cuts[0]) > 0.999 for cut in cuts[1:])


def resizing(step: dict) -> Config:
    """The config of a pretraining with one step that resizes."""
    pipeline = [dict(type='LoadImageFromFile'), step, dict(type='PackViCEInputs')]
    return Config(dict(default_scope='mmvice', model=VICE, train_dataloader=dict(dataset=dict(pipeline=pipeline))))


@pytest.mark.parametrize(
    'step, seen',
    [
        (dict(type='Resize', scale=(48, 64), keep_ratio=True), (48, 64)),
        (dict(type='mmseg.ResizeShortestEdge', scale=60, max_size=1000), (60, 80)),
        (dict(type='RandomFlip', prob=0.5), (150, 200)),
    ],
)
def test_an_image_is_embedded_at_the_scale_of_training(step, seen):
    model = init_model(resizing(step))
    image = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    embeddings = embed_image(model, image)
    assert embeddings.size == (150, 200)  # of the image, whatever the network sees
    smaller = cv2.resize(image, seen[::-1]) if seen != image.shape[:2] else image  # bilinear, as these steps have it
    torch.testing.assert_close(embeddings.features, embed_image(model, smaller).features)
    full = embed_image(model, image, size=200)
    assert full.features.shape[-2:] == (40, 48) and full.size == (150, 200)
