"""Settings of wrappers of data sets that cannot work are told by the wrapper, the setting and what to write."""

import pytest

from mmvice.datasets.wrapper_settings import check_wrapper_settings
from mmvice.engine import ViCERunner

SCENES = dict(type='SyntheticScenesDataset', num_scenes=3)
IMAGES = dict(type='LabeledImageDataset', pipeline=[dict(type='LoadImageFromFile'), dict(type='PackSegInputs')])
BALANCED = dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=SCENES)
TWICE = dict(type='RepeatDataset', times=2, dataset=SCENES)
WRONG = {
    'no classes of an image': (
        dict(BALANCED, dataset=IMAGES),
        'LabeledImageDataset has no get_cat_ids.index. to tell: take dataset=dict.type=.RepeatDataset',
    ),
    'nor of one without labels': (
        dict(BALANCED, dataset=dict(type='UnlabeledImageDataset')),
        'UnlabeledImageDataset has no',
    ),
    'nor without being built': (dict(BALANCED, dataset=IMAGES, lazy_init=True), 'no get_cat_ids'),
    'in a wrapper': (dict(TWICE, dataset=dict(BALANCED, dataset=IMAGES)), 'no get_cat_ids'),
    'in a list': (dict(type='ConcatDataset', datasets=[SCENES, dict(TWICE, times=0)]), 'at least 1, got 0'),
    'a threshold of words': (dict(BALANCED, oversample_thr='a'), "oversample_thr must be a share .* got 'a'"),
    'a threshold in percent': (dict(BALANCED, oversample_thr=10), 'oversample_thr must be a share .* got 10'),
    'times of words': (dict(TWICE, times='a'), "RepeatDataset: times must be a whole number of at least 1, got 'a'"),
    'times of a fraction': (dict(TWICE, times=1.5), 'got 1.5'),
    'negative times': (dict(TWICE, times=-1), 'got -1'),
    'nothing': (dict(type='ConcatDataset', datasets=[]), 'ConcatDataset: datasets must be a list of data sets'),
    'one for several': (dict(type='ConcatDataset', datasets=SCENES), 'datasets must be a list'),
    'no data set': (dict(type='ConcatDataset', datasets=[SCENES, 'x']), 'datasets must be a list'),
    'packed before it is mixed': (
        dict(type='MultiImageMixDataset', dataset=IMAGES, pipeline=[]),
        'take PackSegInputs out of dataset.pipeline',
    ),
}


@pytest.mark.parametrize('case', WRONG)
def test_what_cannot_work_is_told_before_anything_is_built(case):
    dataset, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        ViCERunner.build_dataloader(dict(dataset=dataset, sampler=dict(type='DefaultSampler'), batch_size=1))


@pytest.mark.parametrize(
    'dataset',
    [SCENES, BALANCED, TWICE, dict(type='ConcatDataset', datasets=[SCENES, TWICE]), dict(type='Nowhere'), None],
)
def test_what_can_work_or_is_not_known_is_left_alone(dataset):
    check_wrapper_settings(dataset)
