"""The authors' view generation step by step (Alg. 1, Sec. 3.1 and 3.2): PIL, torchvision, a mask for each region."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import CenterCrop, ColorJitter, Resize


def make_sample(
    file: Path,
    slic: Callable[..., np.ndarray],
    image_size: int = 320,
    view_size: int = 256,
    num_views: int = 5,
    region_size: int = 20,
) -> dict:
    """Everything from a file to a packed sample: ``inputs`` uint8 (M, 3, h, w), ``regions``, ``view_masks``."""
    image = Image.open(file).convert('RGB')
    image = CenterCrop(image_size)(Resize(image_size)(image))
    pixels = np.asarray(image)
    superpixels = slic(np.ascontiguousarray(pixels[..., ::-1]), region_size, 10.0, 5)
    boxes = draw_boxes(pixels, view_size, num_views)
    views = [cut_image(image, box, view_size) for box in boxes]
    ids = [cut_ids(superpixels, box, view_size) for box in boxes]
    masks = draw_masks(ids)
    for m in range(num_views):
        if random.random() < 0.5:
            views[m] = views[m].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            ids[m], masks[m] = ids[m][:, ::-1], masks[m][:, ::-1]
        views[m] = distort(views[m])
    regions, num_regions = number_regions(ids, masks)
    inputs = torch.stack([torch.from_numpy(np.array(view)).permute(2, 0, 1) for view in views])
    return dict(
        inputs=inputs,
        regions=torch.from_numpy(regions),
        view_masks=torch.from_numpy(np.stack(masks)),
        num_regions=num_regions,
    )


def content_map(pixels: np.ndarray) -> np.ndarray:
    """Probability (H, W) of the primary centre: widened, smoothed Canny edges with a floor."""
    grey = cv2.cvtColor(cv2.GaussianBlur(pixels, (3, 3), 0), cv2.COLOR_RGB2GRAY)
    edges = cv2.dilate(cv2.Canny(grey, 10, 50, L2gradient=True), np.ones((3, 3), np.uint8))
    weights = cv2.GaussianBlur(edges, (3, 3), 0).astype(np.float64) / 255 + 0.005
    return weights / weights.sum()


def draw_boxes(pixels: np.ndarray, view_size: int, num_views: int) -> list[tuple[int, int, int, int]]:
    """Boxes xyxy: the primary one, and one in each sector around its centre, shifted into the image."""
    height, width = pixels.shape[:2]
    probability = content_map(pixels)
    place = np.random.choice(height * width, p=probability.ravel())
    center_y, center_x = divmod(int(place), width)
    boxes = []
    for m in range(num_views):
        side = min(round(random.uniform(0.5, 1.5) * view_size), height, width)
        y, x = center_y, center_x
        if m > 0:
            angle = 2 * math.pi * (m - 1 + random.random()) / (num_views - 1)
            radius = random.random() * side / 2
            y, x = y + radius * math.sin(angle), x + radius * math.cos(angle)
        top = min(max(int(y - side / 2), 0), height - side)
        left = min(max(int(x - side / 2), 0), width - side)
        boxes.append((left, top, left + side, top + side))
    return boxes


def cut_image(image: Image.Image, box: tuple[int, int, int, int], size: int) -> Image.Image:
    """Cut a box out and resize it bilinearly."""
    return image.crop(box).resize((size, size), Image.Resampling.BILINEAR)


def cut_ids(superpixels: np.ndarray, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """The ids int32 (size, size) in a box, each that of the nearest pixel."""
    left, top, right, bottom = box
    part = Image.fromarray(np.ascontiguousarray(superpixels[top:bottom, left:right], dtype=np.int32))
    return np.asarray(part.resize((size, size), Image.Resampling.NEAREST))


def common_ids(ids: list[np.ndarray]) -> list[int]:
    """The superpixels that all views have, in order."""
    return sorted(set.intersection(*(set(np.unique(view).tolist()) for view in ids)))


def draw_masks(ids: list[np.ndarray]) -> list[np.ndarray]:
    """Per view the superpixels that a random rectangle touches, less a random quarter of the common ones."""
    common = common_ids(ids)
    preserved = set(random.sample(common, math.ceil(len(common) / 4)))
    masks = []
    for view in ids:
        height, width = view.shape
        h, w = random.randint(0, height // 4), random.randint(0, width // 4)
        top, left = random.randint(0, height - h), random.randint(0, width - w)
        mask = np.zeros(view.shape, bool)
        for superpixel in np.unique(view[top : top + h, left : left + w]):
            if int(superpixel) not in preserved:
                mask |= view == superpixel
        masks.append(mask)
    return masks


def distort(view: Image.Image) -> Image.Image:
    """Colour jitter of strength 1, greyscale and blur, each with its probability."""
    if random.random() < 0.8:
        view = ColorJitter(0.8, 0.8, 0.8, 0.2)(view)
    if random.random() < 0.2:
        view = view.convert('L').convert('RGB')
    if random.random() < 0.5:
        view = view.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))
    return view


def number_regions(ids: list[np.ndarray], masks: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """A mask for each common superpixel in each view; those masked nowhere are numbered.

    Returns:
        Regions int32 (M, h, w), -1 for none, and their number.
    """
    regions = np.full((len(ids), *ids[0].shape), -1, np.int32)
    number = 0
    for superpixel in common_ids(ids):
        region_masks = [view == superpixel for view in ids]
        if any((region & mask).any() for region, mask in zip(region_masks, masks)):
            continue
        for view, region in zip(regions, region_masks):
            view[region] = number
        number += 1
    return regions, number
