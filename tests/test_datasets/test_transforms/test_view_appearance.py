import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as torchvision_functional
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.datasets.transforms import ViewColorDistortion, ViewGaussianBlur
from mmvice.datasets.transforms.view_color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)


def random_views(num_views=4, side=32, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (num_views, side, side, 3), dtype=np.uint8)


def on_bgr(function, image, factor):
    """Apply a function of torchvision, which takes RGB."""
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))
    return function(rgb, factor).numpy().transpose(1, 2, 0)[..., ::-1].astype(int)


@pytest.mark.parametrize(
    ('ours', 'theirs', 'factors', 'tolerance', 'mean_tolerance'),
    [
        (adjust_brightness, torchvision_functional.adjust_brightness, (0, 2), 1, 1),
        (adjust_contrast, torchvision_functional.adjust_contrast, (0, 2), 1, 1),
        (adjust_saturation, torchvision_functional.adjust_saturation, (0, 2), 2, 1.5),
        (adjust_hue, torchvision_functional.adjust_hue, (-0.5, 0.5), 2, 1),
    ],
)
@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100))
def test_adjustments_are_torchvisions(ours, theirs, factors, tolerance, mean_tolerance, share, seed):
    image = random_views(1, seed=seed)[0]
    factor = factors[0] + share * (factors[1] - factors[0])
    difference = abs(ours(image, factor).astype(int) - on_bgr(theirs, image, factor))
    assert difference.max() <= tolerance
    assert difference.mean() <= mean_tolerance


@pytest.mark.parametrize('factor', [0, 0.1, 0.7, 1, 1.3, 2.0, 7.5])
@pytest.mark.parametrize('strided', [False, True])
def test_brightness_and_contrast_are_fp64_cut_off_and_rounded_down(factor, strided):
    levels = np.arange(256, dtype=np.uint8)
    image = np.stack([levels.repeat(2), levels.repeat(2)[::-1], np.tile(levels, 2)], axis=1).reshape(16, 32, 3)
    image = image[::-1, ::2] if strided else image
    mean = np.dot(cv2.mean(np.ascontiguousarray(image))[:3], [0.114, 0.587, 0.299])
    for adjust, pivot in ((adjust_brightness, 0), (adjust_contrast, mean)):
        expected = np.clip(pivot + (image.astype(np.float64) - pivot) * factor, 0, 255).astype(np.uint8)
        np.testing.assert_array_equal(adjust(image, factor), expected)


def test_jitter_without_strength_changes_nothing():
    views = random_views()
    results = ViewColorDistortion(strength=0, jitter_prob=1, grey_prob=0)(dict(views=views.copy()))
    np.testing.assert_array_equal(results['views'], views)


def test_grey_views_are_grey():
    views = random_views()
    grey = ViewColorDistortion(jitter_prob=0, grey_prob=1)(dict(views=views))['views']
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    expected = np.stack([cv2.cvtColor(view, cv2.COLOR_BGR2GRAY) for view in views])
    assert abs(grey[..., 1].astype(int) - expected).max() <= 1


def test_each_view_is_distorted_on_its_own_with_the_probabilities_given():
    np.random.seed(0)
    views = np.repeat(random_views(1, side=8), 400, axis=0)
    distorted = ViewColorDistortion()(dict(views=views))['views']
    unchanged = (distorted == views).all(axis=(1, 2, 3))
    grey = (np.ptp(distorted, axis=3) == 0).all(axis=(1, 2))
    assert abs(unchanged.mean() - 0.2 * 0.8) < 0.06
    assert abs(grey.mean() - 0.2) < 0.06
    changed = distorted[~unchanged & ~grey]
    assert len(np.unique(changed.reshape(len(changed), -1), axis=0)) == len(changed)


def test_stronger_distortion_changes_more():
    views = np.repeat(random_views(1), 40, axis=0)
    changes = []
    for strength in (0.25, 0.5, 1.0):
        np.random.seed(0)
        distorted = ViewColorDistortion(strength, jitter_prob=1, grey_prob=0)(dict(views=views))['views']
        changes.append(abs(distorted.astype(int) - views).mean())
    assert changes[0] < changes[1] < changes[2]


def test_brightness_factors_span_the_range():
    """On a grey image hue and saturation do nothing and contrast keeps the mean: it tells the brightness factor."""
    np.random.seed(0)
    views = np.full((500, 4, 4, 3), 100, np.uint8)
    distorted = ViewColorDistortion(0.5, jitter_prob=1, grey_prob=0)(dict(views=views))['views']
    levels = distorted.mean(axis=(1, 2, 3))
    assert 58 <= levels.min() < 64
    assert 136 < levels.max() <= 141
    assert abs(levels.mean() - 100) < 4


def test_blur_flattens_noise_and_keeps_the_mean():
    np.random.seed(0)
    views = random_views(60)
    blurred = ViewGaussianBlur(prob=0.5, sigma_range=(1.0, 1.0))(dict(views=views))['views']
    unchanged = (blurred == views).all(axis=(1, 2, 3))
    assert 0.3 < unchanged.mean() < 0.7
    # White noise after a Gaussian of width sigma keeps 1 / (2 sqrt(pi) sigma) of its deviation.
    ratio = blurred[~unchanged].std(axis=(1, 2)).mean() / views.std(axis=(1, 2)).mean()
    assert abs(ratio - 0.282) < 0.04
    assert abs(blurred.mean(axis=(1, 2)) - views.mean(axis=(1, 2))).max() < 4


def test_blur_widths_span_the_range():
    np.random.seed(0)
    point = np.zeros((200, 25, 25, 3), np.uint8)
    point[:, 12, 12] = 255
    peaks = ViewGaussianBlur(prob=1.0, sigma_range=(0.1, 2.0))(dict(views=point))['views'][:, 12, 12, 0]
    assert peaks.max() == 255
    assert abs(int(peaks.min()) - 255 / (2 * np.pi * 2**2)) <= 1.5


def test_views_given_are_left_as_they_are():
    views = random_views()
    before = views.copy()
    ViewGaussianBlur(prob=1.0)(ViewColorDistortion(jitter_prob=1)(dict(views=views)))
    np.testing.assert_array_equal(views, before)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: ViewColorDistortion(strength=3), 'strength'),
        (lambda: ViewColorDistortion(grey_prob=1.1), 'grey_prob'),
        (lambda: ViewGaussianBlur(prob=-1), 'prob'),
        (lambda: ViewGaussianBlur(sigma_range=(2, 1)), 'sigma_range'),
    ],
)
def test_rejects_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_rejects_views_of_another_type():
    for step in (ViewColorDistortion(), ViewGaussianBlur()):
        with pytest.raises(ValueError, match='float32'):
            step(dict(views=np.zeros((2, 4, 4, 3), np.float32)))
