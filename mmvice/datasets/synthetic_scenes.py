from collections.abc import Sequence

import numpy as np
from mmengine.dataset import BaseDataset

from mmvice.registry import DATASETS
from mmvice.utils.config_types import type_name

from .seeded_sampling import SeededItemMixin
from .street_scenes import CLASSES, PALETTE, render_street_scene

_KEEP_BYTES = 128 << 20
_kept: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}


def _scene(seed: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A copy of a rendered scene; a process keeps its first scenes in memory."""
    key = (seed, index, size)
    if key not in _kept:
        scene = render_street_scene(seed, index, size)
        if (len(_kept) + 1) * sum(array.nbytes for array in scene) > _KEEP_BYTES:
            return scene
        _kept[key] = scene
    image, labels = _kept[key]
    return image.copy(), labels.copy()


@DATASETS.register_module()
class SyntheticScenesDataset(SeededItemMixin, BaseDataset):
    """Procedural street scenes with exact labels, rendered on access; nothing is written or downloaded.

    Scene i depends only on (``seed``, ``start`` + i) and ``size``. Held-out scenes have another range of ``start`` or
    another ``seed``.

    The results already have ``img`` (BGR uint8), ``gt_seg_map`` (uint8) and the shapes. Pipeline steps that load images
    or label maps are skipped; other tools need them to read files with the config's pipeline.

    Args:
        num_scenes: Number of scenes.
        seed: Non-negative seed of the whole series.
        start: Position of the first scene in the series.
        size: (height, width) of the images in pixels, at least 32 each.
        pipeline: Transforms.
        kwargs: ``indices``, ``test_mode``, ``lazy_init``, ``max_refetch``, ``metainfo`` and
            ``serialize_data`` of :class:`mmengine.dataset.BaseDataset`.

    Example:
        >>> train = SyntheticScenesDataset(1000)
        >>> held_out = SyntheticScenesDataset(100, start=1000)
        >>> held_out[0]['img'].shape, held_out[0]['gt_seg_map'].shape
        ((96, 128, 3), (96, 128))
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)

    def __init__(
        self,
        num_scenes: int,
        seed: int = 0,
        start: int = 0,
        size: tuple[int, int] = (96, 128),
        pipeline: Sequence = (),
        **kwargs,
    ) -> None:
        if num_scenes < 1 or seed < 0 or start < 0:
            raise ValueError(
                'SyntheticScenesDataset: num_scenes must be positive, seed and start not negative, but they are '
                f'{num_scenes}, {seed} and {start}'
            )
        self.num_scenes = num_scenes
        self.seed = seed
        self.start = start
        self.size = tuple(size)
        steps = [step for step in pipeline if type_name(step) not in ('LoadImageFromFile', 'LoadAnnotations')]
        super().__init__(pipeline=steps, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Seed and position in the series of every scene."""
        return [
            dict(scene=index, img_path=f'synthetic/seed{self.seed}_{index:06d}.png')
            for index in range(self.start, self.start + self.num_scenes)
        ]

    def get_data_info(self, idx: int) -> dict:
        """A scene, rendered."""
        info = super().get_data_info(idx)
        image, labels = _scene(self.seed, info.pop('scene'), self.size)
        info.update(
            img=image,
            img_shape=image.shape[:2],
            ori_shape=image.shape[:2],
            gt_seg_map=labels,
            seg_fields=['gt_seg_map'],
            reduce_zero_label=False,
            label_map=None,
        )
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """Ids of the classes in a scene."""
        return np.unique(self.get_data_info(idx)['gt_seg_map']).tolist()
