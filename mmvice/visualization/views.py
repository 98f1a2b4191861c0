"""Pictures of the views that the network is trained on, as in Fig. 3 of the paper."""

import cv2
import numpy as np
import torch

from mmvice.structures.views_data_sample import ViewsDataSample

GOLDEN_RATIO = 0.618034
GAP = 4  # pixels between two pictures


def draw_views(
    views: np.ndarray, regions: np.ndarray, view_masks: np.ndarray | None = None, min_side: int = 192
) -> np.ndarray:
    """Draw the views of one image side by side, the primary view first, in three rows.

    1. The network's input, with noise for masked pixels. 2. The mutual image region, outlined in white; the rest is
    darkened, and hatched where it is masked. 3. The mutual regions: each has the same colour in all views, and a white
    border; masked pixels are hatched.

    Args:
        views: uint8 (M, h, w, 3), RGB or BGR.
        regions: int (M, h, w), ids of mutual regions, -1 elsewhere.
        view_masks: bool (M, h, w), masked pixels; None for none.
        min_side: smaller views are enlarged by the smallest whole factor that reaches this side; 1 draws them
            unchanged.

    Returns:
        uint8 (3 rows, M columns of pictures), in the channel order of the views.

    Raises:
        ValueError: for arrays of other shapes.
    """
    views, regions = np.asarray(views), np.asarray(regions)
    if views.ndim != 4 or views.shape[3] != 3 or views.dtype != np.uint8:
        raise ValueError(f'views must be uint8 (M, h, w, 3), got {views.dtype} {views.shape}')
    masks = np.zeros(regions.shape, bool) if view_masks is None else np.asarray(view_masks, bool)
    if regions.shape != views.shape[:3] or masks.shape != views.shape[:3]:
        raise ValueError(
            f'regions and view_masks must be {views.shape[:3]} like the views, got {regions.shape} and {masks.shape}'
        )
    factor = -(-min_side // min(views.shape[1:3]))
    views, regions, masks = (array.repeat(factor, axis=1).repeat(factor, axis=2) for array in (views, regions, masks))
    rows = (
        _draw_masked(views, masks, factor),
        _draw_mutual(views, regions, masks),
        _draw_regions(views, regions, masks),
    )
    rows = [np.concatenate(_with_gaps(list(row), axis=1), axis=1) for row in rows]
    return np.concatenate(_with_gaps(rows, axis=0), axis=0)


def draw_sample(inputs: torch.Tensor, data_sample: ViewsDataSample, min_side: int = 192) -> np.ndarray:
    """Draw what PackViCEInputs packed; see :func:`draw_views`.

    Args:
        inputs: uint8 (M, 3, h, w).
        data_sample: its regions, and masks if there are any.
        min_side: as in :func:`draw_views`.

    Returns:
        uint8 (rows, columns, 3) in the channel order of ``inputs``: BGR from mmvice's pipelines.
    """
    masks = data_sample.view_masks.cpu().numpy() if 'view_masks' in data_sample else None
    views = inputs.permute(0, 2, 3, 1).cpu().numpy()
    return draw_views(views, data_sample.regions.cpu().numpy(), masks, min_side)


def region_colors(num_regions: int) -> np.ndarray:
    """Choose colours for ids 0..num_regions-1, at least one: uint8 (num_regions, 3), neighbours far apart."""
    ids = np.arange(num_regions)
    hsv = np.stack([ids * GOLDEN_RATIO % 1 * 255, 150 + ids * 7 % 4 * 35, 255 - ids * 5 % 3 * 45], axis=1)
    return cv2.cvtColor(hsv.astype(np.uint8).reshape(-1, 1, 3), cv2.COLOR_HSV2RGB_FULL).reshape(-1, 3)


def _draw_masked(views: np.ndarray, masks: np.ndarray, factor: int) -> np.ndarray:
    """Replace masked pixels by noise, as coarse as the views' own pixels."""
    shape = (*(side // factor for side in views.shape[1:3]), 3)
    noise = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    return np.where(masks[..., None], noise.repeat(factor, axis=0).repeat(factor, axis=1), views)


def _draw_mutual(views: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Darken pixels outside mutual regions, outline the others, and hatch masked pixels."""
    mutual = regions >= 0
    drawn = np.where(mutual[..., None], views, views // 4)
    drawn[_borders(mutual)] = 255
    return _hatch(drawn, masks)


def _draw_regions(views: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Colour the mutual regions over the darkened grey view, with white borders."""
    grey = views.mean(axis=3, keepdims=True) * np.ones(3)
    mutual = regions >= 0
    colors = region_colors(int(regions.max(initial=0)) + 1).astype(float)
    drawn = grey / 4
    drawn[mutual] = 0.3 * grey[mutual] + 0.7 * colors[regions[mutual]]
    drawn[_borders(regions)] = 255
    return _hatch(drawn.astype(np.uint8), masks)


def _borders(labels: np.ndarray) -> np.ndarray:
    """Find the pixels whose right or lower neighbour has another label: bool (M, h, w)."""
    borders = np.zeros(labels.shape, bool)
    borders[:, :, :-1] |= labels[:, :, :-1] != labels[:, :, 1:]
    borders[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return borders


def _hatch(pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Draw diagonal lines over masked pixels."""
    y, x = np.indices(masks.shape[1:])
    lines = masks & ((x + y) % 8 < 2)
    return np.where(lines[..., None], np.uint8(160), pictures)


def _with_gaps(pictures: list[np.ndarray], axis: int) -> list[np.ndarray]:
    """Put a white stripe between neighbours."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    stripe = np.full(shape, 255, np.uint8)
    return [piece for picture in pictures for piece in (stripe, picture)][1:]
