"""Step 1, from files: regions that this project's tool or any other segmenter has computed."""

import shlex

from mmcv.transforms import BaseTransform

from mmvice.datasets.superpixel_files import check_filename, decode_superpixels, superpixel_path
from mmvice.datasets.transforms.checks import get_input
from mmvice.registry import TRANSFORMS
from mmvice.utils.files import as_path
from mmvice.utils.image_files import UnusableFileError, printable
from mmvice.utils.reading import read_file


@TRANSFORMS.register_module()
class LoadSuperpixels(BaseTransform):
    """Read the regions of the image from a file, in place of :class:`SuperpixelSLIC`.

    The files come from ``tools/dataset_converters/superpixels.py`` or any other segmenter. Each is a PNG with one
    channel of 1 to 16 bits, or with a palette, whose indices count. It holds the region id of every pixel of the image
    *at this step of the pipeline*, after resizing and cropping. Ids may have any values; they become 0..K-1 in their
    order.

    If a segmenter's masks do not cover the image, set ``no_region`` to the id of the uncovered pixels. Training then
    neither masks them nor learns from them. Without this setting they form one region.

    Required Keys:

    - img: uint8 (H, W, 3)
    - img_path

    Added Keys:

    - superpixels: int32 (H, W), ids 0..K-1, -1 for pixels in no region

    Args:
        folder: folder of the files.
        img_root: folder of the images; a file has the same place in ``folder`` as its image in ``img_root``.
        filename: path of a file in ``folder``: ``{path}`` is the image's path in ``img_root``, ``{stem}`` the same
            without ending.
        no_region: the files' id of pixels in no region, 0 to 65535; None if every pixel is in a region.

    Raises:
        UnusableFileError: for a damaged file. In training the data sets skip its image.
        FileNotFoundError: for an image without a readable file.
        ValueError: for an image that is not in ``img_root``, and a file with another format, several channels or
            another size.
        OSError, MemoryError: if disk or network fail for long, or this process lacks open files or memory.
    """

    def __init__(self, folder: str, img_root: str, filename: str = '{path}.png', no_region: int | None = None) -> None:
        check_filename(as_path(filename, 'LoadSuperpixels: filename'))
        if no_region is not None and (type(no_region) is not int or not 0 <= no_region <= 0xFFFF):
            raise ValueError(f'no_region must be an id from 0 to 65535, or None, got {no_region!r}')
        self.folder = as_path(folder, 'LoadSuperpixels: folder')
        self.img_root = as_path(img_root, 'LoadSuperpixels: img_root')
        self.filename = filename
        self.no_region = no_region

    def transform(self, results: dict) -> dict:
        height, width = get_input(results, 'img', 'LoadImageFromFile', self).shape[:2]
        img_path = get_input(results, 'img_path', 'LoadImageFromFile', self)
        path = superpixel_path(img_path, self.img_root, self.folder, self.filename)
        try:
            content = read_file(path)
        except UnusableFileError as error:  # of one that cannot be opened; as a rule of all, by a wrong folder
            raise FileNotFoundError(
                f'{type(self).__name__}: no file {printable(path)} with the superpixels of {printable(img_path)}, as '
                f'it {error}; for regions of your own, check folder={self.folder!r}, img_root={self.img_root!r} and '
                f'filename={self.filename!r}; SLIC or grid superpixels are written by '
                f'python tools/dataset_converters/superpixels.py CONFIG {shlex.quote(str(self.folder))}, '
                'with CONFIG the one that computes them'
            ) from error
        try:
            superpixels = decode_superpixels(content, self.no_region)
        except ValueError as error:
            raise type(error)(f'{type(self).__name__}: {printable(path)} {error}') from error
        if superpixels.shape != (height, width):
            raise ValueError(
                f'{type(self).__name__}: {printable(path)} has {superpixels.shape[1]}x{superpixels.shape[0]} px, but '
                f'at this place of the pipeline the image has {width}x{height}: the steps before must be those that '
                'the superpixels were made with'
            )
        results['superpixels'] = superpixels
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(folder={self.folder!r}, img_root={self.img_root!r}, filename={self.filename!r}, '
            f'no_region={self.no_region})'
        )
