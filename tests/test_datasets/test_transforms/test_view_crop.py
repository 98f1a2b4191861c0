import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvice.datasets.transforms import ContextualViewCrop
from mmvice.datasets.transforms.view_crop import _cut_image
from mmvice.ops.superpixels import grid_superpixels

sizes = st.one_of(st.integers(1, 40), st.integers(41, 400))


def crop(image, transform, region_size=1):
    results = dict(img=image, superpixels=grid_superpixels(*image.shape[:2], region_size))
    return transform(results)


@settings(max_examples=150, deadline=None)
@given(
    height=sizes,
    width=sizes,
    num_views=st.integers(2, 8),
    view_size=st.one_of(st.integers(1, 64), st.tuples(st.integers(1, 64), st.integers(1, 64))),
    low=st.floats(0.01, 2),
    spread=st.floats(1, 20),
    contextual=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_boxes_lie_in_the_image_and_share_pixels(height, width, num_views, view_size, low, spread, contextual, seed):
    np.random.seed(seed)
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 3 :, width // 2 :] = 255
    results = crop(image, ContextualViewCrop(num_views, view_size, (low, low * spread), contextual))
    boxes = results['view_boxes']
    assert boxes.shape == (num_views, 4)
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(boxes, np.rint(boxes))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= width).all()
    assert (boxes[:, 3] <= height).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
    # The intersection of all boxes holds a pixel at least.
    assert (boxes[:, 2:].min(axis=0) - boxes[:, :2].max(axis=0) >= 1).all()
    h, w = (view_size, view_size) if isinstance(view_size, int) else view_size
    assert results['views'].shape == (num_views, h, w, 3)
    assert results['view_superpixels'].shape == (num_views, h, w)
    if not contextual:
        assert (boxes == boxes[0]).all()
        assert (results['views'] == results['views'][0]).all()


def test_views_are_scaled_and_share_a_center_one_per_sector():
    """In a large image nothing is clipped: sizes, sectors and radii are as drawn."""
    np.random.seed(0)
    image = np.zeros((500, 700, 3), np.uint8)
    cv2.circle(image, (350, 250), 3, (255, 255, 255), -1)  # the only edge, so the centre is there
    transform = ContextualViewCrop(5, (80, 120), (0.5, 2.0), floor=1e-12)
    all_sides, all_radii = [], []
    for _ in range(60):
        boxes = crop(image, transform)['view_boxes'].astype(float)
        sides, centers = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        assert abs(centers[0] - (350, 250)).max() < 8
        np.testing.assert_allclose(sides[:, 0] / sides[:, 1], 1.5, atol=0.05)
        offsets = (centers[1:] - centers[0] - 0.5) / (sides[1:] / 2)
        angles = np.arctan2(offsets[:, 1], offsets[:, 0]) % (2 * np.pi)
        radii = np.hypot(*offsets.T)
        clear = radii > 0.2  # rounding to whole pixels turns small offsets
        distance = abs(angles - (np.arange(4) + 0.5) * np.pi / 2)
        assert (np.minimum(distance, 2 * np.pi - distance)[clear] < np.pi / 4 + 0.15).all()
        all_sides.append(sides[:, 1] / 80)
        all_radii.append(radii)
    all_sides, all_radii = np.concatenate(all_sides), np.concatenate(all_radii)
    assert 0.49 < all_sides.min() < 0.6
    assert 1.9 < all_sides.max() < 2.01
    assert abs(all_sides.mean() - 1.25) < 0.1
    assert all_radii.max() < 1.06
    assert abs(all_radii.mean() - 0.5) < 0.1


def test_centers_are_drawn_where_there_is_content():
    np.random.seed(0)
    image = np.full((100, 100, 3), 128, np.uint8)
    image[20:30, 60:90] = np.random.RandomState(0).randint(0, 256, (10, 30, 3))
    transform = ContextualViewCrop(2, 1, (1, 1))  # boxes of one pixel: the primary centre
    boxes = np.array([crop(image, transform)['view_boxes'][0] for _ in range(300)])
    on_content = (abs(boxes[:, 0] - 75) < 20) & (abs(boxes[:, 1] - 25) < 10)
    # 300 pixels of edges weigh near 1 each, the 10 000 pixels of the image 0.005 each.
    assert 0.8 < on_content.mean() < 0.99


def test_flat_image_has_uniform_centers():
    np.random.seed(0)
    transform = ContextualViewCrop(2, 1, (1, 1))
    image = np.zeros((10, 20, 3), np.uint8)
    boxes = np.array([crop(image, transform)['view_boxes'][0] for _ in range(600)])
    assert abs(boxes[:, 0].mean() - 9.5) < 1
    assert abs(boxes[:, 1].mean() - 4.5) < 0.5
    assert set(boxes[:, 0]) == set(range(20))


def test_image_smaller_than_a_view_counts_as_enlarged():
    """The same scales as in the image enlarged to hold a view: not all views as large as the image."""
    np.random.seed(0)
    image = np.random.RandomState(0).randint(0, 256, (40, 60, 3), dtype=np.uint8)
    transform = ContextualViewCrop(4, 80, (0.5, 2.0))
    sides = []
    for _ in range(40):
        results = crop(image, transform)
        assert results['img'] is image
        boxes = results['view_boxes']
        sides.append(boxes[:, 3] - boxes[:, 1])
        np.testing.assert_array_equal(sides[-1], boxes[:, 2] - boxes[:, 0])
    sides = np.concatenate(sides)
    assert sides.max() == 40
    assert 20 <= sides.min() < 23


def test_view_at_scale_one_is_the_crop_itself():
    np.random.seed(3)
    image = np.random.RandomState(0).randint(0, 256, (50, 70, 3), dtype=np.uint8)
    results = crop(image, ContextualViewCrop(3, (20, 30), (1, 1)))
    for view, ids, (x0, y0, x1, y1) in zip(
        results['views'], results['view_superpixels'], results['view_boxes'].astype(int)
    ):
        np.testing.assert_array_equal(view, image[y0:y1, x0:x1])
        np.testing.assert_array_equal(ids, results['superpixels'][y0:y1, x0:x1])


@pytest.mark.parametrize('scale', [0.5, 2.0])
def test_image_and_ids_are_resized_alike(scale):
    """A ramp of grey levels, with ids equal to the levels: view pixel and id agree up to half a source pixel."""
    np.random.seed(1)
    ramp = np.arange(200, dtype=np.uint8)[None].repeat(200, 0)
    image = np.repeat(ramp[..., None], 3, axis=2)
    results = dict(img=image, superpixels=ramp.astype(np.int32))
    results = ContextualViewCrop(3, 60, (scale, scale))(results)
    difference = results['views'][..., 0].astype(int) - results['view_superpixels']
    assert abs(difference).max() <= 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_views=1), 'num_views'),
        (dict(view_size=0), 'view_size'),
        (dict(view_size=(4, 5, 6)), 'view_size'),
        (dict(scale_range=(2, 1)), 'scale_range'),
        (dict(scale_range=(0, 1)), 'scale_range'),
        (dict(scale_range=1.0), 'scale_range'),
        (dict(floor=0), 'floor'),
    ],
)
def test_rejects_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextualViewCrop(**arguments)


def test_rejects_superpixels_of_another_size():
    with pytest.raises(ValueError, match='before the superpixels'):
        ContextualViewCrop()(dict(img=np.zeros((9, 9, 3), np.uint8), superpixels=np.zeros((9, 8), np.int32)))


def test_equal_boxes_give_equal_views_that_do_not_share_memory():
    image = np.random.RandomState(0).randint(0, 256, (40, 40, 3), dtype=np.uint8)
    for contextual, scales in ((False, (0.5, 1.0)), (True, (2.0, 3.0)), (True, (0.5, 2.0))):
        crop = ContextualViewCrop(4, 24, scale_range=scales, contextual=contextual)
        results = crop(dict(img=image, superpixels=np.zeros((40, 40), np.int32)))
        views, boxes = results['views'], results['view_boxes'].astype(int)
        alone = [_cut_image(image, box, (24, 24)) for box in boxes]
        np.testing.assert_array_equal(views, alone)
        views[0] = 0
        np.testing.assert_array_equal(views[1:], alone[1:])
