"""Step 5: distort the colours of views."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvice.datasets.transforms.checks import check_probability, get_views
from mmvice.registry import TRANSFORMS
from mmvice.utils.jit import jit

GREY_WEIGHTS = np.array([0.114, 0.587, 0.299])  # of B, G, R


@TRANSFORMS.register_module()
class ViewColorDistortion(BaseTransform):
    """Distort the colours of each view as in SimCLR (Sec. 3.2; Chen et al., ICML 2020, App. A).

    With probability ``jitter_prob``, the view is jittered like by torchvision's ColorJitter, in random order.
    Brightness, contrast and saturation are multiplied by factors in ``1 ± 0.8 strength``. The hue is turned by up to
    ``0.2 strength`` of a full circle. Then, with probability ``grey_prob``, the view turns grey, at any strength.

    Required Keys:

    - views: uint8 (M, h, w, 3), BGR

    Modified Keys:

    - views

    Args:
        strength: 0 (no jitter) to 2.5 (any hue).
        jitter_prob: probability of jitter, drawn for each view independently.
        grey_prob: probability of a grey view, drawn for each view independently.
    """

    def __init__(self, strength: float = 1.0, jitter_prob: float = 0.8, grey_prob: float = 0.2) -> None:
        if not 0 <= strength <= 2.5:
            raise ValueError(
                f'strength must lie in [0, 2.5]: the hue turns by 0.2 of it, at most 0.5; got {strength!r}'
            )
        self.strength = float(strength)
        self.jitter_prob = check_probability('jitter_prob', jitter_prob)
        self.grey_prob = check_probability('grey_prob', grey_prob)

    def transform(self, results: dict) -> dict:
        results['views'] = np.stack([self._distort(view) for view in get_views(results, self)])
        return results

    def _distort(self, view: np.ndarray) -> np.ndarray:
        """Distort one view (h, w, 3)."""
        jitters, turns_grey = np.random.rand(2) < (self.jitter_prob, self.grey_prob)
        if jitters:
            spread, turn = 0.8 * self.strength, 0.2 * self.strength
            factors = np.random.uniform(max(0.0, 1 - spread), 1 + spread, 3)
            hue = np.random.uniform(-turn, turn)
            steps = (
                (adjust_brightness, factors[0]),
                (adjust_contrast, factors[1]),
                (adjust_saturation, factors[2]),
                (adjust_hue, hue),
            )
            for i in np.random.permutation(len(steps)):
                adjust, factor = steps[i]
                view = adjust(view, factor)
        return adjust_saturation(view, 0.0) if turns_grey else view

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(strength={self.strength}, jitter_prob={self.jitter_prob}, '
            f'grey_prob={self.grey_prob})'
        )


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply a uint8 (h, w, 3) image by a factor."""
    return _scale_levels(image.reshape(-1), 0.0, float(factor)).reshape(image.shape)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Move a uint8 (h, w, 3) BGR image away from (factor > 1) or towards (factor < 1) its mean grey."""
    mean = np.dot(cv2.mean(image)[:3], GREY_WEIGHTS)
    return _scale_levels(image.reshape(-1), float(mean), float(factor)).reshape(image.shape)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Move a uint8 (h, w, 3) BGR image away from (factor > 1) or towards (factor < 1) its grey image."""
    return cv2.transform(image, factor * np.eye(3) + (1 - factor) * GREY_WEIGHTS)


def adjust_hue(image: np.ndarray, turn: float) -> np.ndarray:
    """Turn the hue of a uint8 (h, w, 3) BGR image by a share of the full circle, in [-0.5, 0.5]."""
    planes = [plane.reshape(-1) for plane in cv2.split(image)]
    turned = _turn_hue(*planes, turn).reshape(3, *image.shape[:2])
    return cv2.merge(list(turned)).reshape(image.shape)


@jit
def _scale_levels(levels, pivot, factor):
    """Multiply the distances of levels uint8 (n,) from a pivot: uint8 (n,), clipped to 0..255, rounded down."""
    scaled = np.empty(levels.size, np.uint8)
    for i in range(levels.size):
        level = min(max(pivot + (levels[i] - pivot) * factor, 0.0), 255.0)
        scaled[i] = np.uint8(np.int32(level))
    return scaled


@jit
def _turn_hue(blue, green, red, turn):
    """Turn the hue of pixels given as three uint8 (n,): uint8 (3, n).

    With value v, chroma c and hue h in sextants, a channel is ``v - c * clip(min(k, 4 - k), 0, 1)``, where k is ``(h +
    n) mod 6`` with n = 1 for blue, 3 for green and 5 for red. The compiler vectorises selections, but not branches.
    """
    turned = np.empty((3, red.size), np.uint8)
    new_blue, new_green, new_red = turned[0], turned[1], turned[2]
    one, sextants = np.float32(1), np.float32(6 * turn + 6)
    for i in range(red.size):
        b, g, r = np.float32(blue[i]), np.float32(green[i]), np.float32(red[i])
        value = max(r, g, b)
        chroma = value - min(r, g, b)
        scale = one / (chroma if chroma > 0 else one)
        of_green, of_blue = (b - r) * scale + np.float32(2), (r - g) * scale + np.float32(4)
        hue = sextants + ((g - b) * scale if value == r else (of_green if value == g else of_blue))
        new_blue[i] = _hue_channel(value, chroma, hue + one)
        new_green[i] = _hue_channel(value, chroma, hue + np.float32(3))
        new_red[i] = _hue_channel(value, chroma, hue + np.float32(5))
    return turned


@jit
def _hue_channel(value, chroma, k):
    """One channel of a pixel, as in :func:`_turn_hue`."""
    zero, one = np.float32(0), np.float32(1)
    k -= np.float32(6) * np.floor(k * np.float32(1 / 6))
    level = value - chroma * max(min(k, np.float32(4) - k, one), zero)
    return np.uint8(np.int32(level + np.float32(0.5)))
