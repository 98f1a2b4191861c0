"""Step 7: number the regions for training."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import get_view_masks, get_view_superpixels
from mmvice.ops.superpixels import check_positive_int, common_superpixels, look_up
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MutualRegions(BaseTransform):
    """Number the superpixels that are visible in every view and masked in none (Sec. 3.2, Alg. 1).

    Returns None if there are fewer than ``min_regions``. The dataset then draws another image.

    Required Keys:

    - view_superpixels: int32 (M, h, w), -1 for pixels in no region
    - view_masks: bool (M, h, w) (optional)

    Added Keys:

    - regions: int32 (M, h, w), 0..I-1 in the order of the superpixels' ids, -1 for everything else
    - num_regions: I

    Args:
        min_regions: fewest regions that make a sample, at least 1.
    """

    def __init__(self, min_regions: int = 1) -> None:
        check_positive_int('min_regions', min_regions)
        self.min_regions = min_regions

    def transform(self, results: dict) -> dict | None:
        superpixels = get_view_superpixels(results, self)
        common = common_superpixels(superpixels, get_view_masks(results, superpixels.shape))
        num_regions = int(common.sum())
        if num_regions < self.min_regions:
            return None
        region_of = np.full(1 + len(common), -1, np.int32)  # the first is for -1
        region_of[1:][common] = np.arange(num_regions, dtype=np.int32)
        results['regions'] = look_up(region_of, superpixels.reshape(-1)).reshape(superpixels.shape)
        results['num_regions'] = num_regions
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_regions={self.min_regions})'
