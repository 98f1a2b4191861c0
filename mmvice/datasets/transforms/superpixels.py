"""Step 1: divide the image into regions."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import get_input
from mmvice.ops.superpixels import check_image, check_positive_int, check_slic_settings, grid_superpixels, slic
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SuperpixelSLIC(BaseTransform):
    """Divide the image into SLIC superpixels (Sec. 3.1 and 4.2). SLIC smooths a copy of the image.

    Required Keys:

    - img: uint8 (H, W, 3), BGR

    Added Keys:

    - superpixels: int32 (H, W), ids 0..K-1

    Args:
        region_size: mean side of a superpixel in pixels.
        ruler: weight of position against colour; larger gives squarer superpixels.
        num_iters: iterations of k-means.
        backend: ``'numba'``, or ``'opencv'``, which needs opencv-contrib-python.
    """

    def __init__(self, region_size: int = 20, ruler: float = 10.0, num_iters: int = 5, backend: str = 'numba') -> None:
        check_slic_settings(region_size, ruler, num_iters, backend)
        self.region_size = region_size
        self.ruler = ruler
        self.num_iters = num_iters
        self.backend = backend

    def transform(self, results: dict) -> dict:
        image = get_input(results, 'img', 'LoadImageFromFile', self)
        results['superpixels'] = slic(image, self.region_size, self.ruler, self.num_iters, self.backend)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(region_size={self.region_size}, ruler={self.ruler}, num_iters={self.num_iters}, '
            f'backend={self.backend!r})'
        )


@TRANSFORMS.register_module()
class SuperpixelGrid(BaseTransform):
    """Divide the image into squares instead of superpixels (Table 2: grid, or pixels with ``region_size=1``).

    Required Keys:

    - img: uint8 (H, W, 3), BGR

    Added Keys:

    - superpixels: int32 (H, W), ids 0..K-1

    Args:
        region_size: side of a square in pixels.
    """

    def __init__(self, region_size: int) -> None:
        check_positive_int('region_size', region_size)
        self.region_size = region_size

    def transform(self, results: dict) -> dict:
        image: np.ndarray = get_input(results, 'img', 'LoadImageFromFile', self)
        check_image(image)
        results['superpixels'] = grid_superpixels(*image.shape[:2], self.region_size)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(region_size={self.region_size})'
