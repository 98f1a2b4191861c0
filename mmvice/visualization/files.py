"""Pictures and label maps as files."""

from pathlib import Path

import cv2
import numpy as np

from mmvice.utils.files import write_file


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture (H, W, 3), or a map of ids (H, W) as grey values, whole or not at all.

    Raises:
        NoSpaceError: If there is no room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', picture[..., ::-1] if picture.ndim == 3 else picture)
    write_file(str(path), encoded.tobytes())


def write_label_map(path: Path, label_map: np.ndarray, num_labels: int, size: tuple[int, int]) -> None:
    """Write ids as grey values at the original size (H, W) of the image, in as many bits as they need."""
    ids = label_map.astype(np.uint8 if num_labels <= 256 else np.uint16)
    write_png(path, cv2.resize(ids, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT))
