"""Pictures of MMEngine's visualizer as files."""

from pathlib import Path

import mmengine.visualization as mmengine
import numpy as np
from mmengine.visualization.vis_backend import force_init_env

from mmvice.registry import VISBACKENDS

from .files import write_png


@VISBACKENDS.register_module()
class LocalVisBackend(mmengine.LocalVisBackend):
    """MMEngine's backend, which writes pictures completely or not at all, with subfolders in their names."""

    @property
    @force_init_env
    def image_folder(self) -> str:
        """Folder of the pictures."""
        return self._img_save_dir

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int | None = 0, **kwargs) -> None:
        """Write an RGB picture (H, W, 3) to ``<name>_<step>.png``; without a step, to ``<name>.png``."""
        file = name if step is None else f'{name}_{step}'
        write_png(Path(self._img_save_dir, f'{file}.png'), image)
