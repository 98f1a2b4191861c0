#!/usr/bin/env python
"""Run the experiments of a file: the paper's tables and figures, the benchmark on CamVid, or tables of your own.

FILE is a YAML file such as configs/experiments/paper.yml, camvid.yml or example.yml; configs/experiments/README.md
says what is in it. Without TABLE all tables of it are meant.
"""

import argparse
import math
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmvice.cli.arguments import non_negative, positive
from mmvice.cli.config_options import ConfigOptions
from mmvice.experiments.checks import check
from mmvice.experiments.collect import collect, tried
from mmvice.experiments.commands import commands, file_lines
from mmvice.experiments.documents import filled
from mmvice.experiments.execute import Executor, check_data, check_devices, in_order, run_lines, trainings_at_a_time
from mmvice.experiments.listing import listing
from mmvice.experiments.pictures import draw_pictures
from mmvice.experiments.plan import Planner
from mmvice.experiments.reader import read_experiments
from mmvice.experiments.results import Results, read_kept, write_json
from mmvice.experiments.step_times import STEP_TIMES, read_step_times, time_steps
from mmvice.experiments.tables import Table, select

EXAMPLES = """examples:
  What there is, and which configs make it:
    python tools/experiments.py list configs/experiments/paper.yml table-1

  Commands for what is left of a table on 8 GPUs of 16 images, with three seeds:
    python tools/experiments.py commands configs/experiments/paper.yml table-1 --gpus 8 --images-per-gpu 16 \\
        --seeds 0-2 --missing > run.sh
    bash -e run.sh

  Run the benchmark on CamVid here, two trainings at a time, beside results that are kept; then its table:
    python tools/experiments.py run configs/experiments/camvid.yml --jobs 2 --kept docs/camvid_benchmark/cpu.jsonl
    python tools/experiments.py collect configs/experiments/camvid.yml

  Try settings, measured on the split for it; a step of a pipeline goes by its type:
    python tools/experiments.py run configs/experiments/camvid.yml --rows superpixels --seeds 0 --probes linear-256 \\
        --variant slic-8 train_dataloader.dataset.pipeline.SuperpixelSLIC.region_size=8
    python tools/experiments.py collect configs/experiments/camvid.yml --tried
"""
VERBS = dict(
    list='the tables, their rows and configs, and the figures of the paper',
    commands="shell commands that run tables, from the repository's root; they resume",
    run='run what is left of tables here',
    collect='the tables with the results so far',
    pictures='draw charts, and make the pictures of what has finished',
    steps='time the training steps of all pretrainings in turn, for the tables',
    document='write the tables in documents anew, from kept results',
)
PLANNED, LAUNCHED = ('commands', 'run', 'collect', 'pictures', 'steps'), ('commands', 'run')
SCALED = "images of a step on each GPU (default: the config's); learning rate, steps and queue follow linearly"
TRIED = 'a name, and settings of the pretraining to try, as --cfg-options of tools/train.py; on the last split'
JOBS = "trainings at a time (default: what the machine has room for by the size's needs, else 1)"
FIRST = 'rows whose seeds after 0 come before all else, in that order; probes as soon as they can'


def seeds(text: str) -> list[int]:
    """An argparse type: a seed, or a range such as 0-2."""
    first, _, last = text.partition('-')
    if not f'{first}{last}'.isdigit():
        raise argparse.ArgumentTypeError(
            f'{text!r} is no seed: give numbers or ranges such as 0-2, and FILE before them'
        )
    return list(range(non_negative(first), non_negative(last or first) + 1))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    parts = {
        verb: verbs.add_parser(verb, help=text, description=text.capitalize() + '.') for verb, text in VERBS.items()
    }

    def add(where: Sequence[str], *names: str, **kwargs) -> None:
        for verb in where:
            parts[verb].add_argument(*names, **kwargs)

    with_file = ('list', *PLANNED)
    add(with_file, 'file', type=Path, metavar='FILE', help='the experiments, a YAML file')
    add(with_file, 'tables', nargs='*', metavar='TABLE', help='table-1, figure-4, ...; 1 for table-1; all')
    add(['document'], 'files', type=Path, nargs='+', metavar='FILE.md', help='with marks <!-- collect ... -->')
    add(PLANNED, '--size', help='folder of configs, where the file has several (default: the first)')
    add(PLANNED, '--split', help='what probes are measured on, where the file has several (default: the first)')
    add(PLANNED, '--rows', nargs='+', metavar='ROW', help='rows (default: all)')
    add(PLANNED, '--probes', nargs='*', metavar='PROBE', help='none after it: no probe (default: all)')
    add(PLANNED, '--seeds', nargs='+', type=seeds, metavar='N', help='such as 0-2 or 0 3 (default: of each row)')
    add(PLANNED, '--work-dirs', type=Path, metavar='DIR', help="folder of all runs (default: the file's)")
    add(LAUNCHED, '--gpus', type=positive, metavar='N', help='of a pretraining (default: what its config is for)')
    add(LAUNCHED, '--images-per-gpu', type=positive, metavar='B', help=SCALED)
    add(LAUNCHED, '--amp', action='store_true', help='pretrain in mixed precision')
    add(LAUNCHED, '--variant', nargs='+', default=[], metavar=('NAME', 'KEY=VALUE'), help=TRIED)
    of_probes = dict(nargs='+', action=ConfigOptions, default={}, metavar='KEY=VALUE')
    add(LAUNCHED, '--probe-options', **of_probes, help='settings of all probes to try, with --variant NAME')
    add(['commands'], '--missing', action='store_true', help='leave out what has finished')
    add(PLANNED[1:4], '--kept', type=Path, metavar='FILE.jsonl', help='kept results, beside those of the runs')
    add(['run'], '--jobs', type=positive, metavar='N', help=JOBS)
    add(['run'], '--minutes', type=float, default=math.inf, help='then end what is running; keep what has finished')
    add(['run'], '--first', nargs='+', default=[], metavar='ROW', help=FIRST)
    add(['run'], '--dry-run', action='store_true', help='list the trainings and their commands, and run none')
    add(['collect'], '--out', type=Path, metavar='FILE.md', help='write there, charts beside it (default: print)')
    add(['collect'], '--export', type=Path, metavar='FILE.jsonl', help='also keep the results, without the runs')
    add(['collect'], '--tried', action='store_true', help='what was tried (--variant), with the settings')
    add(['pictures'], '--out', type=Path, metavar='DIR', help='default: pictures/ in the folder of all runs')
    add(['pictures'], '--add', default='', metavar='WORDS', help='more words for each command of pictures')
    add(['steps'], '--rounds', type=positive, default=10, metavar='N', help='steps of each (default: %(default)s)')
    return parser.parse_args(argv)


def variant_of(words: Sequence[str]) -> dict:
    """The variant that ``--variant`` describes, as a planner takes it.

    Raises:
        ValueError: If a word after the name is no KEY=VALUE.
    """
    if not words:
        return {}
    name, *settings = words
    if '=' in name or any('=' not in word for word in settings):
        raise ValueError(f'--variant takes a name and then KEY=VALUE, got {" ".join(words)}')
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='*', action=ConfigOptions)
    return dict(variant=name, variant_options=parser.parse_args(['--options', *settings]).options)


def plan_of(args: argparse.Namespace) -> tuple[Planner, list[Table]]:
    """The planner and the tables that the command line asks for.

    Raises:
        ValueError: If the file or a config is not as it should be, or a name is unknown.
    """
    experiments = read_experiments(args.file)
    tables, variant = select(experiments, args.tables), variant_of(getattr(args, 'variant', ()))
    tries = variant or getattr(args, 'tried', False)
    split = args.split or (next(reversed(experiments.splits), None) if tries else None)
    launch = {name: getattr(args, name) for name in ('gpus', 'images_per_gpu', 'amp', 'probe_options') if name in args}
    chosen = None if args.seeds is None else sorted({seed for part in args.seeds for seed in part})
    names = dict(rows=args.rows, probes=args.probes, seeds=chosen)
    planner = Planner.of(experiments, args.size, split, args.work_dirs, **names, **variant, **launch)
    problems = check(planner, tables)
    if problems:
        raise ValueError('\n  '.join([f'{args.file} has rows that cannot be run:', *problems]))
    return planner, tables


def results_of(args: argparse.Namespace, planner: Planner) -> Results:
    """The results of the folders of runs and of ``--kept``."""
    kept, step_times = ([], None) if args.kept is None else read_kept(args.kept)
    return Results(kept, read_step_times(planner.work_dirs) or step_times, not getattr(args, 'tried', False))


def show_list(args: argparse.Namespace) -> None:
    """Print what there is."""
    print(listing(select(read_experiments(args.file), args.tables)).rstrip())


def show_commands(args: argparse.Namespace) -> None:
    """Print what to run."""
    planner, tables = plan_of(args)
    print('\n'.join(commands(planner, tables, Results() if args.missing else None)))


def run(args: argparse.Namespace) -> None:
    """Run what is left; status 1 if something failed."""
    planner, tables = plan_of(args)
    results, rows = results_of(args, planner), {row.name: row for table in tables for row in table.rows}
    first = [rows[name].pretraining.run for name in args.first if rows[name].pretraining is not None]
    jobs = in_order(planner.jobs(tables), first)
    if args.dry_run:
        for job in jobs:
            state = results.state(job)
            print(f'{"kept" if state == "finished" and not job.folder.exists() else state:9}{job.name}')
            print(''.join(f'         {line}\n' for line in [*job.before, shlex.join(job.command())]), end='')
        return
    left = [job for job in jobs if results.state(job) == 'left']
    for name in set(results.others) & {job.name for job in left}:
        print(f'not used, as it is of other settings: the kept result of {name}')
    check_devices(left, planner)
    check_data(left)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)  # ends the trainings, too
    say = partial(print, flush=True)
    workers = args.jobs or 1
    if left and args.jobs is None:
        workers, why = trainings_at_a_time(planner.size.needs, args.minutes)
        say(f'trainings at a time: {workers} ({why}); --jobs N takes another number')
    executor = Executor(ROOT / 'tools' / 'train.py', results, workers, say, 60 * args.minutes)
    wrong, failed = executor.run(jobs), []
    if len(planner.jobs(tables)) > len(jobs) and not executor.stopped:  # checkpoints that are known of now
        jobs = in_order(planner.jobs(tables), first)
        wrong = executor.run(jobs)
    if not wrong and not executor.stopped:
        sources = [(s, row) for table in tables for row in planner.rows_of(table) for s in planner.sources_of(row)]
        lines = [line for s, row in sources for n in planner.seeds_of(row) for line in file_lines(planner, s, n, True)]
        failed = run_lines(lines, say)
    if planner.shows_split and planner.variant is None:
        out = planner.work_dirs / f'{args.file.stem}.md'
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(collect(planner, results_of(args, planner), tables), encoding='utf-8')
        print(f'the tables so far: {out}')
    if wrong or failed:
        names = [*(job.name for job in wrong), *failed]
        raise SystemExit(f'{len(names)} of {len(jobs) + len(failed)} have no result: ' + '; '.join(names))


def show(args: argparse.Namespace) -> None:
    """Print or write tables."""
    planner, tables = plan_of(args)
    results = results_of(args, planner)
    if args.out is not None and args.out.is_dir():
        raise ValueError(f'--out: {args.out} is a folder, give a file in it')
    charts = None if args.out is None else args.out.parent
    text = tried(planner, results, tables) if args.tried else collect(planner, results, tables, charts)
    for name in results.others:
        print(f'not in the table, as it is of other settings: {name}', file=sys.stderr)
    for name in results.unasked(planner) if not args.tried and (args.rows, args.probes) == (None, None) else ():
        print(f'not in the table, as it has no such row or probe: {name}', file=sys.stderr)
    if args.export is not None:
        results.write(args.export)
        print(f'{len(results.used)} results in {args.export}', file=sys.stderr)
    if args.out is None:
        print(text.rstrip())
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding='utf-8')
    print(f'wrote {args.out}', file=sys.stderr)


def draw(args: argparse.Namespace) -> None:
    """Draw charts and make pictures."""
    planner, tables = plan_of(args)
    charts, lines = draw_pictures(planner, results_of(args, planner), tables, args.out)
    print(''.join(f'{chart}\n' for chart in charts), end='')
    failed = run_lines([f'{line} {args.add}'.rstrip() for line in lines], print)
    if failed:
        raise ValueError(f'pictures could not be made, see above: {failed[0]}')


def time_all(args: argparse.Namespace) -> None:
    """Time training steps and keep the times for the tables."""
    planner, tables = plan_of(args)
    owns = [row.pretraining for table in tables for row in planner.rows_of(table) if row.pretraining is not None]
    jobs = list(dict.fromkeys(planner.pretraining(own, 0) for own in owns if own.step != 0))
    check_devices(jobs, planner)
    times = time_steps(jobs, args.rounds, partial(print, file=sys.stderr, flush=True))
    for name, measured in times['runs'].items():
        print(f'{name:14} {measured["step_ms"]:8.1f} ms a step + {measured["data_ms"]:.1f} ms for its batch')
    planner.work_dirs.mkdir(parents=True, exist_ok=True)
    write_json(planner.work_dirs / STEP_TIMES, times)


def collected(argv: Sequence[str]) -> str:
    """The tables for a mark of a document."""
    args = parse_args(['collect', *argv])
    planner, tables = plan_of(args)
    return (tried if args.tried else collect)(planner, results_of(args, planner), tables, alone=True)


def write_documents(args: argparse.Namespace) -> None:
    """Fill the tables of documents."""
    for file in args.files:
        file.write_text(filled(file.read_text(encoding='utf-8'), collected), encoding='utf-8')


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    args = parse_args(argv)
    actions = (show_list, show_commands, run, show, draw, time_all, write_documents)
    try:
        dict(zip(VERBS, actions))[args.verb](args)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from error
    except KeyboardInterrupt as error:
        raise SystemExit('interrupted: the same command goes on from the last checkpoints') from error


if __name__ == '__main__':
    main()
