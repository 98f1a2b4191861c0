"""Superpixels as files: a PNG for each image, with one channel that holds the id of every pixel."""

import os
import pickle
import random
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DefaultScope

from mmvice.datasets.unlabeled_images import try_to_load
from mmvice.ops.superpixels import contiguous
from mmvice.registry import TRANSFORMS
from mmvice.utils.conversion import Skipped
from mmvice.utils.files import write_file
from mmvice.utils.image_files import decode_labels, printable

PNG_START = b'\x89PNG\r\n\x1a\n'


def superpixel_path(img_path: str, img_root: str, folder: str, filename: str = '{path}.png') -> str:
    """Path of the superpixels of an image: the same place in ``folder`` as the image has in ``img_root``.

    Args:
        img_path: Path of the image.
        img_root: Folder that the image is in, at any depth.
        folder: Folder of the superpixels.
        filename: The path in ``folder``: ``{path}`` stands for the image's path in ``img_root``, ``{stem}`` for that
            without its ending.

    Raises:
        ValueError: If the image is not in ``img_root``, or its path is invalid.

    Example:
        >>> superpixel_path('data/camvid/images/train/7.jpg', 'data/camvid', 'slic')
        'slic/images/train/7.jpg.png'
    """
    if '\0' in img_path:
        raise ValueError(f'{printable(img_path)} has a NUL character in it: correct the list that names it')
    relative = os.path.relpath(img_path, os.path.expanduser(img_root))
    if relative.split(os.sep)[0] in (os.pardir, os.curdir):
        raise ValueError(f'the image {printable(img_path)} is not in the folder {img_root!r}')
    name = filename.format(path=relative, stem=os.path.splitext(relative)[0])
    return os.path.join(os.path.expanduser(folder), name)


def check_filename(filename: str) -> None:
    """Raise ValueError unless ``filename`` is a pattern that :func:`superpixel_path` can fill in."""
    fixed = filename.replace('{path}', '').replace('{stem}', '')
    if fixed == filename or set('{}') & set(fixed) or os.path.isabs(filename) or os.pardir in Path(filename).parts:
        raise ValueError(f"filename must be like '{{path}}.png' or 'regions/{{stem}}.png', got {filename!r}")


def encode_superpixels(superpixels: np.ndarray) -> bytes:
    """The PNG file of superpixels (H, W) with ids from 0 on; 8 bits if that is enough, else 16.

    Raises:
        ValueError: If there are more than 65536 superpixels, or an id is negative or not a whole number.
    """
    if superpixels.dtype.kind not in 'iub' or superpixels.min(initial=0) < 0:
        raise ValueError(
            f'files hold whole ids from 0 on, but the superpixels are {superpixels.dtype}, the lowest '
            f'{superpixels.min(initial=0)}: give pixels in no region an id of their own, and name it as no_region of '
            'LoadSuperpixels'
        )
    largest = int(superpixels.max(initial=0))
    if largest > 0xFFFF:
        raise ValueError(
            f'{largest + 1:,} superpixels in an image of {superpixels.shape[1]}x{superpixels.shape[0]} px, but files '
            'hold 65,536 at most: make them larger, or compute them in training'
        )
    image = superpixels.astype(np.uint8 if largest <= 0xFF else np.uint16)
    return cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()


def decode_superpixels(content: bytes, no_region: int | None = None) -> np.ndarray:
    """Superpixels int32 (H, W) from a PNG file, numbered 0..K-1 in the order of their ids.

    Ids may have any number of bits, see :func:`mmvice.utils.label_files.decode_labels`.

    Args:
        content: The file.
        no_region: The file's id of pixels in no region; it becomes -1.

    Raises:
        UnusableFileError: If it is damaged.
        ValueError: If it has another format, or several channels. Both messages complete a sentence that begins with
            the name of the file.
    """
    ids = decode_labels(content).astype(np.int32)
    if not content.startswith(PNG_START):
        raise ValueError('is not a PNG, the format of superpixels')
    if no_region is not None:
        ids[ids == no_region] = -1
    return contiguous(ids)


def compute_superpixels(img_path: str, pipeline: bytes, min_size: int) -> np.ndarray | Skipped:
    """Superpixels int32 (H, W) that a pipeline gives for an image, or the reason why the image is left out.

    Args:
        img_path: Path of the image.
        pipeline: Pickled list of the configs of the steps, ``LoadImageFromFile`` first.
        min_size: As of :class:`UnlabeledImageDataset`.

    Raises:
        ValueError: If a step draws random numbers, or no step gives superpixels.
    """
    load_image, *steps = _build(pipeline)
    results, defect = try_to_load(load_image, dict(img_path=img_path), min_size)
    if results is None:
        return Skipped(defect)
    before = _random_state()
    for step in steps:
        results = step(results)
        if results is None:
            return Skipped(f'{printable(img_path)} is rejected by {type(step).__name__}')
        if _random_state() != before:
            raise ValueError(
                f'{type(step).__name__} draws random numbers, so the superpixels differ in every epoch and cannot be '
                'stored: move it behind the step that computes superpixels, or compute superpixels in training'
            )
    if 'superpixels' not in results:
        raise ValueError(f'the steps {[type(step).__name__ for step in steps]} give no superpixels')
    return results['superpixels']


def store_superpixels(img_path: str, target: str, pipeline: bytes, min_size: int) -> Skipped | None:
    """Write the result of :func:`compute_superpixels` for an image to the file ``target``, completely or not at all."""
    superpixels = compute_superpixels(img_path, pipeline, min_size)
    if isinstance(superpixels, Skipped):
        return superpixels
    try:
        content = encode_superpixels(superpixels)
    except ValueError as error:
        raise ValueError(f'{printable(img_path)}: {error}') from error
    write_file(target, content)
    return None


@lru_cache(maxsize=1)
def _build(pipeline: bytes) -> list:
    with DefaultScope.overwrite_default_scope('mmvice'):
        return [TRANSFORMS.build(step) for step in pickle.loads(pipeline)]


def _random_state() -> tuple:
    name, keys, *rest = np.random.get_state()
    return name, keys.tobytes(), *rest, random.getstate(), torch.get_rng_state().numpy().tobytes()
