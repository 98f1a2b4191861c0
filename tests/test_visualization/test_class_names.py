"""Names of classes: whole, readable, in the area of their class and on no other name."""

import numpy as np
import pytest

from mmvice.utils.palette import palette
from mmvice.visualization import class_names, draw_class_names
from mmvice.visualization.class_names import place_box

HEIGHT, WIDTH = 60, 80
SIZE = 30, 12
EDGES = {
    'top': np.s_[:2, :],
    'bottom': np.s_[-2:, :],
    'left': np.s_[:, :2],
    'right': np.s_[:, -2:],
    'corner': np.s_[-1:, -1:],
    'upper left corner': np.s_[:1, :1],
    'a pole': np.s_[5:50, 70:72],
    'everywhere': np.s_[:, :],
}


def mask(area) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[area] = True
    return found


def check_place(area: np.ndarray, box) -> None:
    left, top, right, bottom = box
    assert (right - left, bottom - top) == SIZE
    assert 0 <= left and right <= WIDTH and 0 <= top and bottom <= HEIGHT
    assert area[top:bottom, left:right].any()


@pytest.mark.parametrize('edge', EDGES)
def test_a_box_is_in_the_picture_and_over_its_class_wherever_that_is(edge):
    check_place(mask(EDGES[edge]), place_box(mask(EDGES[edge]), SIZE))


def test_a_box_lies_around_the_innermost_pixel():
    two = mask(np.s_[10:31, 20:61]) | mask(np.s_[40:45, :])
    left, top, right, bottom = place_box(two, SIZE)
    assert (top + bottom) // 2 == 20 and 25 < (left + right) // 2 < 55


def test_a_place_that_is_taken_is_passed_over_and_a_name_without_place_left_out():
    area, taken = mask(np.s_[20:40, :]), []
    while (box := place_box(area, SIZE, taken)) is not None:
        check_place(area, box)
        assert all(
            box[2] <= left or right <= box[0] or box[3] <= top or bottom <= box[1] for left, top, right, bottom in taken
        )
        taken.append(box)
    assert len(taken) == 2
    assert place_box(area, (WIDTH + 1, 5)) is None and place_box(area, (5, HEIGHT + 1)) is None


def drawn(monkeypatch, labels, names, colors) -> dict[str, tuple]:
    """Where each name is written, and in which ink."""
    written = {}

    class Pen(class_names.ImageDraw.ImageDraw):
        def text(self, place, text, fill, **kwargs):
            written[text] = (*place, fill)
            super().text(place, text, fill, **kwargs)

    monkeypatch.setattr(class_names.ImageDraw, 'Draw', Pen)
    picture = draw_class_names(np.zeros((*labels.shape, 3), np.uint8), labels, names, colors)
    assert picture.shape == (*labels.shape, 3) and (picture != 0).any() == bool(written)
    return written


def test_the_widest_row_at_the_bottom_and_narrow_classes_at_the_right_have_names(monkeypatch):
    labels = np.zeros((240, 320), np.uint8)
    for y in range(120, 240):  # a road, the wider the lower
        labels[y, 240 - y : 80 + y] = 1
    labels[100:180, -9:] = 2
    labels[0, 0] = 255
    written = drawn(monkeypatch, labels, ['building', 'road', 'pedestrian', 'absent'], palette(4))
    assert set(written) == {'building', 'road', 'pedestrian'}
    for label, name in enumerate(['building', 'road']):
        x, y, _ = written[name]
        assert labels[int(y), int(x)] == label


def test_the_larger_class_keeps_its_name(monkeypatch):
    """Two classes in every second row, where there is room for one name alone."""
    labels = np.full((20, 60), 2, np.int64)
    labels[::2] = 1
    labels[1, :30] = 1
    assert set(drawn(monkeypatch, labels, ['a', 'the larger', 'the other'], palette(3))) == {'the larger'}


@pytest.mark.parametrize(
    'color, ink',
    [((128, 128, 128), 0), ((192, 192, 128), 0), ((255, 255, 0), 0), ((64, 0, 128), 255), ((0, 0, 192), 255)],
)
def test_ink_is_black_on_light_and_white_on_dark(monkeypatch, color, ink):
    [(*_, found)] = drawn(monkeypatch, np.zeros((50, 70), int), ['sky'], [color]).values()
    assert found == (ink, ink, ink)


def test_any_name_is_written_into_any_picture(monkeypatch):
    long = 'a name that is longer than the picture is wide'
    [text] = drawn(monkeypatch, np.zeros((30, 70), int), [long], palette(1))
    assert '…' in text
    assert drawn(monkeypatch, np.zeros((5, 4), int), [long], palette(1)) == {}
    assert drawn(monkeypatch, np.full((30, 70), 255), ['a'], palette(1)) == {}
    assert set(drawn(monkeypatch, np.zeros((30, 70), int), ['Straße'], palette(1))) == {'Straße'}
