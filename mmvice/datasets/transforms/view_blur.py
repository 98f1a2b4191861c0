"""Step 6: blur views."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import check_probability, check_range, get_views
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ViewGaussianBlur(BaseTransform):
    """Blur each view with a Gaussian of random width, with a given probability (Sec. 3.2).

    Required Keys:

    - views: uint8 (M, h, w, 3)

    Modified Keys:

    - views

    Args:
        prob: probability of a blur, drawn for each view independently.
        sigma_range: smallest and largest standard deviation in pixels of the view.
    """

    def __init__(self, prob: float = 0.5, sigma_range: tuple[float, float] = (0.1, 2.0)) -> None:
        self.prob = check_probability('prob', prob)
        self.sigma_range = check_range('sigma_range', sigma_range)

    def transform(self, results: dict) -> dict:
        views = get_views(results, self)
        blurs = np.random.rand(len(views)) < self.prob
        sigmas = np.random.uniform(*self.sigma_range, len(views))
        results['views'] = views.copy()
        for m in np.flatnonzero(blurs):
            results['views'][m] = cv2.GaussianBlur(views[m], (0, 0), sigmas[m])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, sigma_range={self.sigma_range})'
