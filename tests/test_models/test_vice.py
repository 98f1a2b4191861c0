"""The model in its three modes, and its preprocessor."""

from types import SimpleNamespace

import pytest
import torch
import torchvision
from mmengine.optim import OptimWrapper
from mmseg.structures import SegDataSample

from mmvice.engine import MethodStateHook
from mmvice.engine.hooks import method_state_hook
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap, ViewsDataSample

BACKBONE = dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN'))
DECODER = dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6)
COMPILE = dict(backend='aot_eager')  # all of the compiler but its last stage, which takes minutes
PREPROCESSOR = dict(type='mmvice.ViCEDataPreprocessor', mean=[10, 20, 30], std=[1, 2, 3], bgr_to_rgb=True)


def build(model=None, **head):
    return MODELS.build(
        dict(
            type='mmvice.ViCE',
            backbone=BACKBONE,
            decoder=DECODER,
            head=dict(type='mmvice.DenseSwAVHead', num_concepts=4, **head),
            data_preprocessor=PREPROCESSOR,
            **(model or {}),
        )
    )


def packed(noise_seed=0, masked=True):
    views = torch.randint(256, (2, 3, 32, 40), dtype=torch.uint8)
    sample = ViewsDataSample(metainfo=dict(num_regions=2, noise_seed=noise_seed))
    sample.regions = torch.randint(-1, 2, (2, 32, 40), dtype=torch.int32)
    sample.view_masks = torch.rand(2, 32, 40) < (0.3 if masked else 0)
    return views, sample


def batch(count=3, **kwargs):
    views, samples = zip(*(packed(n, **kwargs) for n in range(count)))
    return dict(inputs=list(views), data_samples=list(samples))


def test_views_are_flattened_image_major_and_normalised():
    data = batch(masked=False)
    out = MODELS.build(PREPROCESSOR)(data, training=True)['inputs']
    assert out.shape == (6, 3, 32, 40)
    bgr = data['inputs'][1][1].float()
    expected = (bgr.flip(0) - torch.tensor([10, 20, 30])[:, None, None]) / torch.tensor([1, 2, 3])[:, None, None]
    torch.testing.assert_close(out[1 * 2 + 1], expected)


def test_masked_pixels_become_noise_that_the_seed_repeats():
    data = batch()
    preprocessor = MODELS.build(PREPROCESSOR)
    out = preprocessor(data, training=True)['inputs']
    masks = torch.stack([s.view_masks for s in data['data_samples']]).flatten(0, 1).unsqueeze(1).expand_as(out)
    clean = batch_without_masks(data, preprocessor)
    assert torch.equal(out[~masks], clean[~masks])
    noise = out[masks]
    assert noise.min() >= -1 and noise.max() <= 1 and noise.std() == pytest.approx(3**-0.5, rel=0.05)
    torch.rand(1)  # the global generator plays no part
    assert torch.equal(preprocessor(data, training=True)['inputs'], out)


def test_the_noise_of_a_sample_is_the_same_in_any_batch():
    data, preprocessor = batch(), MODELS.build(PREPROCESSOR)
    together = preprocessor(data, training=True)['inputs'].unflatten(0, (3, 2))
    for n in (2, 0):
        alone = dict(inputs=data['inputs'][n : n + 1], data_samples=data['data_samples'][n : n + 1])
        assert torch.equal(preprocessor(alone, training=True)['inputs'], together[n])


def batch_without_masks(data, preprocessor):
    samples = []
    for sample in data['data_samples']:
        bare = ViewsDataSample(metainfo=dict(num_regions=2, noise_seed=0))
        bare.regions = sample.regions
        samples.append(bare)
    return preprocessor(dict(inputs=data['inputs'], data_samples=samples), training=True)['inputs']


def test_loss_trains_every_part():
    model = build()
    data = model.data_preprocessor(batch(), training=True)
    losses = model(**data, mode='loss')
    losses['loss'].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert model.head.concepts.grad.abs().sum() > 0 and model.backbone.conv1.weight.grad.abs().sum() > 0


def test_tensor_gives_the_map_and_predict_the_nearest_concept():
    model = build().eval()
    images = torch.randn(2, 3, 33, 47)
    e = model(images, mode='tensor')
    assert isinstance(e, EmbeddingMap) and e.size == (33, 47) and e.embed_dims == 6
    result = model(images, mode='predict')
    literal = torch.einsum('kd,bdhw->bkhw', model.head.concepts, e.dense()).argmax(1)
    agreement = torch.stack([s.pred_sem_seg.data[0] for s in result]) == literal
    assert agreement.float().mean() > 0.999


def test_a_pixel_belongs_to_the_concept_of_the_nearest_direction():
    """While EMAHook has its averages in the model, say; rows of other lengths than 1 win no more for being longer."""
    model = build().eval()
    images = torch.randn(2, 3, 33, 47)
    expected = [sample.pred_sem_seg.data for sample in model(images, mode='predict')]
    lengths = torch.tensor([0.2, 3, 1, 0.5])
    with torch.no_grad():
        model.head.concepts.mul_(lengths[:, None])
    longer = model.head.concepts.clone()
    assert torch.equal(torch.stack(expected), torch.stack([s.pred_sem_seg.data for s in model.predict(images)]))
    assert torch.equal(model.head.concepts, longer)


def test_predictions_have_the_original_size():
    model = build().eval()
    sample = SegDataSample(metainfo=dict(ori_shape=(66, 94)))
    assert model(torch.randn(1, 3, 33, 47), [sample], mode='predict')[0].pred_sem_seg.data.shape == (1, 66, 94)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_gives_finite_losses_and_gradients(dtype):
    model = build()
    data = model.data_preprocessor(batch(), training=True)
    with torch.autocast('cpu', dtype=dtype):
        loss = model(**data, mode='loss')['loss']
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    'switches',
    [
        pytest.param(dict(channels_last=True), id='channels_last'),
        pytest.param(dict(compile=COMPILE), id='compile', marks=pytest.mark.slow),
        pytest.param(dict(channels_last=True, compile=COMPILE), id='both', marks=pytest.mark.slow),
    ],
)
def test_layout_and_compiler_change_nothing_but_the_time(switches):
    """Neither loss, nor gradients, nor names of weights."""
    torch.manual_seed(0)
    plain, fast = build().double(), build(switches).double()
    fast.load_state_dict(plain.state_dict())
    assert list(fast.state_dict()) == list(plain.state_dict())
    inputs, (_, samples) = torch.randn(4, 3, 32, 40).double(), zip(packed(), packed())
    losses = [model(inputs, list(samples), mode='loss')['loss'] for model in (plain, fast)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*([p.grad for p in model.parameters()] for model in (plain, fast)), check_stride=False)
    if switches.get('channels_last'):
        features = fast(inputs).features
        assert features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()


def test_bad_use_is_named():
    with pytest.raises(ValueError, match='decoder.embed_dims=6, but head.embed_dims=7'):
        build(embed_dims=7)
    with pytest.raises(ValueError, match="got 'train'"):
        build()(torch.zeros(1, 3, 32, 32), mode='train')
    views, sample = packed()
    with pytest.raises(ValueError, match='same number and size of views'):
        MODELS.build(PREPROCESSOR)(dict(inputs=[views, views[:1]], data_samples=[sample, sample]))
    with pytest.raises(ValueError, match='built for 4'):
        MODELS.build(DECODER)([torch.zeros(1, 8, 4, 4)])


def test_concepts_are_on_the_sphere_after_every_step():
    model = build()
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=5.0))
    before = model.head.concepts.detach().clone()
    model.train_step(batch(), optim_wrapper)
    assert (model.head.concepts - before).abs().max() > 1e-3
    torch.testing.assert_close(model.head.concepts.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize('wrapped', [False, True], ids=['alone', 'wrapped'])
def test_a_head_is_told_of_the_steps_of_the_optimizer_alone(wrapped, monkeypatch):
    """Of three batches, of whose gradients the optimizer takes two together."""
    model = build()
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
    told = []
    monkeypatch.setattr(model.head, 'after_step', lambda: told.append(True))
    optim_wrapper.initialize_count_status(model, 0, 3)
    runner = SimpleNamespace(model=SimpleNamespace(module=model), optim_wrapper=optim_wrapper)
    monkeypatch.setattr(method_state_hook, 'is_model_wrapper', lambda model: True)
    counts = []
    for _ in range(3):
        if wrapped:  # as MMEngine's wrapper for several processes takes a step
            data = model.data_preprocessor(batch(), True)
            optim_wrapper.update_params(model.parse_losses(model(**data, mode='loss'))[0])
            MethodStateHook().after_train_iter(runner)
        else:
            model.train_step(batch(), optim_wrapper)
        counts.append(len(told))
    assert counts == [0, 1, 2]


def test_imagenet_weights_in_torchvisions_format_reach_the_backbone(tmp_path):
    weights = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(weights, tmp_path / 'resnet18.pth')
    config = dict(
        type='mmvice.ViCE',
        backbone=dict(
            type='mmseg.ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth'))
        ),
        decoder=dict(type='mmvice.LightFPN', in_channels=[64, 128, 256, 512], embed_dims=6),
        head=dict(type='mmvice.DenseSwAVHead', num_concepts=4),
    )
    model = MODELS.build(config)
    model.init_weights()
    own = model.backbone.state_dict()
    assert set(own) == {key for key in weights if not key.startswith('fc.')}
    assert all(torch.equal(own[key], weights[key]) for key in own)


@pytest.mark.parametrize('sizes', [[(33, 47), (64, 32)], [(32, 32), (40, 24), (32, 32)], [(1, 90), (90, 1), (17, 17)]])
def test_predictions_of_images_of_several_sizes_are_those_of_the_images_alone(sizes):
    model = build().eval()
    images = [torch.randint(256, (3, *size), dtype=torch.uint8) for size in sizes]

    def predicted(chosen):
        samples = [SegDataSample(metainfo=dict(ori_shape=(image.shape[1] * 2, image.shape[2]))) for image in chosen]
        data = model.data_preprocessor(dict(inputs=chosen, data_samples=samples), False)
        return [sample.pred_sem_seg.data for sample in model(**data, mode='predict')]

    for image, together in zip(images, predicted(images)):
        assert together.shape == (1, 2 * image.shape[1], image.shape[2])
        assert (predicted([image])[0] == together).float().mean() > 0.999  # rounding may decide ties
    unnamed = model.predict([image.float() for image in images])
    assert [tuple(sample.pred_sem_seg.data.shape[1:]) for sample in unnamed] == sizes
