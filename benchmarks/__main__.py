"""Measure mmvice's own parts against straightforward implementations of the same, and print the table of targets."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import cv2
import mmengine
import numba
import numpy as np
import torch
import torchvision
from mmengine.logging import MMLogger
from prettytable import PrettyTable

import mmvice
from mmvice.cli.arguments import positive
from mmvice.utils.console import use_console
from mmvice.utils.faiss import import_faiss

from . import data
from .harness import Row, Settings, processor_name, progress
from .lines import LINES


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('python -m benchmarks', description=__doc__)
    parser.add_argument('--lines', type=_lines, default=list(LINES), help='letters of lines, as a,d (default: all)')
    parser.add_argument('--quick', action='store_true', help='tiny sizes: shows that all runs, and judges nothing')
    parser.add_argument('--repeats', type=positive, default=7, help='interleaved rounds (default: %(default)s)')
    parser.add_argument('--threads', type=positive, default=1, help='cores to use (default: %(default)s)')
    out = 'JSON file (default: work_dirs/benchmark/results.json, or quick.json there)'
    parser.add_argument('--out', type=Path, help=out)
    args = parser.parse_args(argv)
    name = 'quick.json' if args.quick else 'results.json'
    args.out = args.out or data.ROOT / 'work_dirs' / 'benchmark' / name
    return args


def _lines(text: str) -> list[str]:
    letters = [letter.strip() for letter in text.split(',')]
    unknown = [letter for letter in letters if letter not in LINES]
    if unknown:
        raise argparse.ArgumentTypeError(f'no line {", ".join(map(repr, unknown))}; there are {", ".join(LINES)}')
    return letters


def use_threads(count: int) -> None:
    """Have every library use so many cores."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    import_faiss().omp_set_num_threads(count)


def surroundings(args: argparse.Namespace) -> dict:
    """What is measured where, and when."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    modules = (mmvice, torch, torchvision, np, cv2, numba, mmengine, import_faiss())
    return dict(
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        processor=processor_name(),
        cores=os.cpu_count(),
        threads=args.threads,
        load_at_start=list(os.getloadavg()),
        gpu=gpu,
        system=platform.platform(),
        versions={'python': platform.python_version(), **{m.__name__: m.__version__ for m in modules}},
        images=data.source(),
        quick=args.quick,
        repeats=args.repeats,
    )


def measure(
    lines: Sequence[str], settings: Settings, save: Callable[[list[Row], dict[int, str]], None]
) -> tuple[list[Row], dict[int, str]]:
    """The rows of the lines, and by their places the profiles of those that missed; saved after every line."""
    rows: list[Row] = []
    profiles: dict[int, str] = {}
    for letter in lines:
        for row in LINES[letter](settings):
            if row.verdict(settings.quick) == 'MISSED' and row.profile is not None:
                progress(f'{letter}: missed, {row.what}: profile')
                profiles[len(rows)] = row.profile()
            rows.append(row)
        save(rows, profiles)
    return rows, profiles


def table(rows: Sequence[Row], quick: bool) -> str:
    """The rows as text."""
    text = PrettyTable(['line', 'measured', 'slow side', 'ours', 'ratio', 'target', 'verdict'], align='l')
    text.max_width = 62
    for row in rows:
        ratio = '' if row.ratio is None else f'{row.ratio:.3g}'
        what = f'{row.what} ({row.note})' if row.note else row.what
        target = '' if row.target is None else str(row.target)
        text.add_row([row.line, what, row.slow, row.ours, ratio, target, row.verdict(quick)])
    return text.get_string()


def as_json(rows: Sequence[Row], profiles: dict[int, str], quick: bool) -> list[dict]:
    """The rows with all their numbers."""
    return [
        {**row.as_json(quick), **({'profile': profiles[place]} if place in profiles else {})}
        for place, row in enumerate(rows)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table and the profiles of missed targets, and write the numbers."""
    args = parse_args(argv)
    # how each weight was initialised is no news here
    use_console(MMLogger.get_instance('benchmark', log_level='WARNING'))
    use_threads(args.threads)
    where = surroundings(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)

    def save(rows: list[Row], profiles: dict[int, str]) -> None:
        written = dict(**where, load_at_end=list(os.getloadavg()), rows=as_json(rows, profiles, args.quick))
        args.out.write_text(json.dumps(written, indent=2) + '\n', encoding='utf-8')

    rows, profiles = measure(args.lines, Settings(args.quick, args.repeats), save)
    print(table(rows, args.quick))
    print(f'{where["processor"]}, {args.threads} thread(s), GPU: {where["gpu"]}, images: {where["images"]}')
    for place, text in profiles.items():
        print(f'\nMISSED {rows[place].line}: {rows[place].what}\n{text}')
    print(f'numbers: {args.out}')


if __name__ == '__main__':
    sys.exit(main())
