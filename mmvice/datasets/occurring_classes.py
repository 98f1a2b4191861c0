"""Which classes the label maps of a data set have."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from torch.utils.data import Dataset

from mmvice.utils.image_files import UnusableFileError

from .image_names import members


class Occurring(NamedTuple):
    """Classes found in label maps."""

    absent: list[str]
    """Names of the classes that none has, without one whose id does not count."""
    ids: list[int]
    """Ids that they have, with those that do not count."""
    number: int
    """Number of label maps that were read: all of them, where a class is absent."""


def occurring_classes(dataset: Dataset) -> Occurring | None:
    """Look for every class in the label maps of a data set, until all are found; None for a set without labels.

    A label map is the result of ``LoadAnnotations`` in the pipeline, before resizing or cropping. Unreadable files are
    skipped; training skips them too, with a warning.

    Args:
        dataset: A data set of MMSegmentation or mmvice, also in wrappers of MMEngine.
    """
    names = list((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    ignored_by_all = set.intersection(*({_ignored(member)} for member in members(dataset)))
    missing = set(range(len(names))) - ignored_by_all
    ids, number = set(), 0
    for labels, ignored in _label_maps(dataset):
        number += 1
        there = set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist())
        ids |= there
        missing -= there - {ignored}
        if not missing:
            break
    if not names or not number:
        return None
    return Occurring([names[i] for i in sorted(missing)], sorted(ids), number)


def _ignored(dataset: Dataset) -> int:
    """The label of a data set without wrappers that does not count."""
    return getattr(dataset, 'ignore_index', 255)


def _label_maps(dataset: Dataset) -> Iterator[tuple[np.ndarray, int]]:
    """Label maps uint8 (H, W) in mixed order, each with the label that does not count."""
    for member in members(dataset):
        steps = getattr(getattr(member, 'pipeline', None), 'transforms', ())
        load = next((step for step in steps if isinstance(step, LoadAnnotations)), None)
        for index in np.random.RandomState(0).permutation(len(member)).tolist():
            info = member.get_data_info(index) if hasattr(member, 'get_data_info') else {}
            if 'gt_seg_map' not in info and (load is None or info.get('seg_map_path') is None):
                break
            try:
                labels = info['gt_seg_map'] if 'gt_seg_map' in info else load(info)['gt_seg_map']
            except UnusableFileError:
                continue
            yield labels, _ignored(member)
