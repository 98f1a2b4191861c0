import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset, force_full_init

from mmvice.registry import DATASETS, TRANSFORMS
from mmvice.utils.console import tell
from mmvice.utils.counts import counted
from mmvice.utils.files import as_names, as_path
from mmvice.utils.image_files import IMAGE_EXTENSIONS, UnusableFileError, decode_image, explain, printable
from mmvice.utils.reading import Fault, fault_of, read_file, retry

from .path_table import describe_found, describe_left_out, pack_paths, read_list_file, scan_images, select_paths
from .seeded_sampling import SeededItemMixin
from .skip_unusable import SkipUnusableMixin


@DATASETS.register_module()
class UnlabeledImageDataset(SkipUnusableMixin, SeededItemMixin, BaseDataset):
    """Images from folders or list files, without labels.

    The pipeline begins with ``LoadImageFromFile``. If an image is unreadable, or its shorter side is below
    ``min_size``, it is skipped for another one. A warning names the file and counts the skipped ones (of this process).
    With ``test_mode`` it raises an error. All other images become upright with three 8-bit channels, including
    greyscale, 16-bit, CMYK and transparent images and the first picture of an animation: see
    :func:`mmvice.utils.image_files.decode_image`.

    Forked workers share one buffer with all paths. A million paths take about a second, and memory for their text.

    Args:
        data_root: Folder that ``data_prefix`` and ``ann_file`` are relative to.
        data_prefix: ``dict(img_path=...)``: a folder or a list of folders. They and their subfolders are searched for
            names with one of ``extensions``. Symbolic links are followed, each folder once. Names that begin with a dot
            are left out. Unreadable subfolders are left out with a warning.
        ann_file: A list file or several, instead of a search: UTF-8, one image a line, relative to
            ``data_prefix['img_path']`` (the data root by default). Blank lines and white space around names are
            ignored. A name that is listed twice is two samples.
        extensions: Endings of image files, or one ending, in lower or upper case. By default
            :data:`mmvice.utils.image_headers.IMAGE_EXTENSIONS`.
        min_size: Smallest allowed length of an image's shorter side in pixels.
        pipeline: Transforms, the first of which is ``LoadImageFromFile``.
        indices, test_mode, lazy_init, max_refetch, metainfo: As in :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: If a folder or list file does not exist or has no image; on access, if no listed file exists.
        ValueError: If a list file is not UTF-8 text.
        RuntimeError: On access, if every image is unusable.
    """

    METAINFO = dict(classes=(), palette=[])

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict | None = None,
        ann_file: str | Sequence[str] = '',
        extensions: str | Sequence[str] | None = None,
        min_size: int = 32,
        pipeline: Sequence = (),
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        endings = as_names(extensions or IMAGE_EXTENSIONS, self._setting('extensions'))
        self.extensions = tuple('.' + ending.lower().lstrip('.') for ending in endings)
        self.min_size = min_size
        self.skipped = {}
        self._some_exist = False
        if not isinstance(data_prefix, Mapping | None):
            raise ValueError(f"{type(self).__name__}: data_prefix must be dict(img_path='...'), got {data_prefix!r}")
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(img_path='') if data_prefix is None else data_prefix,
            indices=indices,
            serialize_data=True,
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def _join_prefix(self) -> None:
        root = os.path.expanduser('' if self.data_root is None else as_path(self.data_root, self._setting('data_root')))
        if 'img_path' not in self.data_prefix:
            raise ValueError(
                f"{type(self).__name__}: data_prefix must have the key 'img_path', a folder or a list of folders, "
                f'got {dict(self.data_prefix)}'
            )
        folders = as_names(self.data_prefix['img_path'], self._setting('img_path'))
        self.folders = [os.path.join(root, os.path.expanduser(folder)) for folder in folders]
        lists = filter(None, as_names(self.ann_file, self._setting('ann_file')))
        self.list_files = [os.path.join(root, os.path.expanduser(file)) for file in lists]
        if self.list_files and len(self.folders) > 1:
            raise ValueError(
                f'{type(self).__name__}: the lines of ann_file {self.list_files} are relative to one folder, but '
                f"data_prefix['img_path'] has {len(self.folders)}: {self.folders}; give one, or put the folders' "
                'names into the list files'
            )

    def full_init(self) -> None:
        """Find the images, once."""
        if self._fully_initialized:
            return
        self.data_bytes, self.data_address = pack_paths(self._list_paths())
        if self._indices is not None:
            self.data_bytes, self.data_address = self._get_serialized_subset(self._indices)
        self._fully_initialized = True

    def _list_paths(self) -> list[bytes]:
        paths: list[bytes] = []
        for list_file in self.list_files:
            if not os.path.isfile(list_file):
                raise FileNotFoundError(f'{type(self).__name__}: no list file {list_file!r} (ann_file)')
            listed = len(paths)
            paths.extend(read_list_file(list_file, self.folders[0]))
            if len(paths) == listed:
                raise FileNotFoundError(f'{type(self).__name__}: the list file {list_file!r} names no image')
        if self.list_files:
            tell(self, f'{counted(len(paths), "image")}, listed in {", ".join(map(repr, self.list_files))}')
            return paths

        counts, left_out = {}, Counter()
        visited: set[tuple[int, int]] = set()
        for folder in self.folders:
            if not folder:
                raise ValueError(
                    f"{type(self).__name__}: no images were named; give data_root, data_prefix['img_path'] or ann_file"
                )
            if os.path.isfile(folder.rstrip(os.sep)):
                raise NotADirectoryError(
                    f'{type(self).__name__}: {folder!r} is a file; give its folder, or a list of images as ann_file'
                )
            if not os.path.isdir(folder):
                raise FileNotFoundError(
                    f"{type(self).__name__}: no folder {folder!r}; check data_root and data_prefix['img_path']"
                )
            seen_before, found = len(visited), scan_images(folder, self.extensions, visited, left_out)
            if not found and len(visited) > seen_before:
                raise FileNotFoundError(
                    f'{type(self).__name__}: no image in {folder!r} or its subfolders; looked for names that end in '
                    f'{", ".join(self.extensions)}. {describe_left_out(left_out) or "There is no file"}'
                )
            counts[folder] = counts.get(folder, 0) + len(found)
            paths.extend(found)
        tell(self, describe_found(counts, left_out))
        return paths

    def _setting(self, name: str) -> str:
        return f'{type(self).__name__}: {name}'

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """``img_path`` and ``sample_idx`` (not negative) of an image."""
        idx = range(len(self))[idx]
        start = self.data_address[idx - 1] if idx else 0
        return dict(img_path=os.fsdecode(self.data_bytes[start : self.data_address[idx]].tobytes()), sample_idx=idx)

    def _get_serialized_subset(self, indices: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return select_paths(self.data_bytes, self.data_address, indices)

    def prepare_data(self, idx: int) -> Any:
        """The pipeline's result for an image; None if the image is unusable."""
        info = self.get_data_info(idx)
        results, transforms = info, self.pipeline.transforms
        if transforms and isinstance(transforms[0], LoadImageFromFile):
            results, transforms = self._load(info, transforms[0]), transforms[1:]
        for transform in transforms:
            if results is None:
                return None
            results = self._apply(transform, results)
        return results

    def _load(self, info: dict, load_image: LoadImageFromFile) -> dict | None:
        index = info['sample_idx']
        if index in self.skipped:
            results, defect = None, self.skipped[index]
        else:
            results, defect = try_to_load(load_image, info, self.min_size)
        if defect is None:
            self._some_exist = True
        else:
            self._require_some_listed()
            self._skip(index, defect)
        return results

    def _require_some_listed(self) -> None:
        """Raise FileNotFoundError if no listed file exists, for example if lines are relative to another folder."""
        if not self.list_files or self._some_exist:
            return
        paths = (self.get_data_info(index)['img_path'] for index in range(len(self)))
        self._some_exist = any(map(os.path.isfile, paths))
        if not self._some_exist:
            raise FileNotFoundError(
                f'{type(self).__name__}: none of the {len(self)} files that {", ".join(map(repr, self.list_files))} '
                f'names exists; the first is {printable(self.get_data_info(0)["img_path"])}: check data_root and '
                "data_prefix['img_path'], which lines are relative to"
            )


def try_to_load(load_image: LoadImageFromFile, info: dict, min_size: int) -> tuple[dict | None, str | None]:
    """The loaded image's results and None, or None and a sentence about the file's defect."""
    name = printable(info['img_path'])
    try:
        results = retry(lambda: load_image(info), info['img_path'], decoded=True)
    except UnusableFileError as error:
        return None, str(error)
    except Exception as error:  # another project's loader may raise whatever it likes
        if isinstance(error, MemoryError) or (
            isinstance(error, OSError) and fault_of(error, decoded=True) is not Fault.FILE
        ):
            raise
        _require_bad(info['img_path'], load_image, explain(error))
        return None, f'{name} {explain(error)}'
    if results is None:
        return None, f'{name} is not readable'
    img = results['img']
    if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
        defect = f'{name} is decoded to {img.dtype} {img.shape}, not to uint8 (H, W, 3)'
        _require_bad(info['img_path'], load_image, defect)
        return None, defect
    height, width = img.shape[:2]
    if min(height, width) < min_size:
        return None, f'{name} is too small: {width}x{height} px, and min_size is {min_size}'
    return results, None


def _require_bad(path: str, load_image: LoadImageFromFile, defect: str) -> None:
    """Raise ValueError if a file is undamaged, so that a setting of the loader must be wrong."""
    try:
        decode_image(read_file(path))
    except UnusableFileError:
        return
    raise ValueError(
        f'{type(load_image).__name__} cannot load an undamaged image as uint8 (H, W, 3): {defect}. Correct its '
        f'settings: {load_image!r}'
    )
