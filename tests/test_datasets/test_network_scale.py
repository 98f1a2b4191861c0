"""An image is seen as the config's own pipeline would have it."""

import numpy as np
import pytest

from mmvice.datasets.network_scale import NetworkScale
from mmvice.registry import TRANSFORMS
from mmvice.utils.image_files import UnusableFileError

pytestmark = pytest.mark.usefixtures('mmvice_scope')

SHORTEST = dict(type='ResizeShortestEdge', scale=60, max_size=150)
KEEP = dict(type='Resize', scale=(64, 48), keep_ratio=True, interpolation='area')
OTHER = dict(type='Resize', scale=(9, 9))


def loader(*steps, wrap=lambda part: part):
    return dict(dataset=wrap(dict(pipeline=[dict(type='LoadImageFromFile'), *steps])))


def image(size):
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    'step, size, seen',
    [
        (SHORTEST, (100, 200), (60, 120)),  # twice as wide as high, which is not 4:3
        (SHORTEST, (300, 100), (150, 50)),  # max_size
        (SHORTEST, (30, 40), (60, 80)),
        (KEEP, (512, 683), (48, 64)),
        (KEEP, (100, 100), (48, 48)),
        (KEEP, (683, 512), (64, 48)),
        (dict(type='Resize', scale_factor=0.5), (40, 60), (20, 30)),
        (dict(type='mmseg.Resize', scale=(64, 48)), (100, 100), (48, 64)),
        (dict(type='RandomFlip', prob=0.5), (150, 200), (150, 200)),
    ],
)
def test_an_image_is_what_the_step_makes_of_it(step, size, seen):
    given = image(size)
    found = NetworkScale(dict(train_dataloader=loader(step)))(given)
    assert found.shape[:2] == seen
    if step['type'] != 'RandomFlip':
        np.testing.assert_array_equal(found, TRANSFORMS.build(step)(dict(img=given))['img'])


@pytest.mark.parametrize(
    'wrap',
    [
        lambda part: dict(type='RepeatDataset', dataset=part, times=2),
        lambda part: dict(type='ConcatDataset', datasets=[dict(pipeline=[]), part]),
        lambda part: dict(type='ClassBalancedDataset', dataset=dict(type='ConcatDataset', datasets=[part])),
    ],
)
def test_wrappers_are_looked_into_and_the_own_loader_comes_first(wrap):
    cfg = dict(test_dataloader=loader(SHORTEST, wrap=wrap), train_dataloader=loader(OTHER, wrap=wrap))
    assert NetworkScale(cfg)(image((120, 240))).shape[:2] == (60, 120)
    assert NetworkScale(cfg, loader='train_dataloader')(image((120, 240))).shape[:2] == (9, 9)
    cfg['test_dataloader'] = None
    assert NetworkScale(cfg)(image((120, 240))).shape[:2] == (9, 9)
    assert NetworkScale(cfg, size=30)(image((120, 240))).shape[:2] == (15, 30)
    assert NetworkScale({})(image((120, 240))).shape[:2] == (120, 240)


def test_a_wrong_size_and_an_image_that_would_vanish_are_named():
    with pytest.raises(ValueError, match='size must be a whole number'):
        NetworkScale({}, size=0)
    with pytest.raises(UnusableFileError, match='too long for its width'):
        NetworkScale(dict(train_dataloader=loader(KEEP)))(image((1, 400)))
