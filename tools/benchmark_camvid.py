#!/usr/bin/env python
"""Run the benchmark on CamVid (configs/benchmark/camvid): pretrainings, and probes of each.

A second run goes on where the first one stopped, and does not repeat what has finished. Everything of a run lies in
WORK_DIR/SIZE/ROW/seed-N: pretraining/, and a folder for each probe under tune/ or table/, with the output of the
training, its logs, its whole config, and result.json with the numbers.
"""

import argparse
import math
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


from mmvice.apis.arguments import non_negative, positive
from mmvice.apis.config_options import ConfigOptions
from mmvice.apis.probe_benchmark import (
    SPLITS,
    Benchmark,
    Executor,
    Job,
    Row,
    Variant,
    add_benchmark_arguments,
    check_data,
    check_device,
    load_results,
    make_plan,
    read_benchmark,
    read_results,
    restore_results,
    state,
    table,
)

EXAMPLES = """examples:
  All of it, and what there is to do:
    python tools/benchmark_camvid.py --jobs 2
    python tools/benchmark_camvid.py --dry-run

  A row beside those whose results are kept, without running these again:
    python tools/benchmark_camvid.py --kept docs/camvid_benchmark/cpu --jobs 2

  Try settings of the pretraining, measured on the held-out part of the training images; a step of a pipeline goes by
  its type:
    python tools/benchmark_camvid.py --split tune --rows superpixels --seeds 0 --probes linear-11 linear-256 \\
        --variant lr-1e-3 optim_wrapper.optimizer.lr=1e-3
    python tools/benchmark_camvid.py --split tune --rows superpixels --seeds 0 --probes linear-11 linear-256 \\
        --variant slic-8_strong train_dataloader.dataset.pipeline.SuperpixelSLIC.region_size=8 \\
        train_dataloader.dataset.pipeline.ViewColorDistortion.strength=1.0
    python tools/analysis_tools/benchmark_camvid.py tune
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_benchmark_arguments(parser, ROOT)
    parser.add_argument(
        '--split',
        choices=SPLITS,
        help='table: probes learn from the training images and are measured on the validation images. tune: both on '
        'parts of the training images (default: table; tune where settings are tried)',
    )
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='rows of the table (default: all)')
    parser.add_argument(
        '--probes', nargs='*', metavar='PROBE', help='probes; none after it for pretraining alone (default: all)'
    )
    parser.add_argument(
        '--seeds', nargs='+', type=non_negative, metavar='N', help='seeds (default: those of each row, from 0)'
    )
    parser.add_argument(
        '--variant',
        nargs='+',
        default=[],
        metavar=('NAME', 'KEY=VALUE'),
        help='a name, and settings of the pretraining to try, as --cfg-options of tools/train.py',
    )
    parser.add_argument(
        '--probe-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='settings of all probes, with --variant NAME',
    )
    parser.add_argument(
        '--kept',
        type=Path,
        metavar='DIR',
        help='results of earlier runs (--export of the collector): what they are of is not run again, unless '
        'something needs its weights',
    )
    parser.add_argument(
        '--jobs', type=positive, default=1, metavar='N', help='trainings at a time, a CPU core each (default: 1)'
    )
    parser.add_argument(
        '--minutes', type=float, default=math.inf, help='then end what is running, and keep what has finished'
    )
    parser.add_argument(
        '--first',
        nargs='+',
        default=[],
        metavar='ROW',
        help='rows whose seeds after 0 come before all else, in that order; probes as soon as they can',
    )
    parser.add_argument('--dry-run', action='store_true', help='list the trainings and their commands, and run none')
    args = parser.parse_args(argv)
    if args.probe_options and not args.variant:
        parser.error('probes of other settings need a name: --variant NAME --probe-options KEY=VALUE ...')
    if args.split is None:
        args.split = 'tune' if args.variant else 'table'
    return args


def variant_of(words: Sequence[str]) -> Variant:
    """The variant that ``--variant`` describes.

    Raises:
        ValueError: If a word after the name is no KEY=VALUE.
    """
    if not words:
        return Variant()
    name, *settings = words
    wrong = [word for word in settings if '=' not in word]
    if '=' in name or wrong:
        raise ValueError(f'--variant takes a name and then KEY=VALUE, got {" ".join(words)}')
    if not settings:
        return Variant(name)
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=ConfigOptions)
    options: Mapping = parser.parse_args(['--options', *settings]).options
    return Variant(name, options)


def in_order(jobs: Sequence[Job], first: Sequence[Row]) -> list[Job]:
    """The plan with the seeds after 0 of some rows before all else, and of these each probe as soon as it can run.

    Weights are not kept by everyone who keeps results: a pretraining is worth nothing until it has been probed.
    """
    places = {row.run: place for place, row in reversed(list(enumerate(first)))}

    def key(job: Job) -> tuple:
        if job.run in places and job.seed:
            return (0, job.probe is None, job.seed, places[job.run])
        return (1,)

    return sorted(jobs, key=key)


def restore(jobs: Sequence[Job], kept: Path, write: bool) -> list[Job]:
    """Take kept results for those of trainings that have none; which they are.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not kept.is_dir():
        raise FileNotFoundError(f'--kept: there is no folder {kept}')
    restored, others = restore_results(jobs, read_results(kept), write)
    print(f'{len(restored)} results from {kept}')
    for name in others:
        print(f'not used, as it is of other settings: the kept result of {name}')
    return restored


def write_table(benchmark: Benchmark, args: argparse.Namespace) -> Path:
    """Write the table of what has finished; its file."""
    results, _ = load_results(benchmark, args.work_dir, args.size, 'table')
    out = args.work_dir / f'{args.size}.md'
    out.write_text(table(benchmark, results), encoding='utf-8')
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is left; status 1 if something failed."""
    args = parse_args(argv)
    try:
        benchmark = read_benchmark(args.benchmark)
        jobs = make_plan(
            benchmark,
            args.work_dir,
            args.size,
            args.split,
            args.rows,
            args.probes,
            args.seeds,
            variant_of(args.variant),
            args.probe_options,
        )
        jobs = in_order(jobs, benchmark.select(args.first))
        kept = [] if args.kept is None else restore(jobs, args.kept, write=not args.dry_run)
        if args.dry_run:
            for job in jobs:
                found = 'kept' if job in kept else state(job)
                print(f'{found:9}{job.name}\n         python {shlex.join(job.command(Path("tools/train.py")))}')
            return
        left = [job for job in jobs if state(job) == 'left']
        if left:
            check_device(args.size)
        check_data(left)
        read_results(args.work_dir)  # a damaged file is better told of before hours of training
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, signal.default_int_handler)  # ends the trainings, too
        say = partial(print, flush=True)
        wrong = Executor(ROOT / 'tools' / 'train.py', args.jobs, say, 60 * args.minutes).run(jobs)
        if args.split == 'table':
            print(f'the table so far: {write_table(benchmark, args)}')
    except (ValueError, OSError, KeyError) as error:
        raise SystemExit(f'error: {error}') from error
    except KeyboardInterrupt as error:
        raise SystemExit('interrupted: the same command goes on from the last checkpoints') from error
    if wrong:
        raise SystemExit(f'{len(wrong)} of {len(jobs)} trainings have no result: ' + '; '.join(j.name for j in wrong))


if __name__ == '__main__':
    main()
