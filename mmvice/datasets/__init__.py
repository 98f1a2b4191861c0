"""Datasets, samplers and transforms: importing this package registers them, and MMSegmentation's."""

import mmseg.datasets  # noqa: F401  registers MMSegmentation's datasets and transforms, which configs here use by name

from . import transforms  # noqa: F401
from .camvid import CamVidDataset
from .samplers import SeededInfiniteSampler
from .seeded_sampling import SeededIndex, SeededItemMixin
from .synthetic_scenes import SyntheticScenesDataset
from .unlabeled_images import UnlabeledImageDataset

__all__ = [
    'CamVidDataset',
    'SeededIndex',
    'SeededInfiniteSampler',
    'SeededItemMixin',
    'SyntheticScenesDataset',
    'UnlabeledImageDataset',
]
