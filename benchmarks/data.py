"""Images that the benchmarks run on: CamVid where it is, else built-in scenes of its size."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mmvice.datasets.street_scenes import render_street_scene

ROOT = Path(__file__).parents[1]
CAMVID = ROOT / 'data' / 'camvid'
CAMVID_SIZE = (360, 480)


def source() -> str:
    """Where images come from."""
    return 'CamVid' if CAMVID.is_dir() else 'built-in scenes (data/camvid is absent)'


@lru_cache(maxsize=4)
def labeled_images(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images uint8 (360, 480, 3) in BGR with labels uint8 (360, 480), 255 for none; spread over the validation set."""
    if not CAMVID.is_dir():
        return [render_street_scene(0, index, CAMVID_SIZE) for index in range(count)]
    files = sorted((CAMVID / 'images' / 'val').iterdir())
    chosen = [files[i * len(files) // count] for i in range(min(count, len(files)))]
    labels = [CAMVID / 'annotations' / 'val' / f'{file.stem}.png' for file in chosen]
    return [(cv2.imread(str(a)), cv2.imread(str(b), cv2.IMREAD_UNCHANGED)) for a, b in zip(chosen, labels)]


def image_files(count: int, folder: Path) -> list[Path]:
    """Files of training images; built-in scenes are written to ``folder``, which exists."""
    if CAMVID.is_dir():
        files = sorted((CAMVID / 'images' / 'train').iterdir())
        return [files[i * len(files) // count] for i in range(min(count, len(files)))]
    files = [folder / f'{index:04d}.jpg' for index in range(count)]
    for index, file in enumerate(files):
        cv2.imwrite(str(file), render_street_scene(0, index, CAMVID_SIZE)[0])
    return files


def crops(count: int, side: int) -> list[np.ndarray]:
    """Square crops uint8 (side, side, 3) of the images, at changing places."""
    rng = np.random.RandomState(0)
    images = [image for image, _ in labeled_images(count)]
    places = [[rng.randint(0, length - side + 1) for length in image.shape[:2]] for image in images]
    return [image[y : y + side, x : x + side] for image, (y, x) in zip(images, places)]
