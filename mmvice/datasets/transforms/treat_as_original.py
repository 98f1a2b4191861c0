from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import get_input
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TreatAsOriginal(BaseTransform):
    """Take the image as it is now for the original, so that predictions come out and are scored at its size.

    A segmentor resizes its prediction to ``ori_shape``. After image and labels have been resized and cropped together,
    as for the 320x320 px of Table 1 (the protocol of PiCIE, Cho et al., 2021), that is no longer the size of the file.
    """

    def transform(self, results: dict) -> dict:
        """Set ``ori_shape`` to the (height, width) of ``img``."""
        results['ori_shape'] = get_input(results, 'img', 'LoadImageFromFile', self).shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
