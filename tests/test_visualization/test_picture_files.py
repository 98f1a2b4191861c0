"""Pictures are there whole or not at all."""

import errno
import os
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from mmvice.utils import files
from mmvice.utils.files import NoSpaceError
from mmvice.visualization import LocalVisBackend, write_png


def test_a_picture_comes_back(tmp_path):
    picture = np.random.default_rng(0).integers(256, size=(5, 7, 3), dtype=np.uint8)
    write_png(tmp_path / 'folder/a.png', picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'folder/a.png'))[..., ::-1], picture)


def test_a_full_disk_leaves_the_old_picture_and_says_which(tmp_path, monkeypatch):
    write_png(tmp_path / 'a.png', np.zeros((5, 7), np.uint8))
    before = (tmp_path / 'a.png').read_bytes()
    monkeypatch.setattr(files.os, 'replace', Mock(side_effect=OSError(errno.ENOSPC, 'full')))
    with pytest.raises(NoSpaceError, match=r'^/.*a\.png could not be written, the disk is full: it needs'):
        write_png(tmp_path / 'a.png', np.ones((50, 70), np.uint8))
    assert os.listdir(tmp_path) == ['a.png'] and (tmp_path / 'a.png').read_bytes() == before


def test_pictures_of_the_visualizer_go_to_subfolders_whole_under_names_of_any_bytes(tmp_path, monkeypatch):
    backend, picture = LocalVisBackend(str(tmp_path)), np.full((5, 7, 3), (1, 2, 3), np.uint8)
    odd = os.fsdecode(b'caf\xe9')
    for name, step in (('seq1/0000', None), ('views', 500), (odd, None)):
        backend.add_image(name, picture, step)
    written = sorted(str(path.relative_to(tmp_path / 'vis_image')) for path in tmp_path.rglob('*.png'))
    assert written == sorted(['seq1/0000.png', 'views_500.png', f'{odd}.png'])
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'vis_image/seq1/0000.png')), picture[..., ::-1])
    monkeypatch.setattr(files.os, 'replace', Mock(side_effect=OSError(errno.ENOSPC, 'full')))
    with pytest.raises(NoSpaceError):
        backend.add_image('seq1/0000', picture[:2], None)
    assert cv2.imread(str(tmp_path / 'vis_image/seq1/0000.png')).shape == (5, 7, 3)
