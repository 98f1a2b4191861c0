"""Colours, label maps and panels."""

import cv2
import numpy as np
import pytest

from mmvice.visualization import draw_labels, enlarge_small, fit_within, gallery_page, legend, palette, panel, stack
from mmvice.visualization.gallery import Legend


def test_palette_has_distinct_colours_whose_beginning_does_not_depend_on_their_number():
    colors = palette(256)
    assert colors.dtype == np.uint8 and len(np.unique(colors, axis=0)) == 256
    np.testing.assert_array_equal(palette(7), colors[:7])
    lab = cv2.cvtColor(palette(20).astype(np.float32)[None] / 255, cv2.COLOR_RGB2LAB)[0]
    distances = np.linalg.norm(lab[:, None] - lab, axis=2) + np.eye(20) * 1000
    assert distances.min() > 25  # a difference of 2 can be seen


def test_palette_repeats_where_there_are_no_more_colours():
    colors = palette(3000)
    assert colors.shape == (3000, 3)
    assert palette(0).shape == (0, 3)


def test_label_colours_are_blended_and_unknown_ids_leave_the_image():
    labels = np.array([[0, 1], [255, -1]])
    image = np.full((2, 2, 3), 100, np.uint8)
    colors = [[200, 0, 0], [0, 200, 0]]
    drawn = draw_labels(labels, colors, image, alpha=0.5, border=False)
    np.testing.assert_array_equal(drawn, [[[150, 50, 50], [50, 150, 50]], [[100] * 3, [100] * 3]])
    np.testing.assert_array_equal(draw_labels(labels, colors, border=False)[0], colors)
    assert (image == 100).all()


def test_borders_lie_between_labels_only():
    labels = np.zeros((6, 6), np.int64)
    labels[:, 3:] = 1
    with_borders = draw_labels(labels, palette(2), border=True)
    changed = (with_borders != draw_labels(labels, palette(2), border=False)).any(2)
    np.testing.assert_array_equal(np.flatnonzero(changed.any(0)), [3])


def test_draw_labels_names_what_does_not_fit():
    with pytest.raises(ValueError, match='integer'):
        draw_labels(np.zeros((2, 2)), palette(2))
    with pytest.raises(ValueError, match=r'\(2, 2, 3\)'):
        draw_labels(np.zeros((2, 2), int), palette(2), np.zeros((4, 4, 3), np.uint8))


def test_panel_keeps_every_picture_pixel_for_pixel():
    rng = np.random.default_rng(0)
    red, green, blue = (rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in ((20, 30), (10, 40), (15, 25)))
    sheet = panel([[red, green], [None, blue]], ['left', 'right'], ['first', 'a long name ' * 9], gap=5)
    assert sheet.shape[1] == 5 + 30 + 5 + 40 + 5
    windows = np.lib.stride_tricks.sliding_window_view
    for picture in (red, green, blue):
        found = windows(sheet, picture.shape)[:, :, 0]
        assert (found == picture).all((2, 3, 4)).sum() == 1


def test_panel_refuses_what_it_cannot_lay_out():
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match='at least one'):
        panel([[None]])
    with pytest.raises(ValueError, match='titles'):
        panel([[picture, picture]], ['one'])


def test_sizes():
    image = np.zeros((300, 100, 3), np.uint8)
    assert fit_within(image, 150).shape == (150, 50, 3)
    assert fit_within(image, 300) is image
    np.testing.assert_array_equal(enlarge_small(np.array([[1, 2]]), 2), [[1, 1, 2, 2], [1, 1, 2, 2]])
    assert enlarge_small(image, 90).shape == image.shape
    assert stack([image, image[:, :50]]).shape == (600, 100, 3)


def test_legend_wraps_and_shows_every_colour():
    colors = palette(12)
    picture = legend([f'class {i}' for i in range(12)], colors, 200)
    assert picture.shape[1] == 200
    pixels = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
    assert pixels >= {tuple(color) for color in colors.tolist()}


def test_page_is_self_contained_and_escapes_names():
    picture = np.zeros((8, 8, 3), np.uint8)
    entry = Legend('classes', ['<b>', 'sky'], palette(2))
    page = gallery_page('a & b', {'x': '<y>'}, [entry], ['image'], [('<script>"', [picture]), ('\udcff', [picture])])
    assert '<script' not in page and '<b>' not in page and 'a &amp; b' in page
    assert page.count('src="data:image/jpeg;base64,') == 2 and 'http' not in page
