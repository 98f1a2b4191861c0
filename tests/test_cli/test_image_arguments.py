"""Label maps found by the names of their images, and read."""

import errno
import glob

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvice.cli.images import find_images, find_labels, read_labels
from mmvice.datasets.path_table import match_paths
from mmvice.utils.reading import ReadingError


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
    with pytest.raises(ValueError, match='must have one channel of ids, but has the channels RGB'):
        read_labels(tmp_path / 'colour.png', 3)
    (tmp_path / 'text.png').write_text('text')
    with pytest.raises(ValueError, match=r"text\.png' is not an image of a known format"):
        read_labels(tmp_path / 'text.png', 3)


def test_patterns_and_folders_end_where_links_go_round_in_circles(tmp_path, monkeypatch):
    """Two links back: there are 2**n paths of n links to every image."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'set/a/x.png', np.zeros((2, 2), np.uint8))
    write(tmp_path / 'set/.hidden/y.png', np.zeros((2, 2), np.uint8))
    (tmp_path / 'set/notes.txt').touch()
    for name in ('back', 'again'):
        (tmp_path / 'set/a' / name).symlink_to(tmp_path / 'set')
    (tmp_path / 'set/self.png').symlink_to(tmp_path / 'set/self.png')
    absolute = str(tmp_path / 'set')
    for argument in ('set', 'set/**/*.png', 'set/**', 'set/*/*.png', '**/x.png', 's*/**/?.p*'):
        assert find_images([argument]) == ['set/a/x.png'], argument
    for argument in (absolute, f'{absolute}/**/*.png'):
        assert find_images([argument]) == [f'{absolute}/a/x.png'], argument
    assert find_images(['set/**/.hidden/*.png']) == ['set/.hidden/y.png']
    with pytest.raises(FileNotFoundError, match=r'no image found at \*\*/\*\.jpg'):
        find_images(['**/*.jpg'])
    assert list(find_labels(['x.jpg'], 'set')) == ['x.jpg']


@pytest.mark.parametrize('pattern', ['set/*.png', 'set/**/*.png', 's*/a/x.png', '**'])
@pytest.mark.parametrize('number', [errno.EMFILE, errno.ENOMEM])
def test_a_lack_of_the_process_is_no_missing_image(tmp_path, monkeypatch, pattern, number):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'set/a/x.png', np.zeros((2, 2), np.uint8))

    def fail(folder):
        raise OSError(number, 'text', folder)

    monkeypatch.setattr('os.scandir', fail)
    with pytest.raises(ReadingError, match='text; the file is not at fault') as error:
        find_images([pattern])
    assert error.value.errno == number
    with pytest.raises(ReadingError, match='text; the file is not at fault'):
        find_labels(['x.jpg'], tmp_path)


def test_patterns_match_what_those_of_glob_match(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('a/x.png', 'a/y1.png', 'a/.z.png', 'b/x.png', '.c/x.png', 'b/d/x.png', 'x.png', '[e]/x.png'):
        write(tmp_path / name, np.zeros((2, 2), np.uint8))
    for pattern in ('*.png', '*/x.png', '*/*.png', 'a/.*', 'b/../a/?.png', '[ab]/x.png', '[[]e]/*', 'no/*', 'b/*/*'):
        assert match_paths(pattern) == sorted(glob.glob(pattern)), pattern
        assert match_paths(f'{tmp_path}/{pattern}') == [str(tmp_path / path) for path in match_paths(pattern)], pattern
    assert match_paths('**/x.png') == ['[e]/x.png', 'a/x.png', 'b/d/x.png', 'b/x.png', 'x.png']


def test_names_with_the_signs_of_patterns_are_names_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'a[1].png', np.zeros((2, 2), np.uint8))
    write(tmp_path / '[x]/b.png', np.zeros((2, 2), np.uint8))
    assert find_images(['a[1].png', '[x]', 'a[1].png']) == ['a[1].png', '[x]/b.png']


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (b'', 'is empty: a file of 0 bytes'),
        (np.full((2, 2), 300, np.uint16), 'holds the id 300, but the models know the classes 0 to 2'),
        (np.zeros((2, 3), np.uint8), 'has 3x2 px, but its image 2x2'),
    ],
)
def test_label_maps_that_do_not_fit(tmp_path, labels, message):
    path = tmp_path / 'x.png'
    path.write_bytes(labels) if isinstance(labels, bytes) else write(path, labels)
    with pytest.raises(ValueError, match=rf"x\.png' {message}"):
        read_labels(path, 3, (2, 2))


def test_palettes_and_16_bits_are_read_as_ids(tmp_path):
    ids = np.array([[0, 2], [255, 1]], np.uint8)
    palette = Image.fromarray(ids)
    palette.putpalette([255, 0, 0] * 256)
    palette.save(tmp_path / 'palette.png')
    write(tmp_path / 'deep.png', ids.astype(np.uint16))
    for name in ('palette.png', 'deep.png'):
        read = read_labels(tmp_path / name, 3, (2, 2))
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, ids)


def test_of_equally_named_label_maps_the_one_in_folders_of_the_same_names_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('seq1/0000', 'seq2/0000', 'seq2/deep/0000', 'seq3/deep/0000'):
        (tmp_path / 'labels' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'labels' / f'{name}.png').touch()
    images = [f'images/{name}.jpg' for name in ('seq1/0000', 'seq2/0000', 'seq3/deep/0000')]
    found = find_labels(images, 'labels')
    assert [str(path) for path in found.values()] == [
        'labels/seq1/0000.png',
        'labels/seq2/0000.png',
        'labels/seq3/deep/0000.png',
    ]
    with pytest.raises(ValueError, match='images/deep/0000.jpg has several label maps: .*seq2/deep.*seq3/deep'):
        find_labels(['images/deep/0000.jpg'], 'labels')
