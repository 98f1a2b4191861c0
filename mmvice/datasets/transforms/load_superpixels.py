"""Step 1, from files: regions that were computed before, by this project's tool or any other segmenter."""

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
    """Read the regions of the image from a file, in the place of :class:`SuperpixelSLIC`.

    The files are those of ``tools/dataset_converters/superpixels.py``, or of any other segmenter: PNG, one channel of
    1 to 16 bits, the region of every pixel of the image *as it is at this place of the pipeline*, resized and cropped.
    Ids may be any; they become 0..K-1 in their order. A PNG with a palette counts by its indices.

    Where a segmenter's masks do not cover the image, give the id of the pixels between them as ``no_region``: they are
    not masked, and not learned from. Else they all are one region.

    Required Keys:

    - img: uint8 (H, W, 3)
    - img_path

    Added Keys:

    - superpixels: int32 (H, W), ids 0..K-1, -1 for pixels in no region

    Args:
        folder: folder of the files.
        img_root: folder of the images; a file lies in ``folder`` as its image in ``img_root``.
        filename: path of a file in ``folder``: ``{path}`` is the image's path in ``img_root``, ``{stem}`` the same
            without ending.
        no_region: id in the files of pixels that are in no region, from 0 to 65535, as 0; None for files that have
            none of those.

    Raises:
        UnusableFileError: for a damaged file. In training the data sets pass over its image.
        FileNotFoundError: for an image without a file that can be read.
        ValueError: for an image that is not in ``img_root``, and a file of another format, of several
            channels or of another size.
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
