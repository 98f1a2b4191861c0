"""MMSegmentation's segmentor as mmvice has it: images of any sizes, and what it tells of its accuracy."""

import mmseg.models
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvice.models import EncoderDecoder
from mmvice.registry import MODELS

pytestmark = pytest.mark.usefixtures('mmvice_scope')

NORM = dict(type='BN')
SHAPE = dict(in_channels=32, in_index=2, channels=4, num_classes=3, norm_cfg=NORM)
HEADS = dict(
    fcn=dict(type='FCNHead', num_convs=1, **SHAPE),
    aspp=dict(type='ASPPHead', dilations=(1, 2), **SHAPE),
    deeplab=dict(type='DepthwiseSeparableASPPHead', dilations=(1, 2), c1_in_channels=8, c1_channels=4, **SHAPE),
)


def build(head='fcn', **changes):
    torch.manual_seed(0)
    config = dict(
        type='mmvice.EncoderDecoder',
        data_preprocessor=dict(type='mmvice.ViCEDataPreprocessor', mean=[99.0] * 3, std=[50.0] * 3, size=(64, 64)),
        backbone=dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=NORM),
        decode_head=HEADS[head],
        auxiliary_head=HEADS['fcn'],
        test_cfg=dict(mode='whole'),
    )
    return MODELS.build(ConfigDict(config | changes))


def images(*sizes):
    return [torch.randint(256, (3, *size), dtype=torch.uint8) for size in sizes]


def sample(image, labels=None, shape=None):
    shape = image.shape[1:] if shape is None else shape
    found = SegDataSample(metainfo=dict(ori_shape=tuple(shape), img_shape=tuple(image.shape[1:])))
    if labels is not None:
        found.gt_sem_seg = PixelData(data=torch.full((1, *image.shape[1:]), labels))
    return found


def test_the_name_of_mmsegmentation_means_it():
    assert MODELS.get('EncoderDecoder') is EncoderDecoder
    assert issubclass(EncoderDecoder, mmseg.models.EncoderDecoder)


@pytest.mark.parametrize('test_cfg', [dict(mode='whole'), dict(mode='slide', crop_size=(24, 24), stride=(16, 16))])
@pytest.mark.parametrize(
    'sizes, originals',
    [
        ([(48, 64), (64, 48)], None),
        ([(40, 40), (33, 47), (40, 40)], None),
        ([(48, 64), (48, 64)], [(96, 128), (97, 128)]),  # one size, from several
    ],
)
def test_predictions_are_those_of_the_images_alone(sizes, originals, test_cfg):
    model, pictures = build(test_cfg=test_cfg).eval(), images(*sizes)
    shapes = originals or sizes

    def predicted(chosen):
        samples = [sample(pictures[i], shape=shapes[i]) for i in chosen]
        data = model.data_preprocessor(dict(inputs=[pictures[i] for i in chosen], data_samples=samples), False)
        return [found.pred_sem_seg.data for found in model(**data, mode='predict')]

    with torch.no_grad():
        together = predicted(range(len(sizes)))
        for i, found in enumerate(together):
            assert found.shape[1:] == shapes[i]
            assert (predicted([i])[0] == found).float().mean() > 0.999  # rounding may decide ties
        if originals is None:
            unnamed = model.predict([picture.float() for picture in pictures])
            assert [found.pred_sem_seg.data.shape[1:] for found in unnamed] == sizes


@pytest.mark.parametrize('head', HEADS)
def test_acc_seg_is_0_where_nothing_is_labelled_and_else_that_of_mmsegmentation(head):
    model = build(head).train()
    pictures = images((40, 64), (64, 40))  # padded to 64x64, by pixels that do not count
    for labels in ((255, 255), (255, 1), (0, 2)):
        samples = [sample(*pair) for pair in zip(pictures, labels)]
        data = model.data_preprocessor(dict(inputs=pictures, data_samples=samples), True)
        torch.manual_seed(0)
        losses = model(**data, mode='loss')
        torch.manual_seed(0)
        expected = mmseg.models.EncoderDecoder.loss(model, data['inputs'], data['data_samples'])
        assert {*losses} == {*expected} >= {'decode.acc_seg', 'aux.acc_seg'}
        for name, value in losses.items():
            assert value.isfinite().all()
            if labels == (255, 255) and name.endswith('acc_seg'):
                assert (value, expected[name].round()) == (0, 100)
            else:
                torch.testing.assert_close(value, expected[name])


def test_several_auxiliary_heads_and_another_label_that_does_not_count():
    model = build(auxiliary_head=[HEADS['fcn'], HEADS['fcn']]).train()
    model.decode_head.ignore_index = 7
    for head in model.auxiliary_head:
        head.ignore_index = 7
    [picture] = images((64, 64))
    losses = model.loss(torch.stack([picture.float()] * 2), [sample(picture, 7), sample(picture, 7)])
    found = [value for name, value in losses.items() if name.endswith('acc_seg')]
    assert len(found) == 3 and not any(found)
