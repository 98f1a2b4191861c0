"""Step 3: mask superpixels (Sec. 3.2)."""

import math

import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import check_probability, get_view_superpixels
from mmvice.ops.superpixels import common_superpixels, look_up
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SuperpixelMask(BaseTransform):
    """Mask every superpixel that a random rectangle in each view touches, as a whole.

    A random part of the superpixels that all views share is never masked in any view. Noise replaces the masked pixels
    later, after normalisation. Training does not use a superpixel that is masked in any view (see MutualRegions).
    Pixels in no superpixel are not masked.

    Required Keys:

    - view_superpixels: int32 (M, h, w), -1 for pixels in no superpixel

    Added Keys:

    - view_masks: bool (M, h, w)

    Args:
        max_ratio: largest side of the rectangle as a share of the view's, in [0, 1]; 0 masks nothing.
        preserve_ratio: share of the common superpixels that is never masked, in [0, 1]; the number is rounded up.
    """

    def __init__(self, max_ratio: float = 0.25, preserve_ratio: float = 0.25) -> None:
        self.max_ratio = check_probability('max_ratio', max_ratio)
        self.preserve_ratio = check_probability('preserve_ratio', preserve_ratio)

    def transform(self, results: dict) -> dict:
        superpixels = get_view_superpixels(results, self)
        is_common = common_superpixels(superpixels)
        common = np.flatnonzero(is_common)
        preserved = np.random.permutation(common)[: math.ceil(self.preserve_ratio * len(common))]
        masks = np.empty(superpixels.shape, bool)
        for view, mask in zip(superpixels, masks, strict=True):
            masked = np.zeros(1 + len(is_common), bool)  # the first is for -1
            masked[1 + view[self._draw_rectangle(*view.shape)]] = True
            masked[1 + preserved] = masked[0] = False
            mask[:] = look_up(masked, view.reshape(-1)).reshape(mask.shape)
        results['view_masks'] = masks
        return results

    def _draw_rectangle(self, height: int, width: int) -> tuple[slice, slice]:
        """Draw the rows and columns of a rectangle with sides uniform in [0, max_ratio] of the view's."""
        sides = np.random.randint(0, [int(self.max_ratio * height) + 1, int(self.max_ratio * width) + 1])
        top, left = np.random.randint(0, [height - sides[0] + 1, width - sides[1] + 1])
        return slice(top, top + sides[0]), slice(left, left + sides[1])

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_ratio={self.max_ratio}, preserve_ratio={self.preserve_ratio})'
