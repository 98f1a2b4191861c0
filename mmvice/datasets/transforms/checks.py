"""Checks of arguments and inputs that the transforms share."""

from typing import Any

import numpy as np


def check_probability(name: str, value: float) -> float:
    """Return ``value`` as a float; raise ValueError unless it is in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must lie in [0, 1], got {value!r}')
    return float(value)


def check_range(name: str, value: tuple[float, float]) -> tuple[float, float]:
    """Return ``value`` as (low, high); raise ValueError unless 0 < low <= high."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not 0 < value[0] <= value[1] < float('inf'):
        raise ValueError(f'{name} must be (low, high) with 0 < low <= high, got {value!r}')
    return float(value[0]), float(value[1])


def get_input(results: dict, key: str, made_by: str, transform: Any) -> Any:
    """Return ``results[key]``; raise a KeyError that names the missing step of the pipeline."""
    if key not in results:
        raise KeyError(
            f"{type(transform).__name__} needs '{key}'; put {made_by} before it in the pipeline. "
            f'The results hold {sorted(results)}'
        )
    return results[key]


def get_views(results: dict, transform: Any) -> np.ndarray:
    """Return ``results['views']``; raise ValueError unless it is uint8 (M, h, w, 3)."""
    views = get_input(results, 'views', 'ContextualViewCrop', transform)
    if not isinstance(views, np.ndarray) or views.dtype != np.uint8 or views.ndim != 4 or views.shape[3] != 3:
        raise ValueError(f"'views' must be a uint8 array (M, h, w, 3), got {_describe(views)}")
    return views


def get_view_superpixels(results: dict, transform: Any) -> np.ndarray:
    """Return ``results['view_superpixels']``; raise ValueError unless int32 (M, h, w) of ids, or -1 for no region."""
    ids = get_input(results, 'view_superpixels', 'ContextualViewCrop', transform)
    if not isinstance(ids, np.ndarray) or ids.dtype != np.int32 or ids.ndim != 3 or ids.size == 0:
        raise ValueError(f"'view_superpixels' must be an int32 array (M, h, w), not empty; got {_describe(ids)}")
    if ids.min() < -1:
        raise ValueError(f"'view_superpixels' must be ids from 0 on, or -1 for no region, got {ids.min()}")
    return ids


def get_view_masks(results: dict, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return ``results['view_masks']``, None without masks; raise ValueError unless it is bool of this shape."""
    masks = results.get('view_masks')
    if masks is not None and (not isinstance(masks, np.ndarray) or masks.dtype != bool or masks.shape != tuple(shape)):
        raise ValueError(f"'view_masks' must be a bool array {tuple(shape)} like the views, got {_describe(masks)}")
    return masks


def _describe(value: Any) -> str:
    return f'{value.dtype} {value.shape}' if isinstance(value, np.ndarray) else type(value).__name__
