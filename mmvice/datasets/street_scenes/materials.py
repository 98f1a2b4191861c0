"""Colours (BGR, 0..255) and textures. The colour ranges of the classes overlap."""

from functools import lru_cache

import cv2
import numpy as np

TILE = 256
# BGR hues that things are made of; greys are drawn apart, for they are what most of a street is made of
_BRICK, _SAND, _BROWN, _GREEN, _BLUE, _CREAM, _RED, _OLIVE = (
    *((62, 74, 128), (126, 160, 184), (56, 78, 104), (62, 108, 70)),
    *((142, 104, 70), (176, 202, 212), (52, 52, 158), (66, 104, 108)),
)
_HUES = {
    'building': (_BRICK, _SAND, _BROWN, _GREEN, _BLUE, _CREAM, _BRICK, _SAND, _OLIVE),
    'vegetation': (_GREEN, _OLIVE, _BROWN, _GREEN, _BRICK, (52, 96, 142), (48, 62, 50), _GREEN),
    'vehicle': (_RED, _BLUE, _GREEN, _SAND, _BROWN, _CREAM, _OLIVE, (44, 120, 170)),
    'person': (_RED, _BLUE, _GREEN, _BROWN, _SAND, _CREAM, _OLIVE),
    'pole': (_GREEN, _BROWN, _SAND),
    'road': (_BROWN, _SAND),
    'sidewalk': (_BRICK, _SAND, _BROWN),
}
_GREY_SHARE = dict(building=0.4, vegetation=0.12, vehicle=0.6, person=0.5, pole=0.75, road=0.75, sidewalk=0.7)
_GREY_RANGE = dict(
    building=(45, 215),
    vegetation=(40, 110),
    vehicle=(20, 235),
    person=(20, 190),
    pole=(30, 190),
    road=(55, 150),
    sidewalk=(75, 190),
)


def draw_colour(generator: np.random.Generator, kind: str) -> np.ndarray:
    """A base colour for a thing of a kind (float64 (3,))."""
    chance, place, first, second, third = generator.random(5).tolist()
    if chance < _GREY_SHARE[kind]:
        low, high = _GREY_RANGE[kind]
        grey = low + (high - low) * place
        colour = [grey * (0.94 + 0.12 * tint) for tint in (first, second, third)]
    else:
        hues = _HUES[kind]
        hue = hues[int(place * len(hues))]
        saturation = 0.35 + 0.4 * first if kind in ('road', 'sidewalk') else 0.6 + 0.55 * first
        grey, brightness = sum(hue) / 3, 0.65 + 0.65 * second
        colour = [(grey + (channel - grey) * saturation) * brightness for channel in hue]
    return np.array([min(max(channel, 5.0), 250.0) for channel in colour])


@lru_cache(maxsize=1)
def noise_tiles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three periodic (TILE, TILE) float32 tiles of zero mean and unit deviation: grain, blotches, clouds."""
    generator = np.random.Generator(np.random.PCG64(20210))
    return tuple(_octaves(generator, scales) for scales in ((1, 2), (2, 4, 8, 16), (8, 16, 32, 64)))


def _octaves(generator: np.random.Generator, scales: tuple[int, ...]) -> np.ndarray:
    total = np.zeros((TILE, TILE), np.float32)
    for scale in scales:
        coarse = generator.standard_normal((TILE // scale,) * 2).astype(np.float32)
        wrapped = np.pad(coarse, 2, mode='wrap')
        fine = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += fine[2 * scale :, 2 * scale :][:TILE, :TILE] * scale**0.5
    return (total - total.mean()) / total.std()


def noise_patch(generator: np.random.Generator, tile: int, height: int, width: int, stretch: float = 1) -> np.ndarray:
    """A (height, width) window of a noise tile at a random place, its pattern enlarged ``stretch`` times."""
    grain = noise_tiles()[tile]
    row, column = generator.integers(TILE, size=2).tolist()
    rows, columns = max(int(height / stretch), 1), max(int(width / stretch), 1)
    if max(row + rows, column + columns) <= TILE:
        window = grain[row : row + rows, column : column + columns]
    else:
        window = grain[np.ix_(np.arange(row, row + rows) % TILE, np.arange(column, column + columns) % TILE)]
    if (rows, columns) == (height, width):
        return window
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)


_WALL, _BAND, _FRAME, _LIT, _EAVES, _SHOP, _FASCIA, _DOOR = range(8)
_PANES = np.array([[96, 84, 72], [150, 132, 116], [70, 72, 74]], np.float64)


def facade(generator: np.random.Generator, width: float, height: float, lit: float, scale: float) -> np.ndarray:
    """A house front of ``width`` x ``height`` metres as a texture (h, w, 3) uint8 of ``scale`` px a metre.

    ``lit`` is the share of windows with light behind them.
    """
    h, w = max(int(height * scale), 6), max(int(width * scale), 6)
    rows, columns = np.arange(h, 0, -1) / scale, np.arange(w) / scale
    wall, draw = draw_colour(generator, 'building'), generator.random(12).tolist()
    materials = np.zeros((256, 3))
    materials[_WALL], materials[_BAND], materials[_EAVES] = wall, wall * (0.7 + 0.55 * draw[0]), wall * (0.5 + draw[1])
    materials[_FRAME], materials[_LIT] = wall * (0.6 + 0.9 * draw[2]), (140, 205, 240)
    materials[_SHOP], materials[_FASCIA] = draw_colour(generator, 'vehicle') * 0.5, draw_colour(generator, 'vehicle')
    materials[_DOOR] = materials[_SHOP] * 0.5
    materials[8:12] = _PANES[int(draw[3] * 3)] * np.array([[0.35], [0.55], [0.75], [1.0]])

    storey, bay = 2.6 + 1.2 * draw[4], 1.6 + 2 * draw[5]
    bands = (rows % storey < 0.25) & (draw[6] < 0.5)
    index = np.repeat(np.where(bands, _BAND, _WALL).astype(np.uint8)[:, None], w, 1)
    sideways, upwards = np.abs(columns / bay % 1 - 0.5), np.abs(rows / storey % 1 - 0.52)
    wide, tall = 0.2 + 0.26 * draw[7], 0.2 + 0.18 * draw[8]
    index[np.ix_(upwards < tall + 0.04, sideways < wide + 0.06)] = _FRAME
    panes = generator.random((int(rows[0] / storey) + 1, int(columns[-1] / bay) + 1))
    panes = np.where(panes < lit, _LIT, 8 + (panes * 4)).astype(np.uint8)
    inside_y, inside_x = np.flatnonzero(upwards < tall), np.flatnonzero(sideways < wide)
    pane_y, pane_x = (rows[inside_y] / storey).astype(int), (columns[inside_x] / bay).astype(int)
    index[np.ix_(inside_y, inside_x)] = panes[np.ix_(pane_y, pane_x)]
    if draw[9] < 0.5:
        index[rows < storey * 0.98] = _FASCIA
        index[rows < storey * 0.72] = _SHOP
        index[np.ix_(rows < 2.1, columns % (5 + 4 * draw[0]) < 1.0)] = _DOOR
        index[np.ix_(rows < storey * 0.72, columns % (1.2 + 2 * draw[1]) < 0.2)] = _FRAME
    index[rows > height - 0.3 - 0.4 * draw[10]] = _EAVES

    relief = cv2.convertScaleAbs(noise_patch(generator, 1, h, w), alpha=128 * (0.02 + 0.07 * draw[2]), beta=128)
    if draw[11] < 0.45 and scale > 4:
        course = 0.25 + 0.35 * draw[8]
        relief[rows % course < 0.13] = 128 * (0.75 + 0.45 * draw[3])
    colours = np.minimum(materials, 250).astype(np.uint8)[:, None]
    texture = cv2.LUT(cv2.merge([index] * 3), colours)
    return cv2.multiply(texture, cv2.merge([relief] * 3), scale=1 / 128)
