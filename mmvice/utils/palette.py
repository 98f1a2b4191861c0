"""Distinguishable colours."""

from functools import lru_cache

import numpy as np


def palette(num_colors: int) -> np.ndarray:
    """Colours with large mutual distances, the most different ones first.

    Each colour is the point of an sRGB grid that is farthest, in CIELAB, from the previous colours, white and black.
    The first n colours are therefore the same for any ``num_colors``. After about 800 they repeat.

    Args:
        num_colors: Number of colours.

    Returns:
        numpy.ndarray: uint8 (num_colors, 3), RGB.

    Example:
        >>> palette(3).tolist()
        [[240, 30, 60], [150, 60, 200], [0, 150, 0]]
    """
    colors = _farthest_colors(num_colors)
    return colors[np.arange(num_colors) % max(len(colors), 1)]


@lru_cache(maxsize=8)
def _farthest_colors(num_colors: int) -> np.ndarray:
    levels = np.array([0, 30, 60, 90, 120, 150, 180, 200, 225, 240, 255])
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing='ij'), -1).reshape(-1, 3)
    lab = cielab(candidates)
    chroma = np.linalg.norm(lab[:, 1:], axis=1)
    usable = (lab[:, 0] > 30) & (lab[:, 0] < 90) & (chroma < 85)  # neither lost on white or black, nor glaring
    candidates, lab = candidates[usable], lab[usable]
    reserved = cielab(np.array([[0, 0, 0], [255, 255, 255]]))
    distance = np.linalg.norm(lab[:, None] - reserved, axis=2).min(1)
    chosen = np.zeros(min(num_colors, len(candidates)), dtype=np.int64)
    for i in range(len(chosen)):
        chosen[i] = distance.round(3).argmax()
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[i]], axis=1))
    return candidates[chosen].astype(np.uint8)


def cielab(rgb: np.ndarray) -> np.ndarray:
    """sRGB 0..255 (n, 3) to CIELAB (D65)."""
    srgb = rgb / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    x, y, z = (linear @ to_xyz.T / [0.95047, 1.0, 1.08883]).T
    x, y, z = (np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
