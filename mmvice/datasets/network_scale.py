"""The scale at which a network sees an image."""

from collections.abc import Mapping

import numpy as np

from mmvice.registry import TRANSFORMS
from mmvice.utils.config_types import type_name
from mmvice.utils.reading import pipelines
from mmvice.visualization.drawing import fit_within

_RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple')


class NetworkScale:
    """Resizes an image to the scale of a config's training and testing, with the config's own resizing steps.

    It uses the first pipeline with such steps. An image keeps its size if there is none, or if a step draws its scale
    at random. Crops are left out.

    Args:
        cfg: The config.
        size: Another scale: the longest side in pixels, to which larger images are downsized. Defaults to None.
        loader: The data loader whose pipeline comes first, before those of testing and training.

    Raises:
        ValueError: If the size is not a whole number of at least 1.
    """

    def __init__(self, cfg: Mapping, size: int | None = None, loader: str = 'test_dataloader') -> None:
        if size is not None and (not isinstance(size, (int, np.integer)) or size < 1):
            raise ValueError(f'size must be a whole number of pixels, at least 1, or None, got {size!r}')
        self.size = size
        found = ([step for step in pipeline if type_name(step) in _RESIZING] for pipeline in pipelines(cfg, loader))
        self.steps = [] if size is not None else [TRANSFORMS.build(step) for step in next(filter(None, found), [])]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W, 3) as the network gets it.

        Raises:
            UnusableFileError: If a side would be of 0 pixels.
        """
        if self.size is not None:
            return fit_within(image, self.size)
        results = dict(img=image, img_shape=image.shape[:2])
        for step in self.steps:
            results = step(results)
        return results['img']

    def __str__(self) -> str:
        """A description for messages."""
        if self.size is not None:
            return f'shrunk to at most {self.size} pixels'
        return ', '.join(map(str, self.steps)) or 'at full size'
