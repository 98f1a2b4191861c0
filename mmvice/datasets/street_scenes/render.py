import cv2
import numpy as np

from .canvas import Camera, Canvas
from .layout import draw_street
from .light import add_haze, draw_light, expose
from .painting import paint_street

SUPERSAMPLING = 2


def render_street_scene(seed: int, index: int, size: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, np.ndarray]:
    """Scene ``index`` of the series ``seed``: image (H, W, 3) uint8 BGR and class ids (H, W) uint8.

    The result depends only on the arguments, not on earlier calls or a global generator. The image is drawn at twice
    the size and averaged. A pixel's label is that of its top left sub-pixel.

    Args:
        seed: Non-negative int.
        index: Non-negative int.
        size: (height, width) in pixels, at least 32 each.
    """
    height, width = size
    if min(height, width) < 32:
        raise ValueError(f'size must be at least (32, 32) for anything to be told apart, but is {tuple(size)}')
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index))))
    street, light = draw_street(generator), draw_light(generator)
    rows, columns = height * SUPERSAMPLING, width * SUPERSAMPLING
    camera = Camera(
        focal=columns * generator.uniform(0.75, 1.15),
        vanishing_point=(columns * generator.uniform(0.25, 0.75), rows * generator.uniform(0.36, 0.58)),
        height=generator.uniform(1.4, 2.3),
        bend=generator.normal(0, 0.0012),
    )
    canvas = Canvas(rows, columns, camera)
    paint_street(canvas, street, light, generator)

    labels = np.ascontiguousarray(canvas.label[::SUPERSAMPLING, ::SUPERSAMPLING])
    depth = np.ascontiguousarray(canvas.depth[::SUPERSAMPLING, ::SUPERSAMPLING])
    image = cv2.resize(canvas.image, (width, height), interpolation=cv2.INTER_AREA)
    return expose(add_haze(image, depth, light), light, generator), labels
