#!/usr/bin/env python
"""Show the embeddings of images by a trained model: principal components, clusters or concepts, classes.

Every image gets a panel: the image, the three principal components of its embeddings as red, green and blue (Fig. 5 of
the paper), the clusters of the embeddings (Fig. 9), and for a probe its segmentation. Components and clusters are those
of the whole set of images, so that a colour means the same in all of them. No label is needed.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from mmengine.model import BaseModel

from mmvice.apis import init_model
from mmvice.cli import checkpoint_location, existing_file
from mmvice.cli.arguments import choose_device, positive
from mmvice.cli.config_options import ConfigOptions
from mmvice.cli.images import ImageReader, find_images, folders_of, spread
from mmvice.cli.labelling import Labels, cluster_labels, clusters_of, concepts_of, probe_classes, segment
from mmvice.structures import EmbeddingMap
from mmvice.utils.counts import counted
from mmvice.utils.files import write_file, writing_told
from mmvice.utils.output_names import output_names
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
    write_label_map,
    write_png,
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
    parser.add_argument(
        'checkpoint', type=checkpoint_location, help='checkpoint of that config, or a work folder: its latest one'
    )
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
        help='longest side of the images for the network; larger ones are downsized (default: the scale of training); '
        'the pictures keep up to 1024 pixels',
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
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='change settings of the config, as in tools/train.py',
    )
    return parser.parse_args(argv)


class Picture(NamedTuple):
    """What there is to see of one image."""

    path: str
    columns: list[np.ndarray]
    label_maps: list[np.ndarray]


def choose_clusters(
    model: BaseModel, args: argparse.Namespace, sample: torch.Tensor
) -> tuple[EmbeddingClusters, Labels]:
    """Concepts, the clusters of a probe, or new clusters of the sample.

    Raises:
        ValueError: If concepts are asked for that the model does not have.
    """
    concepts = concepts_of(model)
    if not args.concepts:
        clusters, name = clusters_of(model, sample, args.num_clusters, args.seed), 'clusters'
    elif concepts is not None:
        clusters, name = EmbeddingClusters(concepts), 'concepts'
    else:
        part = getattr(model, 'head', model)
        raise ValueError(
            f'--concepts needs a pretrained model, and a {type(part).__name__} has no concepts: leave it out for '
            'clusters of these images'
        )
    return clusters, cluster_labels(clusters, name, sample)


def draw(image: np.ndarray, components: np.ndarray, cuts: Sequence[tuple[np.ndarray, Labels]]) -> list[np.ndarray]:
    """The columns of a panel: image (given as BGR), components, and one picture for each way of cutting it."""
    rgb = enlarge_small(image[..., ::-1], SMALL)
    pictures = [rgb, enlarge_small(components, SMALL)]
    pictures += [draw_labels(enlarge_small(ids, SMALL), labels.colors, rgb, alpha=0.75) for ids, labels in cuts]
    return pictures


def look(
    model: BaseModel,
    images: Iterable[tuple[str, np.ndarray, EmbeddingMap]],
    pca: EmbeddingPCA,
    clusters: EmbeddingClusters,
    kinds: Sequence[Labels],
    raw: bool,
) -> Iterator[Picture]:
    """Everything there is to see of each image; its label maps at its own size only where they are asked for."""

    def cut(embeddings: EmbeddingMap) -> list[np.ndarray]:
        return [clusters.assign(embeddings)[0], *([segment(model, embeddings)] if len(kinds) > 1 else [])]

    for path, image, embeddings in images:
        shown = fit_within(image, LARGE)
        of_shown = EmbeddingMap(embeddings.features, shown.shape[:2])
        cuts = cut(of_shown)
        columns = draw(shown, pca.colors(of_shown)[0], list(zip(cuts, kinds)))
        yield Picture(path, columns, cut(embeddings) if raw and shown is not image else cuts)


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
                write_label_map(output / kind.name / f'{name}.png', label_map, len(kind.names))
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
    model = init_model(args.config, args.checkpoint, choose_device(args.device), args.cfg_options)
    output = Path(args.output_dir or Path('work_dirs', Path(args.config).stem, 'embeddings'))

    reader = ImageReader()
    fitted = reader.embed(model, fit_images, 'components and clusters', args.size)
    maps = (embeddings for _, _, embeddings in fitted)
    sample = sample_embeddings(maps, max(FIT_PIXELS // len(fit_images), 1), args.seed)
    reader.require_some(fit_images)
    pca = EmbeddingPCA.fit(sample)
    clusters, of_clusters = choose_clusters(model, args, sample)
    kinds = [of_clusters, *filter(None, [probe_classes(model)])]
    embedded = reader.embed(model, images, 'pictures', args.size)
    pictures = look(model, embedded, pca, clusters, kinds, args.save_raw)
    items, blocks = write_panels(output, pictures, output_names(images, folders_of(args.images)), kinds, args.save_raw)
    reader.require_some(images)
    write_png(output / 'index.png', contact_sheet(blocks))
    page = gallery_page(
        f'Embeddings: {Path(args.config).stem}',
        facts(args, images, fit_images, pca, reader, len(items)),
        [kind.legend for kind in kinds],
        column_titles(kinds),
        items,
    )
    write_file(str(output / 'index.html'), page.encode())
    reader.report(len(dict.fromkeys([*images, *fit_images])))
    return output


def facts(
    args: argparse.Namespace, images: Sequence, fit_images: Sequence, pca: EmbeddingPCA, reader: ImageReader, shown: int
) -> dict[str, str]:
    """What stands above the pictures of the page."""
    number = len([path for path in images if path not in reader.skipped])
    result = {
        'config': args.config,
        'checkpoint': args.checkpoint,
        'images': f'{number}' if shown == number else f'{number}, the first {shown} of them here',
        'components and clusters of': counted(len(fit_images), 'other image') if args.fit_images else 'these images',
        'variance explained': ' + '.join(f'{share:.0%}' for share in pca.explained.tolist())
        + f' = {pca.explained.sum():.0%} by the three components',
    }
    if reader.skipped:
        result['skipped'] = f'{counted(len(reader.skipped), "image")} that cannot be read'
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
        with writing_told({'--output-dir DIR': args.output_dir}):
            output = run(args)
    except (OSError, ValueError, TypeError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'{output / "index.html"}, {output / "index.png"} and {output / "panels"}')


if __name__ == '__main__':
    main()
