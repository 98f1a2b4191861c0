"""Checks of settings that MMEngine's and MMSegmentation's wrappers of data sets do not check themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmseg.datasets import MultiImageMixDataset

from mmvice.registry import DATASETS
from mmvice.utils.config_types import type_name

from .seeded_items import class_of


def check_wrapper_settings(dataset: Any) -> None:
    """Refuse settings with which a wrapper of data sets, or one within it, cannot work.

    Args:
        dataset: Config of a data set.

    Raises:
        ValueError: For the first such setting.
    """
    kind = class_of(dataset, DATASETS) if isinstance(dataset, Mapping) else None  # what is built has been checked
    if kind is None:
        return
    for wrapper, check in _CHECKS.items():
        if issubclass(kind, wrapper):
            check(dataset)
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    for member in inner if isinstance(inner, Sequence) else ():
        check_wrapper_settings(member)


def _check_repeat(dataset: Mapping) -> None:
    times = dataset.get('times')
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f'RepeatDataset: times must be a whole number of at least 1, got {times!r}')


def _check_concat(dataset: Mapping) -> None:
    members = dataset.get('datasets')
    listed = isinstance(members, Sequence) and not isinstance(members, str) and len(members) > 0
    if not listed or not all(isinstance(member, (Mapping, BaseDataset)) for member in members):
        raise ValueError(
            'ConcatDataset: datasets must be a list of data sets, datasets=[dict(type=...), dict(type=...)], got '
            f'{members!r:.100}'
        )


def _check_balance(dataset: Mapping) -> None:
    threshold = dataset.get('oversample_thr')
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
        raise ValueError(
            'ClassBalancedDataset: oversample_thr must be a share of the images above 0 and up to 1, below which a '
            f'class is rare, got {threshold!r}'
        )
    inner = class_of(dataset.get('dataset'), DATASETS)
    if inner is not None and getattr(inner, 'get_cat_ids', None) in (None, BaseDataset.get_cat_ids):
        raise ValueError(
            f'ClassBalancedDataset asks its data set which classes an image has, and {inner.__name__} has no '
            "get_cat_ids(index) to tell: take dataset=dict(type='RepeatDataset', ...) or the data set alone, or a "
            f'child of {inner.__name__} with that method'
        )


def _check_mix(dataset: Mapping) -> None:
    steps = (dataset.get('dataset') or {}).get('pipeline') or ()
    packing = [type_name(step) for step in steps if isinstance(step, Mapping) and type_name(step).startswith('Pack')]
    if packing:
        raise ValueError(
            f'MultiImageMixDataset mixes images before they are packed: take {packing[0]} out of dataset.pipeline, and '
            'make it the last step of the pipeline of MultiImageMixDataset'
        )


_CHECKS = {
    RepeatDataset: _check_repeat,
    ConcatDataset: _check_concat,
    ClassBalancedDataset: _check_balance,
    MultiImageMixDataset: _check_mix,
}
