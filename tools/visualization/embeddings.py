#!/usr/bin/env python
"""Show what a trained model makes of any images: principal components, clusters or concepts, classes.

Every image gets a panel: the image, the three principal components of its embeddings as red, green and blue (Fig. 5 of
the paper), the clusters of the embeddings (Fig. 9), and for a probe its segmentation. Components and clusters are those
of the whole set of images, so that a colour means the same in all of them. No label is needed.
"""

import argparse
import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.model import BaseModel
from mmengine.utils import ProgressBar

from mmvice.apis import embed_image, existing_file, init_model
from mmvice.apis.inference import read_image
from mmvice.datasets.path_table import scan_images
from mmvice.datasets.unlabeled_images import OPENCV_EXTENSIONS
from mmvice.structures import EmbeddingMap
from mmvice.visualization import (
    EmbeddingClusters,
    EmbeddingPCA,
    Legend,
    draw_labels,
    enlarge_small,
    fit_within,
    gallery_page,
    legend,
    palette,
    panel,
    sample_embeddings,
    stack,
)

EXAMPLES = """examples:
  A folder of your own images, cut into the concepts that a ViCE model has learned, with the ids as PNG:
    tools/visualization/embeddings.py configs/vice/CONFIG.py work_dirs/CONFIG/iter_2000.pth my_images \\
        --concepts --save-raw

  CamVid's validation images in 16 clusters of the training images:
    tools/visualization/embeddings.py configs/vice/CONFIG.py work_dirs/CONFIG/iter_2000.pth \\
        'data/camvid/images/val/*.jpg' --num-clusters 16 --fit-images data/camvid/images/train --max-images 30

  A probe's segmentation beside them:
    tools/visualization/embeddings.py configs/linear_probe/CONFIG.py work_dirs/CONFIG/iter_1000.pth my_images
"""
FIT_PIXELS = 200_000
FIT_IMAGES = 2000
GALLERY_IMAGES = 100  # in index.html and index.png; the panels are of all images
SMALL = 240
LARGE = 1024


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=existing_file, help='config of pretraining or of a probe')
    parser.add_argument('checkpoint', type=existing_file, help='checkpoint of that config')
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGES',
        help="image files, folders (with their subfolders) or patterns ('a/**/*.jpg')",
    )
    parser.add_argument(
        '--output-dir',
        metavar='DIR',
        help='folder for the pictures (default: work_dirs/<name of the config>/embeddings)',
    )
    cut = parser.add_mutually_exclusive_group()
    cut.add_argument(
        '--num-clusters',
        type=positive,
        metavar='K',
        help='number of k-means clusters (default: 16; for a cluster probe its own clusters)',
    )
    cut.add_argument(
        '--concepts', action='store_true', help='the learned concepts of a ViCE model in place of clusters'
    )
    parser.add_argument(
        '--max-images', type=positive, metavar='N', help='at most N of the images, evenly spread (default: all)'
    )
    parser.add_argument(
        '--fit-images',
        nargs='+',
        metavar='IMAGES',
        help='images whose components and clusters are found (default: the images that are shown)',
    )
    parser.add_argument(
        '--size',
        type=positive,
        metavar='PIXELS',
        help='the network gets images with a longer side above this shrunk to it; the pictures keep up to 1024 pixels '
        "(default: the scale of the config's Resize, else 1024)",
    )
    parser.add_argument(
        '--save-raw',
        action='store_true',
        help="also write the ids of clusters (and a probe's classes) as grey PNGs of the images' own sizes: 8-bit, or "
        '16-bit where there are more than 256',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the sampled pixels and of k-means (default: 0)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, as in tools/train.py',
    )
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {value}')
    return value


def find_images(arguments: Sequence[str]) -> list[str]:
    """Image files named by files, folders and patterns, each once, in the order of the arguments.

    Raises:
        FileNotFoundError: If an argument leads to no image.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        place = os.path.expanduser(argument)
        if os.path.isfile(place):
            matches = [place]
        elif os.path.isdir(place):
            matches = [os.fsdecode(path) for path in scan_images(place, OPENCV_EXTENSIONS)]
        else:
            names = sorted(glob.glob(place, recursive=True))
            matches = [name for name in names if name.lower().endswith(OPENCV_EXTENSIONS) and os.path.isfile(name)]
        if not matches:
            kind = 'in the folder' if os.path.isdir(place) else 'at'
            raise FileNotFoundError(f'no image found {kind} {argument}')
        found.update(dict.fromkeys(matches))
    return list(found)


def spread(items: Sequence, most: int | None) -> list:
    """At most so many of the items, at even distances."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


class Reader:
    """Reads images under a progress bar; what cannot be read is left out and remembered.

    Args:
        long_side: Larger images are shrunk to this.
    """

    def __init__(self, long_side: int) -> None:
        self.long_side = long_side
        self.skipped: dict[str, str] = {}

    def read(self, paths: Sequence[str], what: str) -> Iterator[tuple[str, np.ndarray, tuple[int, int]]]:
        """Path, image (BGR) and original size (H, W) of every readable image."""
        print(f'{what}: {len(paths)} images', file=sys.stderr)
        bar = ProgressBar(len(paths), file=sys.stderr)
        for path in paths:
            try:
                image = read_image(path)
            except (OSError, ValueError) as error:
                self.skipped[path] = str(error)
            else:
                yield path, fit_within(image, self.long_side), image.shape[:2]
            bar.update()
        print(file=sys.stderr)

    def report(self, total: int) -> None:
        """Warn of the skipped images."""
        if self.skipped:
            print(f'warning: skipped {len(self.skipped)} of {total} images:', file=sys.stderr)
            for reason in list(self.skipped.values())[:10]:
                print(f'  {reason}', file=sys.stderr)


def resize_of(cfg: Config) -> int | None:
    """Longer side of the images that a config tests on, or pretrains on; None where it does not resize."""
    for name in ('test_dataloader', 'train_dataloader'):
        for transform in ((cfg.get(name) or {}).get('dataset') or {}).get('pipeline') or ():
            kind, scale = str(transform.get('type')).rpartition('.')[2], transform.get('scale')
            if kind == 'Resize' and scale:
                return scale if isinstance(scale, int) else max(scale)
            if kind == 'ResizeShortestEdge':
                return round(4 / 3 * (scale if isinstance(scale, int) else min(scale)))  # the usual shape of images
    return None


def embed(model: BaseModel, image: np.ndarray, size: int) -> EmbeddingMap:
    """Embeddings of all pixels of an image, of which the network sees at most ``size`` along the longer side."""
    return EmbeddingMap(embed_image(model, fit_within(image, size)).features, image.shape[:2])


class Labels(NamedTuple):
    """One way of cutting an image into labelled pieces, with what its labels are called and look like."""

    name: str
    title: str
    names: Sequence[str]
    colors: np.ndarray
    legend: Legend


class Picture(NamedTuple):
    """What there is to see of one image."""

    path: str
    columns: list[np.ndarray]
    label_maps: list[np.ndarray]
    original_size: tuple[int, int]


def choose_clusters(
    model: BaseModel, args: argparse.Namespace, sample: torch.Tensor
) -> tuple[EmbeddingClusters, Labels]:
    """Concepts, the clusters of a probe, or new clusters of the sample.

    Raises:
        ValueError: If concepts are asked for that the model does not have.
    """
    concepts = getattr(getattr(model, 'head', None), 'concepts', None)
    of_probe = getattr(getattr(model, 'decode_head', None), 'centroids', None)
    if args.concepts:
        if concepts is None:
            raise ValueError(
                f'--concepts needs config and checkpoint of ViCE pretraining; a {type(model).__name__} has no concepts'
            )
        clusters, name = EmbeddingClusters(concepts), 'concepts'
    elif of_probe is not None and args.num_clusters is None:
        clusters, name = EmbeddingClusters(of_probe), 'clusters'
    else:
        clusters, name = EmbeddingClusters.fit(sample, args.num_clusters or 16, seed=args.seed), 'clusters'
    shares = clusters.shares(sample)
    title = f'{len(clusters)} {name}'
    names = [f'{i} ({share:.1%})' for i, share in enumerate(shares)]
    colors = palette(len(clusters))
    used = np.flatnonzero(shares)[np.argsort(-shares[shares > 0], kind='stable')]
    heading = f'{title}, {len(used)} of them in use: number and share of the pixels'
    return clusters, Labels(name, title, names, colors, Legend(heading, [names[i] for i in used], colors[used]))


def probe_classes(model: BaseModel) -> Labels | None:
    """The classes of a probe, with the names and colours that its checkpoint holds; None for a ViCE model."""
    if not hasattr(model, 'decode_head'):
        return None
    number = model.decode_head.num_classes
    names, colors = (model.dataset_meta.get(key) or () for key in ('classes', 'palette'))
    names = names if len(names) == number else [f'class {i}' for i in range(number)]
    colors = np.asarray(colors, np.uint8) if len(colors) == number else palette(number)
    return Labels('classes', 'segmentation', names, colors, Legend('classes', names, colors))


def draw(image: np.ndarray, components: np.ndarray, cuts: Sequence[tuple[np.ndarray, Labels]]) -> list[np.ndarray]:
    """The columns of a panel: image (given as BGR), components, and one picture for each way of cutting it."""
    rgb = enlarge_small(image[..., ::-1], SMALL)
    pictures = [rgb, enlarge_small(components, SMALL)]
    pictures += [draw_labels(enlarge_small(ids, SMALL), labels.colors, rgb, alpha=0.75) for ids, labels in cuts]
    return pictures


def look(
    model: BaseModel,
    images: Iterable[tuple[str, np.ndarray, tuple[int, int]]],
    pca: EmbeddingPCA,
    clusters: EmbeddingClusters,
    kinds: Sequence[Labels],
    size: int,
) -> Iterator[Picture]:
    """Everything there is to see of each image."""
    for path, image, original_size in images:
        embeddings = embed(model, image, size)
        label_maps = [clusters.assign(embeddings)[0]]
        if len(kinds) > 1:
            label_maps.append(segment(model, embeddings))
        yield Picture(
            path, draw(image, pca.colors(embeddings)[0], list(zip(label_maps, kinds))), label_maps, original_size
        )


@torch.no_grad()
def segment(model: BaseModel, embeddings: EmbeddingMap) -> np.ndarray:
    """Class ids (H, W) by the probe."""
    return model.decode_head(embeddings).argmax(1)[0].cpu().numpy()


def unique_names(paths: Sequence[str]) -> dict[str, str]:
    """A file name without ending for every path, numbered where several have the same one."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = Path(path).stem, 1
        while name in taken:
            number += 1
            name = f'{Path(path).stem}_{number}'
        taken.add(name)
        names[path] = name
    return names


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture, or a map of ids as grey values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', picture[..., ::-1] if picture.ndim == 3 else picture)
    path.write_bytes(encoded.tobytes())


def write_label_map(path: Path, label_map: np.ndarray, num_labels: int, size: tuple[int, int]) -> None:
    """Write ids as grey values at the original size (H, W) of the image, in as many bits as they need."""
    ids = label_map.astype(np.uint8 if num_labels <= 256 else np.uint16)
    write_png(path, cv2.resize(ids, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT))


def write_panels(
    output: Path, pictures: Iterable[Picture], names: dict[str, str], kinds: Sequence[Labels], save_raw: bool
) -> tuple[list[tuple[str, list[np.ndarray]]], list[np.ndarray]]:
    """Write the panel of every picture; return what the page and the contact sheet need of the first ones."""
    titles = column_titles(kinds)
    items, blocks = [], []
    for picture in pictures:
        name = names[picture.path]
        sheet = panel([picture.columns], titles)
        if len(kinds) > 1:
            sheet = stack([sheet, legend(kinds[1].names, kinds[1].colors, sheet.shape[1])])
        write_png(output / 'panels' / f'{name}.png', sheet)
        if save_raw:
            for label_map, kind in zip(picture.label_maps, kinds):
                write_label_map(output / kind.name / f'{name}.png', label_map, len(kind.names), picture.original_size)
        if len(items) < GALLERY_IMAGES:
            items.append((picture.path, [fit_within(column, 512) for column in picture.columns]))
            blocks.append(panel([[fit_within(column, 200) for column in picture.columns]], titles, [name]))
    return items, blocks


def column_titles(kinds: Sequence[Labels]) -> list[str]:
    """Titles of the columns of a panel."""
    return ['image', 'principal components', *(kind.title for kind in kinds)]


def run(args: argparse.Namespace) -> Path:
    """Do what the command line asks for; return the folder of the results."""
    images = spread(find_images(args.images), args.max_images)
    fit_images = spread(find_images(args.fit_images) if args.fit_images else images, FIT_IMAGES)
    device = ('cuda' if torch.cuda.is_available() else 'cpu') if args.device == 'auto' else args.device
    model = init_model(args.config, args.checkpoint, device, args.cfg_options)
    output = Path(args.output_dir or Path('work_dirs', Path(args.config).stem, 'embeddings'))

    size = args.size or resize_of(model.cfg) or LARGE
    reader = Reader(max(size, LARGE))
    maps = (embed(model, image, size) for _, image, _ in reader.read(fit_images, 'components and clusters'))
    sample = sample_embeddings(maps, max(FIT_PIXELS // len(fit_images), 1), args.seed)
    if not len(sample):
        raise ValueError(
            f'none of {len(fit_images)} images can be read; the first: {next(iter(reader.skipped.values()))}'
        )
    pca = EmbeddingPCA.fit(sample)
    clusters, of_clusters = choose_clusters(model, args, sample)
    kinds = [of_clusters, *filter(None, [probe_classes(model)])]
    pictures = look(model, reader.read(images, 'pictures'), pca, clusters, kinds, size)
    items, blocks = write_panels(output, pictures, unique_names(images), kinds, args.save_raw)
    if not items:
        raise ValueError(f'none of {len(images)} images can be read; the first: {next(iter(reader.skipped.values()))}')
    write_png(output / 'index.png', contact_sheet(blocks))
    page = gallery_page(
        f'Embeddings: {Path(args.config).stem}',
        facts(args, images, fit_images, pca, reader, len(items)),
        [kind.legend for kind in kinds],
        column_titles(kinds),
        items,
    )
    (output / 'index.html').write_text(page, encoding='utf-8')
    reader.report(len(dict.fromkeys([*images, *fit_images])))
    return output


def facts(
    args: argparse.Namespace, images: Sequence, fit_images: Sequence, pca: EmbeddingPCA, reader: Reader, shown: int
) -> dict[str, str]:
    """What stands above the pictures of the page."""
    number = len([path for path in images if path not in reader.skipped])
    result = {
        'config': args.config,
        'checkpoint': args.checkpoint,
        'images': f'{number}' if shown == number else f'{number}, the first {shown} of them here',
        'components and clusters of': f'{len(fit_images)} other images' if args.fit_images else 'these images',
        'variance explained': ' + '.join(f'{share:.0%}' for share in pca.explained.tolist())
        + f' = {pca.explained.sum():.0%} by the three components',
    }
    if reader.skipped:
        result['skipped'] = f'{len(reader.skipped)} images that cannot be read'
    return result


def contact_sheet(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Panels side by side and one below the other, about as wide as high."""
    height, width = np.mean([block.shape[:2] for block in blocks], axis=0)
    per_row = min(max(round((len(blocks) * height / width) ** 0.5), 1), len(blocks))
    return panel([blocks[i : i + per_row] for i in range(0, len(blocks), per_row)], gap=4)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures and say where they are."""
    args = parse_args(argv)
    try:
        output = run(args)
    except (OSError, ValueError, TypeError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'{output / "index.html"}, {output / "index.png"} and {output / "panels"}')


if __name__ == '__main__':
    main()
