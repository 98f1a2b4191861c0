"""Means of areas are OpenCV's, and those that the definition gives."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmvice.ops.area_resize import shrink_by_area


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_is_that_of_opencv(height, width, new_height, new_width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    new_height, new_width = min(height, new_height), min(width, new_width)
    expected = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(shrink_by_area(image, new_height, new_width), expected)


def test_is_the_mean_of_the_area_under_each_pixel():
    image = np.random.default_rng(0).integers(0, 256, (35, 28, 3), np.uint8)
    fine = np.kron(image.astype(float), np.ones((24, 10, 1)))  # 840 x 280 parts, of which 24 x 20 fall on 35 x 14
    expected = fine.reshape(24, 35, 20, 14, 3).mean((1, 3))
    assert np.abs(shrink_by_area(image, 24, 20) - expected).max() <= 0.5 + 1e-3


def test_takes_parts_of_images_and_single_channels():
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    part = image[3:, 7:45]
    np.testing.assert_array_equal(shrink_by_area(part, 20, 30), shrink_by_area(part.copy(), 20, 30))
    assert shrink_by_area(image[..., :1], 20, 30).shape == (20, 30, 1)
    assert shrink_by_area(image[..., :1], 15, 25).shape == (15, 25, 1)


@pytest.mark.parametrize('size', [(0, 5), (31, 5), (5, 51)])
def test_a_size_that_is_no_smaller_one_is_named(size):
    with pytest.raises(ValueError, match=f'1x1..30x50, got {size[0]}x{size[1]}'):
        shrink_by_area(np.zeros((30, 50, 3), np.uint8), *size)
