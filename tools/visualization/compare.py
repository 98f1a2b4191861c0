#!/usr/bin/env python
"""Show the results of several models on the same images, side by side (Fig. 6 and 10 of the paper).

Each image has a row with the image, the truth, and a column for each model. The column has the classes of a linear or
cluster probe, or the learned concepts of a ViCE model. The tool writes a page, index.html, and one picture of all rows,
index.png.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
from mmengine.model import BaseModel

from mmvice.apis import embed_image, init_model
from mmvice.cli.arguments import choose_device, positive
from mmvice.cli.images import ImageReader, find_images, find_labels, folders_of, read_labels, spread
from mmvice.cli.labelling import Labels, cluster_labels, clusters_of, concepts_of, probe_classes, segment
from mmvice.datasets.network_scale import NetworkScale
from mmvice.structures import EmbeddingMap
from mmvice.utils.files import write_file, writing_told
from mmvice.utils.output_names import output_names
from mmvice.utils.reading import decoding_of, read_image
from mmvice.visualization import (
    EmbeddingClusters,
    EmbeddingPCA,
    draw_labels,
    enlarge_small,
    fit_within,
    gallery_page,
    legend,
    panel,
    sample_embeddings,
    stack,
    write_png,
)

EXAMPLES = """examples:
  Linear and cluster probes beside the truth:
    tools/visualization/compare.py \\
        --model linear work_dirs/LINEAR/LINEAR.py work_dirs/LINEAR/iter_1000.pth \\
        --model clusters work_dirs/CLUSTER/CLUSTER.py work_dirs/CLUSTER/epoch_1.pth \\
        data/camvid/images/val --labels data/camvid/annotations/val --max-images 6

  Cityscapes, whose labels are named otherwise than its images:
    tools/visualization/compare.py --model linear CONFIG.py iter_12000.pth data/cityscapes/leftImg8bit/val \\
        --labels data/cityscapes/gtFine/val --suffixes _leftImg8bit.png _gtFine_labelTrainIds.png
"""
FIT_PIXELS = 200_000
LARGE = 1024
SMALL = 240
CELL = 320  # longer side of a picture on the sheet
OPACITY = 0.75


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'images', nargs='+', metavar='IMAGES', help="image files, folders (with their subfolders) or patterns ('*.jpg')"
    )
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        required=True,
        dest='models',
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='a model and the title of its column; repeat for further models. CHECKPOINT may be a work folder, which '
        'means its latest checkpoint',
    )
    parser.add_argument(
        '--labels', metavar='DIR', help='folder with label maps, PNGs of class ids: images that have one are shown'
    )
    parser.add_argument(
        '--suffixes',
        nargs=2,
        metavar=('IMAGE', 'LABEL'),
        help='endings of the names of images and label maps (default: the extension and .png)',
    )
    parser.add_argument(
        '--max-images', type=positive, default=8, metavar='N', help='at most N, evenly spread (default: %(default)s)'
    )
    parser.add_argument('--pca', action='store_true', help="also each model's principal components as colours")
    parser.add_argument(
        '--clusters',
        action='store_true',
        help="also each model's clusters in colours of their own: those of a cluster probe, else 16 new ones",
    )
    parser.add_argument(
        '--output-dir',
        default='work_dirs/compare',
        metavar='DIR',
        help='folder for the pictures (default: %(default)s)',
    )
    parser.add_argument(
        '--size',
        type=positive,
        metavar='PIXELS',
        help='longest side of the images for the networks; larger ones are downsized (default: for each model the '
        'scale of its training)',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the sampled pixels and of k-means (default: 0)')
    args = parser.parse_args(argv)
    if args.suffixes and not args.labels:
        parser.error('--suffixes is about the names of --labels')
    names = [name for name, _, _ in args.models]
    if len(set(names)) < len(names):
        parser.error(f'every model needs a name of its own, got {", ".join(names)}')
    for file in (file for _, *files in args.models for file in files):
        if not Path(file).expanduser().exists():
            parser.error(f'no such file or folder: {file}')
    return args


class Compared(NamedTuple):
    """A model and its columns."""

    name: str
    model: BaseModel
    decoding: dict
    """What its config's loader says of values of more than 8 bits."""
    size: int | None
    classes: Labels | None
    pca: EmbeddingPCA | None
    cuts: Sequence[tuple[EmbeddingClusters, Labels]]
    """Clusters or concepts, each a column of its own."""

    def titles(self) -> list[str]:
        """Titles of the model's columns; the column of classes has only the model's name."""
        others = ['principal components'] if self.pca else []
        others += [labels.title for _, labels in self.cuts]
        return [*([self.name] if self.classes else []), *(f'{self.name}: {title}' for title in others)]

    def draw(self, image: np.ndarray) -> list[np.ndarray]:
        """Pictures of the model's columns, of an image given as BGR (H, W, 3)."""
        embeddings = embed_image(self.model, image, self.size)
        image = fit_within(image, LARGE)
        embeddings = EmbeddingMap(embeddings.features, image.shape[:2])
        pictures = [paint(image, segment(self.model, embeddings), self.classes.colors)] if self.classes else []
        if self.pca:
            pictures.append(enlarge_small(self.pca.colors(embeddings)[0], SMALL))
        pictures += [paint(image, cut.assign(embeddings)[0], labels.colors, border=True) for cut, labels in self.cuts]
        return pictures


def paint(image: np.ndarray, ids: np.ndarray, colors: np.ndarray, border: bool = False) -> np.ndarray:
    """Ids (H, W) as colours over an image given as BGR; classes have no borders, which would cover thin ones."""
    rgb = enlarge_small(image[..., ::-1], SMALL)
    return draw_labels(enlarge_small(ids, SMALL), colors, rgb, alpha=OPACITY, border=border)


def load(args: argparse.Namespace, images: Sequence[str], reader: ImageReader) -> list[Compared]:
    """Load every model, and fit its components and clusters to the images."""
    device = choose_device(args.device)
    compared = []
    for name, config, checkpoint in args.models:
        model = init_model(Path(config).expanduser(), checkpoint, device)
        classes, concepts = probe_classes(model), concepts_of(model)
        pca, cuts = None, []
        if args.pca or args.clusters or concepts is not None:
            fitted = reader.embed(model, images, f'embeddings of {name}', args.size)
            maps = (embeddings for _, _, embeddings in fitted)
            sample = sample_embeddings(maps, max(FIT_PIXELS // len(images), 1), args.seed)
            reader.require_some(images)
            pca = EmbeddingPCA.fit(sample) if args.pca else None
            if concepts is not None:
                clusters = EmbeddingClusters(concepts)
                cuts.append((clusters, cluster_labels(clusters, 'concepts', sample)))
            if args.clusters:
                clusters = clusters_of(model, sample, seed=args.seed)
                cuts.append((clusters, cluster_labels(clusters, 'clusters', sample)))
        compared.append(Compared(name, model, decoding_of(model.cfg), args.size, classes, pca, cuts))
    return compared


def common_classes(compared: Sequence[Compared]) -> Labels | None:
    """The classes of all probes; None if there is no probe.

    Raises:
        ValueError: If two probes have different classes.
    """
    probes = [one for one in compared if one.classes]
    for probe in probes[1:]:
        if list(probe.classes.names) != list(probes[0].classes.names):
            lists = ' but '.join(
                f'{one.name!r} has {len(one.classes.names)} ({", ".join(one.classes.names)})'
                for one in (probes[0], probe)
            )
            raise ValueError(f'models with different classes cannot be compared: {lists}')
    return probes[0].classes if probes else None


def rows(
    args: argparse.Namespace,
    images: Sequence[str],
    reader: ImageReader,
    compared: Sequence[Compared],
    labels: dict[str, Path],
    classes: Labels | None,
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Path and pictures of every image; an image is left out if its label map does not fit.

    Each model gets the image as read by its own config's loader; the picture of the image is that of the first model.
    """
    probe = next((one.model for one in compared if one.classes), None)
    dataset = (probe.cfg.get('test_dataloader') or {}).get('dataset') or {} if probe is not None else {}
    ignored = dataset.get('ignore_index', 255)
    shown = compared[0].decoding
    for path, image in reader.read(images, 'pictures', **shown):
        small = fit_within(image, LARGE)
        pictures = [enlarge_small(small[..., ::-1], SMALL)]
        try:
            if args.labels:
                truth = read_labels(labels[path], len(classes.names), image.shape[:2], ignored)
                truth = cv2.resize(truth, small.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int64)
                pictures.append(paint(small, truth, classes.colors))
            for one in compared:
                pictures += one.draw(image if one.decoding == shown else read_image(path, **one.decoding))
        except ValueError as error:
            reader.skipped[path] = str(error)
            continue
        yield path, pictures


def run(args: argparse.Namespace) -> Path:
    """Write the comparison; return the folder of the results."""
    images = find_images(args.images)
    labels = find_labels(images, args.labels, args.suffixes) if args.labels else {}
    images = spread(list(labels) if args.labels else images, args.max_images)
    reader = ImageReader()
    compared = load(args, images, reader)
    classes = common_classes(compared)
    if args.labels and classes is None:
        raise ValueError('--labels needs a probe among the models: it is the probe that knows what the ids mean')

    items = list(rows(args, images, reader, compared, labels, classes))
    reader.require_some(images)
    titles = ['image', *(['truth'] if args.labels else []), *(title for one in compared for title in one.titles())]
    names = output_names(images, folders_of(args.images))
    cells = [[fit_within(picture, CELL) for picture in pictures] for _, pictures in items]
    sheet = panel(cells, titles, [names[path] for path, _ in items])
    if classes is not None:
        sheet = stack([sheet, legend(classes.names, classes.colors, sheet.shape[1])])
    output = Path(args.output_dir).expanduser()
    write_png(output / 'index.png', sheet)
    legends = [classes.legend] if classes else []
    legends += [
        labels.legend._replace(title=f'{one.name}: {labels.legend.title}') for one in compared for _, labels in one.cuts
    ]
    page = gallery_page('Models side by side', facts(args, compared, len(items)), legends, titles, items)
    write_file(str(output / 'index.html'), page.encode())
    reader.report(len(images))
    return output


def facts(args: argparse.Namespace, compared: Sequence[Compared], shown: int) -> dict[str, str]:
    """The facts above the pictures of the page."""
    result = {'images': f'{shown} of {", ".join(args.images)}'}
    if args.labels:
        result['truth'] = args.labels
    for one, (_, config, checkpoint) in zip(compared, args.models):
        explained = f', components explain {one.pca.explained.sum():.0%} of the variance' if one.pca else ''
        result[one.name] = f'{config}, {checkpoint}, images {NetworkScale(one.model.cfg, one.size)}{explained}'
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures and print their paths."""
    args = parse_args(argv)
    try:
        with writing_told({'--output-dir DIR': args.output_dir}):
            output = run(args)
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'{output / "index.html"} and {output / "index.png"}')


if __name__ == '__main__':
    main()
