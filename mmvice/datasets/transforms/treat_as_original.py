from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import get_input
from mmvice.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TreatAsOriginal(BaseTransform):
    """Treat the current image as the original, so that predictions have its size and are scored at it.

    A segmentor resizes its prediction to ``ori_shape``, by default the size of the file. This transform replaces it if
    image and labels have been resized and cropped together, as for the 320x320 px of Table 1 (the protocol of PiCIE,
    Cho et al., 2021).
    """

    def transform(self, results: dict) -> dict:
        """Set ``ori_shape`` to the (height, width) of ``img``."""
        results['ori_shape'] = get_input(results, 'img', 'LoadImageFromFile', self).shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
