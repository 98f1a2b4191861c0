"""Datasets, samplers and transforms: importing this package registers them, and MMSegmentation's."""

import mmvice.registry  # noqa: F401  before OpenMMLab's packages

from . import transforms  # noqa: F401
from .camvid import CamVidDataset
from .cityscapes import Cityscapes27Dataset, CityscapesDataset
from .coco_stuff27 import COCOStuff27Dataset
from .labeled_images import LabeledImageDataset
from .samplers import SeededInfiniteSampler
from .seeded_items import SeededItems
from .seeded_sampling import SeededIndex, SeededItemMixin
from .synthetic_scenes import SyntheticScenesDataset
from .unlabeled_images import UnlabeledImageDataset

__all__ = [
    'COCOStuff27Dataset',
    'CamVidDataset',
    'Cityscapes27Dataset',
    'CityscapesDataset',
    'LabeledImageDataset',
    'SeededIndex',
    'SeededInfiniteSampler',
    'SeededItemMixin',
    'SeededItems',
    'SyntheticScenesDataset',
    'UnlabeledImageDataset',
]
