"""Image files of a command line, and their embeddings by a model."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.utils import ProgressBar

from mmvice.apis.inference import embed_image
from mmvice.datasets.path_table import describe_found, match_paths, scan_images
from mmvice.models import EmbedderMixin
from mmvice.structures import EmbeddingMap
from mmvice.utils.counts import counted
from mmvice.utils.image_files import IMAGE_EXTENSIONS, UnusableFileError, decode_labels, explain, printable
from mmvice.utils.reading import decoding_of, read_file, read_image


def find_images(arguments: Sequence[str]) -> list[str]:
    """Find image files by files, folders and patterns, each once, in the order of the arguments.

    Linked folders in a folder are searched too, each once. ``**`` in a pattern does not follow links.

    Raises:
        FileNotFoundError: If an argument matches no image.
        OSError: If disk or network fail for long, or this process lacks open files or memory.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        place = os.path.expanduser(argument)
        if os.path.isfile(place):
            matches = [place]
        elif os.path.isdir(place):
            left_out: Counter[str] = Counter()
            matches = [os.fsdecode(path) for path in scan_images(place, IMAGE_EXTENSIONS, left_out=left_out)]
            sys.stderr.write(f'{describe_found({place: len(matches)}, left_out)}\n')
        else:
            found_there = (name for name in match_paths(place) if name.lower().endswith(IMAGE_EXTENSIONS))
            matches = list(filter(os.path.isfile, found_there))
        if not matches:
            kind = 'in the folder' if os.path.isdir(place) else 'at'
            raise FileNotFoundError(f'no image found {kind} {argument}')
        found.update(dict.fromkeys(matches))
    return list(found)


def folders_of(arguments: Sequence[str]) -> list[str]:
    """The folders among arguments of :func:`find_images`."""
    return list(filter(os.path.isdir, map(os.path.expanduser, arguments)))


def spread(items: Sequence, most: int | None) -> list:
    """At most the given number of items, evenly spaced."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


class ImageReader:
    """Reads images with a progress bar; skips and remembers those that cannot be read or embedded."""

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def read(self, paths: Sequence[str], what: str, **decoding) -> Iterator[tuple[str, np.ndarray]]:
        """Path and image (BGR) of every readable image.

        Args:
            paths: The files.
            what: Purpose, shown beside the progress bar.
            decoding: Options of :func:`mmvice.utils.image_files.decode_image`.
        """
        sys.stderr.write(f'{what}: {counted(len(paths), "image")}\n')
        bar = ProgressBar(len(paths), file=sys.stderr)
        for path in paths:
            try:
                image = read_image(path, **decoding)
            except (FileNotFoundError, UnusableFileError) as error:
                self.skipped[path] = str(error)
            else:
                yield path, image
            bar.update()
        sys.stderr.write('\n')

    def embed(
        self, model: EmbedderMixin, paths: Sequence[str], what: str, size: int | None = None
    ) -> Iterator[tuple[str, np.ndarray, EmbeddingMap]]:
        """Path, image (BGR) and embeddings of every usable image.

        Args:
            model: A model of :func:`mmvice.apis.init_model`.
            paths, what: As of :meth:`read`.
            size: As of :func:`mmvice.apis.embed_image`.
        """
        for path, image in self.read(paths, what, **decoding_of(model.cfg)):
            try:
                embeddings = embed_image(model, image, size)
            except UnusableFileError as error:
                self.skipped[path] = f'{printable(path)}: {error}'
            else:
                yield path, image, embeddings

    def report(self, total: int) -> None:
        """Warn of the skipped images."""
        if self.skipped:
            reasons = list(self.skipped.values())[:10]
            sys.stderr.write(f'warning: skipped {len(self.skipped)} of {counted(total, "image")}:\n')
            sys.stderr.writelines(f'  {reason}\n' for reason in reasons)

    def require_some(self, paths: Sequence[str]) -> None:
        """Check that not all of the images were skipped.

        Raises:
            ValueError: If they were.
        """
        if all(path in self.skipped for path in paths):
            raise ValueError(f'none of {len(paths)} images can be read; the first: {next(iter(self.skipped.values()))}')


def find_labels(images: Sequence[str], folder: str | Path, suffixes: tuple[str, str] | None = None) -> dict[str, Path]:
    """Find the label maps of images by name, anywhere under a folder.

    If several label maps have the name of an image, the one in folders with the same names is used, compared from the
    innermost.

    Args:
        images: Paths of images.
        folder: Folder of label maps, searched with its subfolders.
        suffixes: Ends of the names of images and of label maps; by default the extension and '.png'.

    Raises:
        FileNotFoundError: If none of the images has a label map.
        ValueError: If an image has several in such folders, or its name does not have the given ending.
    """
    of_image, of_label = suffixes or (None, '.png')
    found: dict[str, list[Path]] = {}
    root = os.path.expanduser(folder)
    there = scan_images(root, [of_label.lower()]) if os.path.isdir(root) else []
    for path in map(Path, map(os.fsdecode, there)):
        if path.name.endswith(of_label):
            found.setdefault(path.name, []).append(path)
    labels = {}
    for image in images:
        if of_image is not None and not image.endswith(of_image):
            raise ValueError(f'the name of {image} does not end in {of_image}')
        name = (Path(image).stem if of_image is None else Path(image).name.removesuffix(of_image)) + of_label
        matches = _nearest(image, found.get(name, []))
        if len(matches) > 1:
            raise ValueError(f'{image} has several label maps: {", ".join(map(str, matches[:3]))}')
        if matches:
            labels[image] = matches[0]
    if not labels:
        raise FileNotFoundError(f'none of the {len(images)} images has a label map under {folder}; the last: {name}')
    return labels


def _nearest(image: str, files: Sequence[Path]) -> list[Path]:
    """The files whose innermost folders share the most names with those of the image."""
    if len(files) < 2:
        return list(files)
    own = Path(os.path.abspath(image)).parent.parts[::-1]
    common = [len(os.path.commonprefix([own, file.absolute().parent.parts[::-1]])) for file in files]
    return [file for file, number in zip(files, common) if number == max(common)]


def read_labels(
    path: str | Path, num_classes: int, size: tuple[int, int] | None = None, ignore_index: int = 255
) -> np.ndarray:
    """Read a label map: uint8 (H, W), class ids, and 255 for pixels that do not count.

    Args:
        path: The file.
        num_classes: Number of classes.
        size: (H, W) of its image; the label map must have the same size.
        ignore_index: The id of pixels that do not count, besides 255.

    Raises:
        ValueError: If it cannot be decoded, is not a map of ids, has an id that is no class, or has another size.
    """
    try:
        labels = decode_labels(read_file(path))
    except ValueError as error:
        raise ValueError(f'{printable(path)} {explain(error)}') from error
    unknown = labels[((labels < 0) | (labels >= num_classes)) & (labels != ignore_index) & (labels != 255)]
    if unknown.size:
        raise ValueError(
            f'{printable(path)} holds the id {unknown.max()}, but the models know the classes 0 to {num_classes - 1} '
            f'and {ignore_index}: give label maps of training ids'
        )
    if size is not None and labels.shape != tuple(size):
        raise ValueError(
            f'{printable(path)} has {labels.shape[1]}x{labels.shape[0]} px, but its image {size[1]}x{size[0]}'
        )
    return np.where(labels == ignore_index, 255, labels).astype(np.uint8)
