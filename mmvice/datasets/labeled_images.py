import logging
import os
import os.path as osp
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations

from mmvice.registry import DATASETS, TRANSFORMS
from mmvice.utils.console import tell
from mmvice.utils.counts import counted
from mmvice.utils.files import as_names, as_path
from mmvice.utils.image_files import IMAGE_EXTENSIONS, printable
from mmvice.utils.palette import palette
from mmvice.utils.reading import read_image_header

from .path_table import describe_found, ending_of, read_lines, scan_images
from .seeded_sampling import SeededItemMixin
from .skip_unusable import SkipUnusableMixin

NO_CLASS = 255
"""Label of pixels that do not count, in what data sets of mmvice give; no class can have it."""

_WITHOUT_LABELS = ': give data_prefix.seg_map_path=None to take the images without labels, as to predict with --out'


@DATASETS.register_module()
class LabeledImageDataset(SkipUnusableMixin, SeededItemMixin, BaseSegDataset):
    """Images with label maps: 8-bit class ids in the order of ``classes``, 255 for pixels that do not count.

    An image ``<img_path>/<name><img_suffix>`` has the label map ``<seg_map_path>/<name><seg_map_suffix>``. A name may
    contain folders. Every label map that ``LoadAnnotations`` reads is checked; an unfit one raises an error.

    If an image or label map is damaged, training skips it for another one. A warning names the file and counts the
    skipped ones. With ``test_mode`` it raises an error. Images are turned upright by their EXIF tag. Label maps are not
    turned: they must fit the upright images.

    Args:
        data_root: Folder that ``data_prefix`` and ``ann_file`` are relative to.
        data_prefix: ``dict(img_path=..., seg_map_path=...)``, the folders of images and label maps; '' is the data root
            itself. ``img_path`` may be a list of folders. ``seg_map_path`` is then one folder, or a list of the same
            length. Without ``seg_map_path``, or with None, the data set has images only: for pretraining, or to write
            predictions.
        metainfo: ``dict(classes=[...], palette=[...])``: the name and RGB colour of every class. Without a palette,
            colours are chosen.
        ann_file: A list of names without suffix, one a line, instead of all images of the folder. Blank lines are
            ignored. Repeated names count once, with a warning.
        img_suffix: Ending of image names, or a list of endings. Case only matters for names in ``ann_file``. '' means
            that names include their endings, for images of several formats.
        seg_map_suffix: Ending of label map names.
        pipeline: Transforms.
        ignore_index: An id of the label maps that does not count, besides 255. Reading turns it into 255, so heads, the
            cluster probe and metrics need no setting of their own. Defaults to 255.
        kwargs: ``indices``, ``test_mode``, ``lazy_init``, ``max_refetch`` and the rest of
            :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        ValueError: If classes or ``img_path`` are missing or do not fit; on access, if a label map is not 8-bit with
            one channel, differs in size from its image, or has values that are no class.
        FileNotFoundError: If a folder or the list is missing or holds no image, or an image has no label map.
        RuntimeError: On access, if a file cannot be read in a test, or no file can be read in training.
    """

    layout = ''
    """How a data set of this kind lies on disk and where it comes from: ends the errors about files."""

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict | None = None,
        img_suffix: str | Sequence[str] = '.jpg',
        seg_map_suffix: str = '.png',
        pipeline: Sequence = (),
        **kwargs,
    ) -> None:
        images = data_prefix.get('img_path') if isinstance(data_prefix, Mapping) else None
        if images in (None, [], ()) or (images == '' and data_root in (None, '')):
            raise self._error(
                ValueError,
                "data_prefix must be dict(img_path='...', seg_map_path='...'), folders under data_root, "
                f'but is {data_prefix}',
            )
        self.skipped = {}
        ignored = kwargs.get('ignore_index', NO_CLASS)
        if not isinstance(ignored, int) or not 0 <= ignored <= 255:
            raise self._error(ValueError, f'ignore_index must be an id of label maps, 0 to 255, but is {ignored!r}')
        super().__init__(
            data_root=osp.expanduser(
                '' if data_root is None else as_path(data_root, f'{type(self).__name__}: data_root')
            ),
            data_prefix={key: folder for key, folder in data_prefix.items() if folder is not None},
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            **kwargs,
        )

    def _join_prefix(self) -> None:
        if self.ann_file:
            self.ann_file = osp.join(self.data_root, as_path(self.ann_file, f'{type(self).__name__}: ann_file'))
        for key, value in self.data_prefix.items():
            names = as_names(value, f'{type(self).__name__}: {key}')
            paths = [osp.join(self.data_root, osp.expanduser(name)) for name in names]
            self.data_prefix[key] = paths if isinstance(value, (list, tuple)) else paths[0]
        images, labels = (_as_list(self.data_prefix.get(key)) for key in ('img_path', 'seg_map_path'))
        if isinstance(self.data_prefix.get('seg_map_path'), list) and len(labels) != len(images):
            raise self._error(
                ValueError,
                f'data_prefix has {len(images)} folders of images, img_path={images}, but {len(labels)} of label maps, '
                f'seg_map_path={labels}; give one of label maps for each, or one for all',
            )
        one_for_all = labels * len(images) if len(labels) == 1 else labels
        self._folders = list(zip(images, one_for_all or [None] * len(images)))
        suffixes = as_names(self.img_suffix, f'{type(self).__name__}: img_suffix')
        self._suffixes = sorted(suffixes, key=len, reverse=True)
        self.seg_map_suffix = as_path(self.seg_map_suffix, f'{type(self).__name__}: seg_map_suffix')

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        metainfo = super()._load_metainfo(metainfo)
        classes, colors = metainfo.get('classes'), metainfo.get('palette')
        if not isinstance(classes, Sequence) or isinstance(classes, str) or not 1 <= len(classes) <= 255:
            raise cls._error(
                ValueError,
                f"metainfo=dict(classes=[...]) must name the classes, 255 at most, but 'classes' is {classes}",
            )
        doubled = [name for name, number in Counter(classes).items() if number > 1]
        if doubled:
            raise cls._error(ValueError, f'metainfo names these classes more than once: {doubled}')
        if colors and 'classes' not in cls.METAINFO and len(colors) != len(classes):
            raise cls._error(
                ValueError,
                f'metainfo has {len(colors)} colours in its palette for {len(classes)} classes; give one a class, '
                'or leave the palette out',
            )
        return metainfo

    def _update_palette(self) -> list:
        """Distinguishable colours if the metainfo has none; MMSegmentation draws random ones."""
        classes = self._metainfo['classes']
        return super()._update_palette() if self._metainfo.get('palette') else palette(len(classes)).tolist()

    @classmethod
    def _error(cls, kind: type[Exception], message: str) -> Exception:
        return kind(f'{cls.__name__}: {message}' + (f'; {cls.layout}' if cls.layout else ''))

    def load_data_list(self) -> list[dict]:
        """Find the images and label maps, as dicts with ``img_path`` and ``seg_map_path``."""
        for key, folders in self.data_prefix.items():
            for folder in _as_list(folders):
                if not osp.isdir(folder):
                    without = _WITHOUT_LABELS if key == 'seg_map_path' else ''
                    raise self._error(FileNotFoundError, f'no folder {folder!r}, the {key} of data_prefix{without}')
        data_list = self._listed() if self.ann_file else self._found()
        for key, what in dict(img_path='file', seg_map_path='label map').items():
            missing = [info for info in data_list if key in info and not osp.isfile(info[key])]
            if missing:
                listed = f' that {self.ann_file!r} lists' if self.ann_file else ''
                image = f' of the image {printable(missing[0]["img_path"])}' if key != 'img_path' else ''
                raise self._error(
                    FileNotFoundError,
                    f'{len(missing)} of {len(data_list)} images{listed} lack their {what}; the first is '
                    f'{printable(missing[0][key])}{image}' + (_WITHOUT_LABELS if key == 'seg_map_path' else ''),
                )
        self._require_own_labels(data_list)
        return data_list

    def _require_own_labels(self, data_list: list[dict]) -> None:
        image_of: dict[str, str] = {}
        for info in data_list:
            path = info['img_path']
            other = image_of.setdefault(info.get('seg_map_path', path), path)
            if other != path:
                raise self._error(
                    ValueError,
                    f'the images {printable(other)} and {printable(path)} have one label map, '
                    f'{printable(info["seg_map_path"])}: take one of them out, or give each folder of images a folder '
                    'of label maps',
                )

    def _listed(self) -> list[dict]:
        if not osp.isfile(self.ann_file):
            raise self._error(FileNotFoundError, f'no list file {self.ann_file!r} (ann_file)')
        lines = list(map(os.fsdecode, read_lines(self.ann_file)))
        names = list(dict.fromkeys(lines))
        if len(names) < len(lines):
            tell(
                self,
                f'{len(lines) - len(names)} lines of {self.ann_file!r} repeat the name of an image; each counts once',
                logging.WARNING,
            )
        if not names:
            raise self._error(FileNotFoundError, f'the list file {self.ann_file!r} (ann_file) names no image')
        if all(any(suffix and name.endswith(suffix) for suffix in self._suffixes) for name in names):
            suffixes = ', '.join(map(repr, self._suffixes))
            raise self._error(
                ValueError,
                f'the names in {self.ann_file!r} must be without {suffixes}, but the first is {names[0]!r}',
            )
        tell(self, f'{counted(len(names), "image")}, listed in {self.ann_file!r}')
        return [self._listed_info(name) for name in names]

    def _listed_info(self, name: str) -> dict:
        places = [(osp.join(images, name + s), labels) for images, labels in self._folders for s in self._suffixes]
        there = [place for place in places if osp.isfile(place[0])] if len(places) > 1 else places
        if len(there) > 1:
            raise self._error(
                ValueError,
                f'the name {name!r} in {self.ann_file!r} means several images: '
                f'{", ".join(printable(path) for path, _ in there)}',
            )
        path, labels = (there or places)[0]
        return self._info(path, labels, name)

    def _found(self) -> list[dict]:
        data_list, counts, left_out = [], {}, Counter()
        visited: set[tuple[int, int]] = set()
        for folder, labels in self._folders:
            suffixes = [suffix.lower() for suffix in self._suffixes]
            images = list(map(os.fsdecode, scan_images(folder, suffixes, visited, left_out)))
            counts[folder] = len(images)
            start = len(osp.join(folder, ''))
            for path in images:
                ending = next(suffix for suffix in suffixes if path.lower().endswith(suffix))
                data_list.append(self._info(path, labels, path[start : len(path) - len(ending)]))
            if not images:
                others = Counter(ending_of(path) for path in scan_images(folder, IMAGE_EXTENSIONS))
                there = ', '.join(f'{number} *{ending}' for ending, number in others.most_common(3))
                wanted = ', '.join(f'*{suffix}' for suffix in self._suffixes)
                raise self._error(
                    FileNotFoundError,
                    f'no {wanted} in {folder!r}' + (f', but {there}: see img_suffix' if there else ''),
                )
        beside = self._warn_of_labels_alone(data_list)
        left_out.subtract({ending_of('x' + self.seg_map_suffix): beside})
        tell(self, describe_found(counts, left_out))
        return data_list

    def _warn_of_labels_alone(self, data_list: list[dict]) -> int:
        """Warn of label maps without an image; only their labels are lost.

        Returns:
            int: Label maps in the folders of the images.
        """
        known = {osp.normpath(info[key]) for info in data_list for key in ('img_path', 'seg_map_path') if key in info}
        visited: set[tuple[int, int]] = set()
        found = [
            os.fsdecode(path)
            for folder in dict.fromkeys(labels for _, labels in self._folders if labels is not None)
            for path in scan_images(folder, [self.seg_map_suffix.lower()], visited)
        ]
        there = [osp.normpath(path) for path in found if path.endswith(self.seg_map_suffix)]
        images = {info['img_path'] for info in data_list}
        alone = [path for path in there if path not in known]
        if alone:
            folders = ', '.join(repr(folder) for folder, _ in self._folders)
            tell(
                self,
                f'{len(alone)} label maps have no image under {folders} and are left out; the first is '
                f'{printable(alone[0])}',
                logging.WARNING,
            )
        beside = tuple(osp.join(osp.normpath(folder), '') for folder, _ in self._folders)
        return sum(path.startswith(beside) and path not in images for path in there)

    def _info(self, img_path: str, labels: str | None, name: str) -> dict:
        info = dict(
            img_path=img_path, label_map=self.label_map, reduce_zero_label=self.reduce_zero_label, seg_fields=[]
        )
        if labels is not None:
            info['seg_map_path'] = osp.join(labels, name + self.seg_map_suffix)
        return info

    def prepare_data(self, idx: int) -> Any:
        """The pipeline's result for an image; None if the image is unusable or a transform returns None."""
        results = self.get_data_info(idx)
        index = results['sample_idx']
        if index in self.skipped:
            return self._skip(index, self.skipped[index])
        for transform in self.pipeline.transforms:
            if self.test_mode and 'seg_map_path' not in results and isinstance(transform, LoadAnnotations):
                continue  # predictions can do without labels
            results = self._apply(transform, results)
            if results is None:
                return None
            if isinstance(transform, LoadAnnotations):
                self._check_labels(results)
                if self.ignore_index != NO_CLASS:
                    labels = results['gt_seg_map']
                    results['gt_seg_map'] = np.where(labels == self.ignore_index, np.uint8(NO_CLASS), labels)
        return results

    def _check_labels(self, results: dict) -> None:
        labels, size, name = results['gt_seg_map'], results.get('ori_shape'), printable(results['seg_map_path'])
        if labels.ndim != 2:
            raise ValueError(
                f'{type(self).__name__}: {name} must have one channel of class ids, but its shape is {labels.shape}: '
                'is it a colour image?'
            )
        if size is not None and labels.shape != tuple(size[:2]):
            hint = ''
            if labels.shape == tuple(size[1::-1]) and read_image_header(results['img_path']).orientation > 4:
                hint = ': its EXIF tag turns the image on its side, and the label map must be of the upright image'
            raise ValueError(
                f'{type(self).__name__}: {name} has {labels.shape[1]}x{labels.shape[0]} px, but its image '
                f'{printable(results["img_path"])} {size[1]}x{size[0]}{hint}'
            )
        classes = len(self.metainfo['classes'])
        # 255 + 1 is 0 in 8 bits: one pass over the pixels where all is well
        if labels.size and int((labels + np.uint8(1)).max()) > classes:
            values = set(np.unique(labels).tolist()) - {*range(classes), 255, self.ignore_index}
            if values:
                raise ValueError(
                    f'{type(self).__name__}: {name} has the values {sorted(values)}, but with {classes} classes labels '
                    f'must be 0..{classes - 1}, or 255 for pixels that do not count'
                )


def _as_list(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
