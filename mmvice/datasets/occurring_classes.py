"""Which classes the label maps of a data set have."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from torch.utils.data import Dataset

from mmvice.utils.image_files import UnusableFileError

from .image_names import members


class Occurring(NamedTuple):
    """What was found in label maps."""

    absent: list[str]
    """Names of the classes that none has."""
    ids: list[int]
    """Ids that they have, with those that do not count."""
    number: int
    """Number of label maps that were read: all of them, where a class is absent."""


def occurring_classes(dataset: Dataset) -> Occurring | None:
    """Look for every class in the label maps of a data set, until all are found; None for a set without labels.

    A label map is what ``LoadAnnotations`` of the pipeline makes of the file, before it is resized or cropped. Files
    that cannot be read are passed over: training does the same, with a warning.

    Args:
        dataset: A data set of MMSegmentation or mmvice, also in wrappers of MMEngine.
    """
    names = list((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    counts, number = np.zeros(256, np.int64), 0
    for labels, ignored in _label_maps(dataset):
        number += 1
        counts += np.bincount(labels.ravel(), minlength=256)
        counted = np.arange(len(names)) != ignored
        if counts[: len(names)][counted].all() and counted.all():
            break
    if not names or not number:
        return None
    found = counts > 0
    absent = [name for i, name in enumerate(names) if not found[i] or i == ignored]
    return Occurring(absent, np.flatnonzero(found).tolist(), number)


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
            yield labels, getattr(member, 'ignore_index', 255)
