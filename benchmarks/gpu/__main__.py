"""Measure everything that only a GPU shows within some minutes, and print what was measured, missed and left.

Every measurement is a process of its own with a limit of its own. The results are written after each; a run that is
given the results of a former one measures what is not there yet.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from .execute import run_batch
from .plan import PARTS, PLAN, SHARES, Measurement
from .results import Results

ROOT = Path(__file__).parents[2]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('python -m benchmarks.gpu', description=__doc__)
    parser.add_argument('--minutes', type=float, default=9, help='time for all of it (default: %(default)s)')
    parser.add_argument('--dry', action='store_true', help='tiny sizes on the CPU: shows that all runs, judges nothing')
    out = 'JSON file, whose results are kept (default: work_dirs/gpu/results.json, or dry.json there)'
    parser.add_argument('--out', type=Path, help=out)
    parser.add_argument('--kept', type=Path, help='further results, of another file, which are not measured again')
    parser.add_argument(
        '--parts',
        type=_parts,
        default=list(PARTS),
        help='numbers of parts, as 2,5 (default: all)',
    )
    args = parser.parse_args(argv)
    if args.kept and not args.kept.is_file():
        parser.error(f'--kept: there is no file {args.kept}')
    if not args.dry and not torch.cuda.is_available():
        parser.error('PyTorch sees no GPU here; --dry shows on the CPU that all runs')
    args.out = args.out or ROOT / 'work_dirs' / 'gpu' / ('dry.json' if args.dry else 'results.json')
    return args


def _parts(text: str) -> list[int]:
    names = [name.strip() for name in text.split(',')]
    unknown = [name for name in names if name not in map(str, PARTS)]
    if unknown:
        known = ', '.join(f'{part} ({title})' for part, title in PARTS.items())
        raise argparse.ArgumentTypeError(f'there is no part {unknown[0]!r}; the parts are {known}')
    return [int(name) for name in names]


def batches(measurements: Sequence[Measurement], dry: bool) -> list[list[Measurement]]:
    """What runs at the same time or, in a dry run, in one process: the tests of a part; of the rest, one by one.

    A dry run takes all the rest in one process, as most of its time is that of imports.
    """
    tests = [each for each in measurements if each.tests]
    rest = [each for each in measurements if not each.tests]
    return [batch for batch in (tests, *([rest] if dry else [[each] for each in rest])) if batch]


def measure(results: Results, args: argparse.Namespace) -> None:
    """Take the measurements of the plan that have no result yet, part by part, and then what was left for want of time.

    A part ends with its share of the time of those parts that have something to do, whatever the ones before it took.
    """
    start, seconds = time.monotonic(), 60 * args.minutes
    todo = [each for each in PLAN if each.part in args.parts and not results.done(each.name)]
    parts = list(dict.fromkeys(each.part for each in todo))
    whole, share = sum(SHARES[part] for part in parts), 0.0
    if args.dry:
        for batch in batches(todo, dry=True):
            run_batch(batch, results, start + seconds, dry=True)
        return
    for part in parts:
        share += SHARES[part]
        for batch in batches([each for each in todo if each.part == part], dry=False):
            run_batch(batch, results, start + seconds * share / whole, dry=False)
    for batch in batches([each for each in todo if results.left(each.name)], dry=False):
        run_batch(batch, results, start + seconds, dry=False)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    args = parse_args(argv)
    try:
        results = Results(args.out, args.kept, args.dry)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from error
    for file, count in results.taken.items():
        print(f'{file}: {count} finished measurements are kept', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is ended, and the tables are printed
    try:
        measure(results, args)
    finally:
        print(results.report())
        print(f'numbers: {args.out}')


if __name__ == '__main__':
    sys.exit(main())
