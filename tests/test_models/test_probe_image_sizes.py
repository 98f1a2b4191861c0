"""Images of several sizes in one batch: each counts as if it were alone, and no padding counts."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.engine.loops import ClusterFitLoop
from mmvice.models import LinearProbeHead
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

SIZES = ((32, 40), (64, 24), (32, 40), (23, 57))
BACKBONE = dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN'))
DECODER = dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6)
LINEAR = dict(type='mmvice.LinearProbeHead', num_classes=3, num_filters=5)
CLUSTERS = dict(type='mmvice.ClusterProbeHead', num_classes=3, num_clusters=4)


def build(head=LINEAR, preprocessor=None, **kwargs):
    torch.manual_seed(0)
    preprocessor = dict(type='mmvice.ViCEDataPreprocessor', mean=[9.0] * 3, std=[50.0] * 3) | (preprocessor or {})
    preprocessor.setdefault('size_divisor', 1)
    config = dict(type='mmvice.ProbeSegmentor', backbone=BACKBONE, decoder=DECODER, decode_head=head)
    return MODELS.build(dict(**config, data_preprocessor=preprocessor, **kwargs)).double()


def items(sizes=SIZES) -> list[dict]:
    """What a data set gives for random images of these sizes, with labels of three classes and of none."""
    rng, result = np.random.default_rng(0), []
    for height, width in sizes:
        image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
        labels = torch.from_numpy(rng.choice([0, 1, 2, 255], (1, height, width)))
        sample = SegDataSample(
            gt_sem_seg=PixelData(data=labels), metainfo=dict(img_shape=(height, width), ori_shape=(height + 3, width))
        )
        result.append(dict(inputs=image, data_samples=sample))
    return result


def batch(model, chosen, training: bool) -> dict:
    data = {key: [item[key] for item in chosen] for key in ('inputs', 'data_samples')}
    data = model.data_preprocessor(data, training)
    inputs = data['inputs']
    doubled = inputs.double() if isinstance(inputs, torch.Tensor) else [image.double() for image in inputs]
    return dict(inputs=doubled, data_samples=data['data_samples'])


def alone(model, item) -> EmbeddingMap:
    """The embeddings of an image by itself."""
    image = (item['inputs'].double() - 9) / 50
    return model.extract_feat(image[None])


@pytest.mark.parametrize('logits', [False, True])
@pytest.mark.parametrize('head', [LINEAR, CLUSTERS])
def test_predictions_do_not_depend_on_what_an_image_is_batched_with(head, logits):
    model = build(dict(head, norm_momentum=1.0) if head is LINEAR else head, test_cfg=dict(seg_logits=logits))
    if head is LINEAR:
        model.train().loss(**batch(model, items(), True))  # statistics, so that the classes differ
    else:
        pixels = alone(model.eval(), items()[1]).dense()[0].flatten(1).T
        model.decode_head.centroids.copy_(pixels[[0, 500, 900, 1500]])
        model.decode_head.cluster_classes.copy_(torch.tensor([0, 1, 2, 1]))
    model.eval()
    together = model.predict(**batch(model, items(), False))
    for item, sample in zip(items(), together):
        [single] = model.predict(**batch(model, [item], False))
        assert sample.pred_sem_seg.data.shape[1:] == item['data_samples'].ori_shape
        assert (single.pred_sem_seg.data == sample.pred_sem_seg.data).float().mean() > 0.999  # ties aside
        assert len(sample.pred_sem_seg.data.unique()) > 1


@pytest.mark.parametrize('sizes', [SIZES, SIZES[:2], [(20, 30), (30, 20), (31, 9)]])
@pytest.mark.parametrize('whiten', [False, True])
def test_a_step_of_the_linear_probe_is_one_over_the_pixels_of_the_images_alone(sizes, whiten):
    model = build(dict(LINEAR, whiten=whiten)).train()
    twin = build(dict(LINEAR, whiten=whiten)).train()
    data = items(sizes)
    losses = model.loss(**batch(model, data, True))
    dense = torch.cat([alone(twin, item).dense()[0].flatten(1) for item in data], dim=1)
    labels = torch.cat([item['data_samples'].gt_sem_seg.data.flatten() for item in data])
    row = SegDataSample(gt_sem_seg=PixelData(data=labels[None, None]))
    expected = twin.decode_head.loss(EmbeddingMap(dense[None, :, None], (1, len(labels))), [row], None)
    torch.testing.assert_close(losses['decode.loss_ce'], expected['loss_ce'], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(losses['decode.acc_seg'], expected['acc_seg'], rtol=1e-5, atol=1e-3)
    for name, buffer in model.decode_head.named_buffers():
        torch.testing.assert_close(buffer, twin.decode_head.get_buffer(name), rtol=1e-5, atol=1e-6, msg=name)
    losses['decode.loss_ce'].backward(), expected['loss_ce'].backward()
    for name, parameter in model.decode_head.named_parameters():
        torch.testing.assert_close(parameter.grad, twin.decode_head.get_parameter(name).grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize('padding', [(0, 9, 0, 4), (2, 0, 3, 0), (0, 0, 0, 11)])
def test_padding_does_not_count_in_statistics_loss_and_accuracy(padding):
    """Where a config asks for padding, or an embedder that learns needs one batch."""
    left, right, top, bottom = padding
    torch.manual_seed(0)
    e = EmbeddingMap(torch.randn(2, 6, 5, 6, dtype=torch.float64), (20, 24))
    labels = torch.randint(3, (2, 1, 20, 24))
    own = (..., slice(top, 20 - bottom), slice(left, 24 - right))
    padded = torch.full_like(labels, 255)
    padded[0], padded[1][own] = labels[0], labels[1][own]
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=part), metainfo=dict(padding_size=size))
        for part, size in zip(padded, [(0, 0, 0, 0), padding])
    ]
    head, twin = (LinearProbeHead(6, num_classes=3, num_filters=7).double() for _ in range(2))
    twin.load_state_dict(head.state_dict())
    dense = e.dense()
    pixels = torch.cat([dense[0].flatten(1), dense[1][own].flatten(1)], dim=1)
    kept = torch.cat([labels[0].flatten(), labels[1][own].flatten()])
    row = SegDataSample(gt_sem_seg=PixelData(data=kept[None, None]))
    expected = twin.loss(EmbeddingMap(pixels[None, :, None], (1, len(kept))), [row], None)
    found = head.loss(e, samples, None)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(head.norm.running_var, twin.norm.running_var)
    torch.testing.assert_close(head.norm.running_mean, twin.norm.running_mean)


def test_end_to_end_all_sizes_are_one_batch():
    """Each process then takes part in the sums of SyncBN equally often."""
    model, seen = build(frozen=()).train(), []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    losses = model.loss(**batch(model, items(), True))
    losses['decode.loss_ce'].backward()
    assert seen == [(4, 3, 64, 64)]
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('training', [True, False])
def test_each_image_is_padded_as_the_config_asks_and_no_further(training):
    model = build(preprocessor=dict(size_divisor=16, test_cfg=dict(size_divisor=16)))
    inputs = batch(model, items(), training)['inputs']
    assert [tuple(image.shape[1:]) for image in inputs] == [(32, 48), (64, 32), (32, 48), (32, 64)]


def fitted(batches: list[list[int]]):
    """A cluster probe that is fitted to the images in these batches."""
    model, data = build(CLUSTERS).float().eval(), items()
    collated = [{key: [data[i][key] for i in own] for key in ('inputs', 'data_samples')} for own in batches]

    class Loader(list):
        dataset, batch_sampler = data, batches

    loop = ClusterFitLoop.__new__(ClusterFitLoop)
    loop.dataloader, loop.max_samples, loop.seed = Loader(collated), 200, 0
    loop._runner = SimpleNamespace()
    loop._fit(model, model.decode_head)
    return model.decode_head


def test_a_cluster_probe_is_fitted_to_any_mixture_of_sizes_however_it_is_batched():
    MMLogger.get_instance('sizes')
    expected = fitted([[0], [1], [2], [3]])
    assert expected.centroids.isfinite().all() and (expected.cluster_classes >= 0).all()
    for batches in ([[0, 1, 2, 3]], [[3, 1], [0, 2]], [[1, 0], [2, 3]]):
        head = fitted(batches)
        torch.testing.assert_close(head.centroids, expected.centroids, rtol=1e-4, atol=1e-4)
        assert torch.equal(head.cluster_classes, expected.cluster_classes)


@pytest.mark.parametrize('labels, expected', [([[255, 255, 255]], 0), ([[255, 1, 255]], 100), ([[255, 0, 1]], 50)])
def test_nothing_labelled_is_no_accuracy_of_100(labels, expected):
    head = LinearProbeHead(6, num_classes=3)
    logits = torch.zeros(1, 3, 1, 3)
    logits[:, 1] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([labels])))
    assert head.loss_by_feat(logits, [sample])['acc_seg'].item() == pytest.approx(expected, abs=1e-3)
