"""The steps from an image to views and regions, in the order of the pipeline."""

import mmseg.datasets.transforms  # noqa: F401  registers MMSegmentation's and MMCV's transforms, for pipelines that mix

from mmvice.datasets.transforms.load_annotations import LoadAnnotations
from mmvice.datasets.transforms.load_image import LoadImageFromFile
from mmvice.datasets.transforms.load_superpixels import LoadSuperpixels
from mmvice.datasets.transforms.mutual_regions import MutualRegions
from mmvice.datasets.transforms.pack import PackViCEInputs
from mmvice.datasets.transforms.resize import Resize
from mmvice.datasets.transforms.superpixel_mask import SuperpixelMask
from mmvice.datasets.transforms.superpixels import SuperpixelGrid, SuperpixelSLIC
from mmvice.datasets.transforms.treat_as_original import TreatAsOriginal
from mmvice.datasets.transforms.view_blur import ViewGaussianBlur
from mmvice.datasets.transforms.view_color import ViewColorDistortion
from mmvice.datasets.transforms.view_crop import ContextualViewCrop
from mmvice.datasets.transforms.view_flip import RandomViewFlip

__all__ = [
    'ContextualViewCrop',
    'LoadAnnotations',
    'LoadImageFromFile',
    'LoadSuperpixels',
    'MutualRegions',
    'PackViCEInputs',
    'RandomViewFlip',
    'Resize',
    'SuperpixelGrid',
    'SuperpixelMask',
    'SuperpixelSLIC',
    'TreatAsOriginal',
    'ViewColorDistortion',
    'ViewGaussianBlur',
]
