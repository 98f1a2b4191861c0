#!/usr/bin/env python
"""Draw subsets of a list of images, as for fine-tuning with few labels (Table 11).

A subset is drawn at random, without regard to classes. It depends only on the names in the list and the seed. With one
seed, a larger subset contains each smaller one. A subset of ratio r has floor(r * n) of the n names, in the order of
the list.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from mmvice.datasets.path_table import read_lines
from mmvice.utils.conversion import run_converter, some
from mmvice.utils.counts import counted
from mmvice.utils.files import write_file

EXAMPLE = """example, the subsets of Table 11:
    tools/dataset_converters/few_shot_subsets.py data/coco/lists/train2017.txt data/coco/lists/subsets
writes train2017_0.1pct_seed-0.txt with 49 names, and 496, 2481, 4962, 24814 and 49629 in the files for 1, 5, 10, 50 and
100 %. They go into a config as ann_file.
"""


TABLE_11 = tuple(Decimal(text) for text in ('0.001', '0.01', '0.05', '0.1', '0.5', '1'))


def ratio(text: str) -> Decimal:
    """An argparse type: a share above 0 and up to 1, exact."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f'must be a number, got {text!r}') from error
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'must be above 0 and up to 1, got {text}')
    return value


def seed(text: str) -> int:
    """An argparse type: a seed from 0 to 2**32 - 1."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f'must be from 0 to 2**32 - 1, got {text}')
    return value


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('list', type=Path, metavar='LIST', help='file with one name of an image a line')
    parser.add_argument(
        'output_dir', type=Path, metavar='OUTPUT_DIR', help='folder for <list>_<percent>pct_seed-<seed>.txt'
    )
    parser.add_argument(
        '--ratios',
        type=ratio,
        nargs='+',
        metavar='R',
        help='shares of the list (default: those of Table 11, 0.001 0.01 0.05 0.1 0.5 1, with at least one name)',
    )
    parser.add_argument('--seed', type=seed, default=0, help='seed of the draw (default: %(default)s)')
    return parser.parse_args(argv)


def draw_subsets(names: Sequence[str], ratios: Sequence[Decimal], seed: int) -> list[list[str]]:
    """Nested random subsets of different names: floor(ratio * n) of them for each ratio, in the order of ``names``.

    Raises:
        ValueError: If a name occurs twice, or a ratio leaves no name.
    """
    doubled = [name for name, number in Counter(names).items() if number > 1]
    if doubled:
        raise ValueError(f'these names are in the list more than once: {some(doubled)}')
    # NumPy keeps the stream of RandomState for good, unlike that of its generators
    order = np.random.RandomState(seed).permutation(len(names))
    by_name, subsets = sorted(names), []
    for share in ratios:
        kept = {by_name[i] for i in order[: int(share * len(names))]}
        if not kept:
            raise ValueError(f'a ratio of {share} of {counted(len(names), "name")} is less than one name')
        subsets.append([name for name in names if name in kept])
    return subsets


def percent(share: Decimal) -> str:
    """A ratio in percent without trailing zeros: '0.1', '5', '100'."""
    text = format(share * 100, 'f')
    return text.rstrip('0').rstrip('.') if '.' in text else text


def write_subsets(args: argparse.Namespace) -> None:
    """Read the list, write its subsets and say how large they are."""
    if not args.list.is_file():
        raise FileNotFoundError(f'no list {args.list}: give a file with one name a line')
    listed = list(map(os.fsdecode, read_lines(str(args.list))))
    ratios = args.ratios or [share for share in TABLE_11 if share * len(listed) >= 1] or TABLE_11
    subsets = draw_subsets(listed, ratios, args.seed)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    for share in () if args.ratios else TABLE_11:
        if share not in ratios:
            print(
                f'no subset of {percent(share)} %: of {counted(len(listed), "name")} that is less than one',
                file=sys.stderr,
            )
    for share, names in zip(ratios, subsets):
        path = args.output_dir / f'{args.list.stem}_{percent(share)}pct_seed-{args.seed}.txt'
        write_file(str(path), os.fsencode(''.join(f'{name}\n' for name in names)))
        print(f'{path}: {counted(len(names), "name")}')


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the subsets."""
    run_converter(write_subsets, parse_args(argv), 'output_dir')


if __name__ == '__main__':
    main()
