"""Pictures and label maps as files."""

from pathlib import Path

import cv2
import numpy as np

from mmvice.utils.files import write_file


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture (H, W, 3), or a map of ids (H, W) as grey values, completely or not at all.

    Raises:
        NoSpaceError: If there is no room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', picture[..., ::-1] if picture.ndim == 3 else picture)
    write_file(str(path), encoded.tobytes())


def write_label_map(path: Path, label_map: np.ndarray, num_labels: int) -> None:
    """Write ids as grey values, in as many bits as they need."""
    write_png(path, label_map.astype(np.uint8 if num_labels <= 256 else np.uint16))
