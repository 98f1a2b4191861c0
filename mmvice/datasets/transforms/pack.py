"""Step 8: hand the views to the model."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import get_input, get_view_masks, get_views
from mmvice.registry import TRANSFORMS
from mmvice.structures.views_data_sample import ViewsDataSample


@TRANSFORMS.register_module()
class PackViCEInputs(BaseTransform):
    """Pack the views of one image for the model.

    Required Keys:

    - views: uint8 (M, h, w, 3)
    - regions: int32 (M, h, w)
    - num_regions: int
    - view_masks: bool (M, h, w) (optional)

    Returned Keys, and no others:

    - inputs: uint8 tensor (M, 3, h, w), BGR
    - data_samples: :class:`ViewsDataSample` with ``regions``, ``view_masks`` if there are any, and in its metainfo
      ``num_regions``, ``noise_seed`` and those of ``meta_keys`` that are there

    Args:
        meta_keys: keys of the results to copy into the metainfo.
    """

    def __init__(self, meta_keys: Sequence[str] = ('img_path', 'ori_shape', 'view_boxes', 'view_flips')) -> None:
        if isinstance(meta_keys, str):
            raise TypeError(f'meta_keys must be a sequence of keys, got the string {meta_keys!r}')
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        views = get_views(results, self)
        regions = get_input(results, 'regions', 'MutualRegions', self)
        if regions.shape != views.shape[:3]:
            raise ValueError(f"'regions' {regions.shape} do not match 'views' {views.shape}; keep MutualRegions last")
        masks = get_view_masks(results, regions.shape)
        meta = {key: results[key] for key in self.meta_keys if key in results}
        meta['num_regions'] = get_input(results, 'num_regions', 'MutualRegions', self)
        # Drawn here and not where the noise is made: a run that resumes draws the same samples, and so the same noise.
        meta['noise_seed'] = int(np.random.randint(2**31 - 1))
        sample = ViewsDataSample(metainfo=meta)
        sample.regions = torch.from_numpy(np.ascontiguousarray(regions))
        if masks is not None:
            sample.view_masks = torch.from_numpy(np.ascontiguousarray(masks))
        inputs = np.empty((len(views), 3, *views.shape[1:3]), np.uint8)
        for view, planes in zip(views, inputs, strict=True):
            cv2.split(view, list(planes))
        return dict(inputs=torch.from_numpy(inputs), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
