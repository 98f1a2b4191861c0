#!/usr/bin/env python
"""Collect the benchmark on CamVid: its table, what was tried, how long steps take, its pictures."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmvice.apis.arguments import positive
from mmvice.apis.probe_benchmark import (
    add_benchmark_arguments,
    check_device,
    export_results,
    load_results,
    make_plan,
    read_benchmark,
    table,
    time_steps,
    tried_table,
    write_step_times,
)
from mmvice.apis.probe_benchmark.pictures import compared_models, draw_curve

EXAMPLES = """examples:
  The table so far, and its numbers as small files to be kept:
    python tools/analysis_tools/benchmark_camvid.py table --out work_dirs/benchmark_camvid/cpu.md --export DIR
  The table again, from these files:
    python tools/analysis_tools/benchmark_camvid.py table --work-dir DIR
  What was tried on the held-out part of the training images:
    python tools/analysis_tools/benchmark_camvid.py tune
  How long a step of each pretraining takes, in turn, for the table:
    python tools/analysis_tools/benchmark_camvid.py steps --rounds 10
  Segmentations and principal components side by side, and mIoU over pretraining steps:
    python tools/analysis_tools/benchmark_camvid.py pictures --out work_dirs/benchmark_camvid/pictures
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='{table,tune,steps,pictures}')
    shown = kinds.add_parser('table', help='the rows of the benchmark, measured on the validation images')
    tried = kinds.add_parser('tune', help='all variants, measured on the held-out part of the training images')
    timed = kinds.add_parser('steps', help='time training steps of all pretrainings in turn, for the table')
    drawn = kinds.add_parser('pictures', help='models side by side, and mIoU over pretraining steps')
    for part in (shown, tried):
        part.add_argument('--out', type=Path, metavar='FILE.md', help='write there (default: print)')
        part.add_argument('--export', type=Path, metavar='DIR', help='also copy the results there, without the runs')
    timed.add_argument('--rows', nargs='+', metavar='ROW', help='rows whose steps are timed (default: all)')
    timed.add_argument('--rounds', type=positive, default=10, metavar='N', help='steps of each (default: %(default)s)')
    drawn.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/benchmark_camvid/pictures'),
        metavar='DIR',
        help='default: %(default)s',
    )
    drawn.add_argument(
        '--rows',
        nargs='+',
        default=['random', 'superpixels', 'supervised'],
        metavar='ROW',
        help='models to show (default: %(default)s)',
    )
    drawn.add_argument(
        '--data-root', type=Path, default=Path('data/camvid'), metavar='DIR', help='default: %(default)s'
    )
    drawn.add_argument('--max-images', type=positive, default=6, metavar='N', help='default: %(default)s')
    for part in (shown, tried, timed, drawn):
        add_benchmark_arguments(part, ROOT)
    return parser.parse_args(argv)


def collect(args: argparse.Namespace) -> None:
    """Print or write the table, or what was tried."""
    benchmark = read_benchmark(args.benchmark)
    split = 'table' if args.kind == 'table' else 'tune'
    if not args.work_dir.is_dir():
        raise FileNotFoundError(f'there is no folder {args.work_dir}')
    if args.out is not None and args.out.is_dir():
        raise ValueError(f'--out: {args.out} is a folder, give a file in it')
    results, others = load_results(benchmark, args.work_dir, args.size, split)
    for name in others:
        print(f'not in the table, as it is of other settings: {name}', file=sys.stderr)
    if not results.all:
        raise ValueError(f'{args.work_dir} has no results of --size {args.size} for this table')
    text = (table if args.kind == 'table' else tried_table)(benchmark, results)
    if args.export is not None:
        print(f'{len(export_results(results.all, args.export))} results in {args.export}', file=sys.stderr)
        if results.step_times is not None and split == 'table':
            write_step_times(results.step_times, args.export)
    if args.out is None:
        print(text.rstrip())
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding='utf-8')
    print(f'wrote {args.out}', file=sys.stderr)


def measure(args: argparse.Namespace) -> None:
    """Time training steps and keep the times for the table."""
    benchmark = read_benchmark(args.benchmark)
    check_device(args.size)
    rows = [row.name for row in benchmark.select(args.rows) if row.step != 0]  # initial weights take no steps
    jobs = make_plan(benchmark, args.work_dir, args.size, 'table', rows, [], [0])
    times = time_steps(jobs, args.rounds, lambda line: print(line, file=sys.stderr, flush=True))
    for run, measured in times['runs'].items():
        print(f'{run:14} {measured["step_ms"]:8.1f} ms a step + {measured["data_ms"]:.1f} ms for its batch')
    print(f'wrote {write_step_times(times, args.work_dir)}')


def draw(args: argparse.Namespace) -> None:
    """Write the pictures."""
    benchmark = read_benchmark(args.benchmark)
    curve = args.out / 'curve.png'
    if draw_curve(benchmark, load_results(benchmark, args.work_dir, args.size, 'table')[0], curve):
        print(curve)
    else:
        print('no checkpoint of a row with a curve has been probed, so there is no curve', file=sys.stderr)
    models = compared_models(benchmark, args.work_dir, args.size, args.rows)
    command = [sys.executable, str(ROOT / 'tools' / 'visualization' / 'compare.py')]
    for model in models:
        command += ['--model', *map(str, model)]
    images, labels = args.data_root / 'images' / 'val', args.data_root / 'annotations' / 'val'
    command += [str(images), '--labels', str(labels), '--pca', '--max-images', str(args.max_images)]
    if subprocess.run([*command, '--output-dir', str(args.out)], check=False).returncode:
        raise ValueError('the pictures of models side by side could not be made, see above')


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    args = parse_args(argv)
    try:
        {'pictures': draw, 'steps': measure}.get(args.kind, collect)(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from error


if __name__ == '__main__':
    main()
