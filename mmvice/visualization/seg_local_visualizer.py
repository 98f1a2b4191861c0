"""Pictures of segmentations with the names of classes."""

from collections.abc import Sequence

import mmseg.visualization
import numpy as np
from mmengine.structures import PixelData

from mmvice.registry import VISUALIZERS

from .class_names import draw_class_names

_Base = mmseg.visualization.SegLocalVisualizer


@VISUALIZERS.register_module()
class SegLocalVisualizer(_Base):
    """MMSegmentation's visualizer with readable class names, see :func:`draw_class_names`.

    Every process of a run draws its images. MMEngine's visualizer would only draw those of the first process.
    """

    add_image = _Base.add_image.__wrapped__
    add_datasample = _Base.add_datasample.__wrapped__
    dataset_meta = property(lambda self: self._dataset_meta, _Base.dataset_meta.fset.__wrapped__)

    def _draw_sem_seg(
        self,
        image: np.ndarray,
        sem_seg: PixelData,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        with_labels: bool = True,
    ) -> np.ndarray:
        """Paint a label map over its image.

        Args:
            image: RGB uint8 (H, W, 3).
            sem_seg: Ids (1, H, W).
            classes: Names of the classes.
            palette: Their RGB colours.
            with_labels: Write the names too.

        Returns:
            numpy.ndarray: RGB uint8 (H, W, 3).
        """
        drawn = super()._draw_sem_seg(image, sem_seg, classes, palette, with_labels=False)
        if with_labels:
            drawn = draw_class_names(drawn, np.asarray(sem_seg.cpu().data)[0], classes, palette)
            self.set_image(drawn)
        return drawn
