"""Label maps found by the names of their images, and read."""

import cv2
import numpy as np
import pytest

from mmvice.apis.images import find_labels, read_labels


def write(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), labels)


def test_label_maps_are_found_by_name(tmp_path):
    for name in ('x/a.png', 'y/b_label.png', 'y/c.png', 'z/c.png'):
        write(tmp_path / name, np.zeros((2, 2), np.uint8))
    assert find_labels(['images/q/a.jpg'], tmp_path) == {'images/q/a.jpg': tmp_path / 'x/a.png'}
    found = find_labels(['b_rgb.png'], tmp_path, ('_rgb.png', '_label.png'))
    assert found == {'b_rgb.png': tmp_path / 'y/b_label.png'}
    assert list(find_labels(['b.jpg', 'a.jpg'], tmp_path)) == ['a.jpg'], 'those without are left out'
    with pytest.raises(FileNotFoundError, match=r'none of the 1 images has a label map under .*; the last: b\.png'):
        find_labels(['b.jpg'], tmp_path)
    with pytest.raises(ValueError, match=r'c\.jpg has several label maps'):
        find_labels(['c.jpg'], tmp_path)
    with pytest.raises(ValueError, match=r'a\.jpg does not end in _rgb\.png'):
        find_labels(['a.jpg'], tmp_path, ('_rgb.png', '_label.png'))


def test_label_maps_hold_classes_or_the_ignored_id(tmp_path):
    labels = np.array([[0, 2], [255, 1]], np.uint8)
    write(tmp_path / 'good.png', labels)
    np.testing.assert_array_equal(read_labels(tmp_path / 'good.png', 3), labels)
    with pytest.raises(ValueError, match='holds the id 2, but the models know the classes 0 to 1 and 255'):
        read_labels(tmp_path / 'good.png', 2)
    write(tmp_path / 'colour.png', np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match='must have one channel of class ids, but has the channels RGB'):
        read_labels(tmp_path / 'colour.png', 3)
    (tmp_path / 'text.png').write_text('text')
    with pytest.raises(ValueError, match=r"text\.png' is no image of a known format"):
        read_labels(tmp_path / 'text.png', 3)
