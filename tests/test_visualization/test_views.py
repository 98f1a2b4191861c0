import numpy as np
import pytest

from mmvice.visualization.views import GAP, draw_views, region_colors


def pictures(drawn, num_views, height, width):
    """Cut a panel into its pictures: (3, num_views, height, width, 3)."""
    assert drawn.shape == (3 * height + 2 * GAP, num_views * width + (num_views - 1) * GAP, 3)
    rows = [drawn[r * (height + GAP) :][:height] for r in range(3)]
    return np.array([[row[:, c * (width + GAP) :][:, :width] for c in range(num_views)] for row in rows])


@pytest.fixture
def sample():
    views = np.random.RandomState(0).randint(0, 200, (2, 12, 16, 3), dtype=np.uint8)
    regions = np.full((2, 12, 16), -1)
    regions[0, 2:6, 2:8], regions[0, 6:10, 2:8] = 0, 1
    regions[1, 0:4, 6:12], regions[1, 4:9, 6:12] = 0, 1
    masks = np.zeros((2, 12, 16), bool)
    masks[0, :, 10:] = True
    return views, regions, masks


def test_views_and_mutual_regions_are_shown_and_the_rest_is_darker(sample):
    views, regions, masks = sample
    shown, mutual, _ = pictures(draw_views(views, regions, masks, min_side=1), 2, 12, 16)
    np.testing.assert_array_equal(shown[~masks], views[~masks])
    assert (shown[masks] != views[masks]).mean() > 0.9
    np.testing.assert_array_equal(mutual[0, 3:9, 3:7], views[0, 3:9, 3:7])
    np.testing.assert_array_equal(mutual[1, 10:, :5], views[1, 10:, :5] // 4)


def test_a_region_has_one_color_in_all_views(sample):
    views, regions, _ = sample
    _, _, colored = pictures(draw_views(np.zeros_like(views), regions, min_side=1), 2, 12, 16)
    first, second = colored[0, 3, 3], colored[0, 8, 3]
    np.testing.assert_array_equal(colored[1, 1, 8], first)
    np.testing.assert_array_equal(colored[1, 6, 8], second)
    assert abs(first.astype(int) - second).max() > 60
    np.testing.assert_array_equal(colored[0, 5, 2:8], np.full((6, 3), 255))  # the border between them
    np.testing.assert_array_equal(colored[0, 0, 0], np.zeros(3))


def test_small_views_are_enlarged_by_whole_factors(sample):
    views, regions, masks = sample
    shown = pictures(draw_views(views, regions, masks, min_side=30), 2, 36, 48)[0]
    np.testing.assert_array_equal(shown[1], views[1].repeat(3, 0).repeat(3, 1))


def test_draws_without_any_region(sample):
    views = sample[0]
    mutual = pictures(draw_views(views, np.full(views.shape[:3], -1), min_side=1), 2, 12, 16)[1]
    np.testing.assert_array_equal(mutual, views // 4)


def test_neighbouring_ids_have_different_colors():
    colors = region_colors(500).astype(int)
    assert abs(np.diff(colors, axis=0)).max(axis=1).min() > 60


def test_rejects_other_shapes(sample):
    views, regions, masks = sample
    with pytest.raises(ValueError, match='regions'):
        draw_views(views, regions[:, 1:], masks)
    with pytest.raises(ValueError, match='views'):
        draw_views(views[..., 0], regions, masks)
