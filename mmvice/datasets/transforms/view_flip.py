"""Step 4: flip views."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import check_probability, get_view_masks, get_view_superpixels, get_views
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomViewFlip(BaseTransform):
    """Flip each view left-right, with its superpixels and its mask, with a given probability (Sec. 3.2).

    Required Keys:

    - views: uint8 (M, h, w, 3)
    - view_superpixels: int32 (M, h, w)
    - view_masks: bool (M, h, w) (optional)

    Modified Keys: the above.

    Added Keys:

    - view_flips: bool (M,)

    Args:
        prob: probability of a flip, drawn for each view independently.
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_probability('prob', prob)

    def transform(self, results: dict) -> dict:
        views = get_views(results, self)
        superpixels = get_view_superpixels(results, self)
        if superpixels.shape != views.shape[:3]:
            raise ValueError(f"'view_superpixels' {superpixels.shape} do not match 'views' {views.shape}")
        masks = get_view_masks(results, superpixels.shape)
        flips = np.random.rand(len(views)) < self.prob
        results['views'] = _flip(views, flips)
        results['view_superpixels'] = _flip(superpixels, flips)
        if masks is not None:
            results['view_masks'] = _flip(masks.view(np.uint8), flips).view(bool)
        results['view_flips'] = flips ^ results.get('view_flips', False)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


def _flip(arrays: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Flip left-right those of M arrays (M, h, w, ...) whose flag is set."""
    flipped = np.empty(arrays.shape, arrays.dtype)
    for array, flip, out in zip(arrays, flips, flipped, strict=True):
        if flip:
            cv2.flip(array, 1, dst=out)
        else:
            out[:] = array
    return flipped
