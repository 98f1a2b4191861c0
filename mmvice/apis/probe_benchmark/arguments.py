"""Command-line arguments that the tools of a benchmark share."""

import argparse
from pathlib import Path

from .plan import SIZES


def add_benchmark_arguments(parser: argparse.ArgumentParser, root: Path) -> None:
    """Add ``--size``, ``--work-dir`` and ``--benchmark``.

    Args:
        parser: Of the tool.
        root: Folder that ``configs/`` is in.
    """
    parser.add_argument('--size', choices=SIZES, default='cpu', help='configs of that folder (default: %(default)s)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/benchmark_camvid'),
        metavar='DIR',
        help='folder of all runs, or, to collect them, of kept results (default: %(default)s)',
    )
    parser.add_argument(
        '--benchmark',
        type=Path,
        default=root / 'configs' / 'benchmark' / 'camvid' / 'benchmark.yml',
        metavar='FILE.yml',
        help='what there is to run; configs are looked for beside it (default: configs/benchmark/camvid/benchmark.yml)',
    )
