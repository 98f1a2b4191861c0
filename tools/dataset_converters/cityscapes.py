#!/usr/bin/env python
"""Make the 19- and 27-class label maps of Cityscapes from the published label ids, beside them or in another folder.

The 19 classes are Cityscapes' train ids, in the same files as by its own scripts. The 27 classes are the label ids
7..33, as in PiCIE. All other labels become 255, which is ignored. Finished files are not written again, so an
interrupted run continues where it stopped.
"""

import argparse
import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvice.datasets.path_table import match_paths
from mmvice.utils.conversion import (
    IGNORE,
    add_converter_arguments,
    add_out_dir_argument,
    check_complete,
    check_count,
    check_partners,
    convert,
    label_table,
    recode_labels,
    require_folders,
    run_converter,
)

LAYOUT = """the published layout under DATA_ROOT is
    leftImg8bit/{train,val}/<city>/*_leftImg8bit.png   leftImg8bit_trainvaltest.zip
    gtFine/{train,val}/<city>/*_gtFine_labelIds.png    gtFine_trainvaltest.zip"""
WRITTEN = """written under DATA_ROOT, or in its place under --out-dir:
    gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png   8-bit train ids 0..18, 255 = ignore
    gtFine/{train,val}/<city>/*_gtFine_label27Ids.png      8-bit ids 0..26, 255 = ignore
"""
NUM_IMAGES = dict(train=2_975, val=500)
IMAGE, LABELS = '_leftImg8bit.png', '_gtFine_labelIds.png'
EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # label ids of train ids 0..18
NUM_LABEL_IDS = 34
VOID = (*range(NUM_LABEL_IDS), IGNORE)  # 255 is the licence plate, id -1, where a tool has drawn it
TABLES = {
    '_gtFine_labelTrainIds.png': label_table({label: train for train, label in enumerate(EVALUATED)}, VOID),
    '_gtFine_label27Ids.png': label_table({label: label - 7 for label in range(7, NUM_LABEL_IDS)}, VOID),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{LAYOUT}\n\n{WRITTEN}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'data_root', type=Path, metavar='DATA_ROOT', help='folder of Cityscapes, such as data/cityscapes'
    )
    add_converter_arguments(parser)
    add_out_dir_argument(parser)
    return parser.parse_args(argv)


def plan(root: Path, split: str) -> tuple[list[str], list[str]]:
    """The frames with label ids, as '<city>/<name>', and the missing parts of the published data."""
    images, labels = (
        [
            os.path.relpath(path, root / kind / split)[: -len(suffix)]
            for path in match_paths(f'{glob.escape(str(folder))}/*/*{suffix}')
        ]
        for kind, folder, suffix in (
            ('leftImg8bit', root / 'leftImg8bit' / split, IMAGE),
            ('gtFine', root / 'gtFine' / split, LABELS),
        )
    )
    if not labels:
        raise FileNotFoundError(f'no <city>/*{LABELS} in {root / "gtFine" / split}; {LAYOUT}')
    problems = [
        check_count(len(images), NUM_IMAGES[split], f'images in {root / "leftImg8bit" / split}'),
        check_count(len(labels), NUM_IMAGES[split], f'label maps *{LABELS} in {root / "gtFine" / split}'),
        check_partners(images, labels, f'images of {split}', f'their label map *{LABELS}'),
        check_partners(labels, images, f'label maps of {split}', f'their image *{IMAGE}'),
    ]
    return labels, problems


def convert_all(args: argparse.Namespace) -> None:
    """Check that all files exist, then write the label maps."""
    root = args.data_root
    require_folders([root / kind / split for kind in ('leftImg8bit', 'gtFine') for split in NUM_IMAGES], LAYOUT)
    plans = {split: plan(root, split) for split in NUM_IMAGES}
    check_complete([problem for _, problems in plans.values() for problem in problems], args.allow_partial)
    for split, (names, _) in plans.items():
        source, target = (folder / 'gtFine' / split for folder in (root, args.out_dir or root))
        for suffix, table in TABLES.items():
            jobs = [(str(source / f'{name}{LABELS}'), str(target / f'{name}{suffix}'), table) for name in names]
            convert(recode_labels, jobs, args.workers, f'{target}/*/*{suffix}')


def main(argv: Sequence[str] | None = None) -> None:
    """Convert Cityscapes."""
    run_converter(convert_all, parse_args(argv))


if __name__ == '__main__':
    main()
