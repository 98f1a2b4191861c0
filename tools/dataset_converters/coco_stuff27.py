#!/usr/bin/env python
"""Make the 27-class label maps and image lists of COCOStuff27Dataset from the published COCO-Stuff 164k.

The 182 labels become the 27 coarse classes by the table in mmvice/datasets/coco_stuff_classes.py. Only the images of
IIC's curated lists are converted. IIC, PiCIE and ViCE are measured on them. Finished files are not written again, so an
interrupted run continues where it stopped.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvice.datasets.coco_stuff_classes import COARSE_OF_FINE
from mmvice.utils.conversion import (
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
    some,
)
from mmvice.utils.files import write_file

LAYOUT = """the published layout under DATA_ROOT is
    images/{train2017,val2017}/*.jpg          COCO's images
    stuffthingmaps/{train2017,val2017}/*.png  COCO-Stuff's stuffthingmaps_trainval2017.zip
    curated/{train2017,val2017}/Coco164kFull_Stuff_Coarse_7.txt  IIC's lists, one image id a line"""
WRITTEN = """written under DATA_ROOT, or in its place under --out-dir:
    annotations27/{train2017,val2017}/*.png   8-bit ids 0..26, 255 = ignore
    lists/{train2017,val2017}.txt             the curated ids
"""
NUM_CURATED = dict(train2017=49_629, val2017=2_175)
CURATED = 'Coco164kFull_Stuff_Coarse_7.txt'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{LAYOUT}\n\n{WRITTEN}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data_root', type=Path, metavar='DATA_ROOT', help='folder of COCO, such as data/coco')
    add_converter_arguments(parser)
    add_out_dir_argument(parser)
    return parser.parse_args(argv)


def read_ids(path: Path) -> list[str]:
    """The image ids of a curated list, each once, in its order.

    Raises:
        FileNotFoundError: If there is no such list.
        ValueError: If a line is not an image id, which are digits only.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no list {path}; {LAYOUT}')
    lines = [line.strip() for line in path.read_text(encoding='utf-8-sig', errors='replace').splitlines()]
    wrong = [repr(line[:80]) for line in lines if line and not re.fullmatch('[0-9]{1,20}', line)]
    if wrong:
        raise ValueError(f'{path} must have an image id of digits on every line, but has {some(wrong)}')
    return list(dict.fromkeys(filter(None, lines)))


def plan(root: Path, split: str) -> tuple[list[str], list[str]]:
    """The curated ids that can be converted, and the missing parts of the published data."""
    source = root / 'curated' / split / CURATED
    ids = read_ids(source)
    images, maps = (
        {path.stem for path in folder.iterdir() if path.suffix == suffix}
        for folder, suffix in ((root / 'images' / split, '.jpg'), (root / 'stuffthingmaps' / split, '.png'))
    )
    problems = [
        check_count(len(ids), NUM_CURATED[split], f'ids in {source}'),
        check_partners(ids, images, f'ids of {source}', f'an image in {root / "images" / split}'),
        check_partners(ids, maps, f'ids of {source}', f'a label map in {root / "stuffthingmaps" / split}'),
    ]
    kept = [name for name in ids if name in images and name in maps]
    if not kept:
        raise ValueError(f'{root}: not one curated image of {split} is there with its label map; {"; ".join(problems)}')
    return kept, problems


def convert_all(args: argparse.Namespace) -> None:
    """Check that all files exist, write the label maps, then the lists."""
    root, table = args.data_root, label_table(COARSE_OF_FINE)
    out = args.out_dir or root
    require_folders([root / kind / split for kind in ('images', 'stuffthingmaps') for split in NUM_CURATED], LAYOUT)
    plans = {split: plan(root, split) for split in NUM_CURATED}
    check_complete([problem for _, problems in plans.values() for problem in problems], args.allow_partial)
    for split, (ids, _) in plans.items():
        source, target = root / 'stuffthingmaps' / split, out / 'annotations27' / split
        images = root / 'images' / split
        jobs = [
            (str(source / f'{name}.png'), str(target / f'{name}.png'), table, str(images / f'{name}.jpg'))
            for name in ids
        ]
        convert(recode_labels, jobs, args.workers, str(target))
        (out / 'lists').mkdir(parents=True, exist_ok=True)
        write_file(str(out / 'lists' / f'{split}.txt'), ''.join(f'{name}\n' for name in ids).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Convert COCO-Stuff."""
    run_converter(convert_all, parse_args(argv))


if __name__ == '__main__':
    main()
