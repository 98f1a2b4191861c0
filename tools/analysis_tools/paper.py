#!/usr/bin/env python
"""Reproduce the paper's tables and figures: list them, print the commands that run them, collect the results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmvice.apis.arguments import positive
from mmvice.apis.paper import Launch, check, collect, commands, listing, read_paper, select

EXAMPLES = """examples:
  What is there, and which configs make it:
    python tools/analysis_tools/paper.py list table-1

  Run what is left of a table on 8 GPUs of 16 images, with three seeds:
    python tools/analysis_tools/paper.py commands table-1 --gpus 8 --images-per-gpu 16 --seeds 3 --missing > run.sh
    bash -e run.sh

  The results next to the paper's:
    python tools/analysis_tools/paper.py collect all --out work_dirs/paper/results.md
"""
TABLES = 'table-1, figure-4, ...; 1 for table-1; all for everything'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='COMMAND')
    shown = kinds.add_parser('list', help='tables and figures, their rows and configs', description='As Markdown.')
    shown.add_argument('tables', nargs='*', default=['all'], metavar='TABLE', help=f'{TABLES} (default: all)')
    run = kinds.add_parser(
        'commands',
        help='shell commands that run a table',
        description="Shell commands that run a table, to be run from the repository's root. Pretraining goes to "
        'work_dirs/CONFIG (seed 0) or work_dirs/CONFIG_seed-N, a probe into the folder of its pretraining. All of them '
        'resume, so that the same commands go on after an interruption.',
    )
    run.add_argument('tables', nargs='+', metavar='TABLE', help=TABLES)
    run.add_argument(
        '--gpus', type=positive, metavar='N', help='GPUs of a pretraining (default: what its config is made for)'
    )
    run.add_argument(
        '--images-per-gpu',
        type=positive,
        metavar='B',
        help="images of a step on each GPU (default: the config's). Where N x B is not what the config is made for, "
        'the learning rate and what is counted in steps are scaled linearly; probes stay on one GPU and unscaled',
    )
    run.add_argument('--seeds', type=positive, default=1, metavar='S', help='seeds 0 to S-1 (default: %(default)s)')
    run.add_argument('--amp', action='store_true', help='pretrain in mixed precision, as the authors did')
    run.add_argument('--missing', action='store_true', help='leave out what has finished')
    gather = kinds.add_parser(
        'collect',
        help="the results so far, next to the paper's",
        description="A table as Markdown: the paper's figures, and those of the runs that have finished.",
    )
    gather.add_argument('tables', nargs='+', metavar='TABLE', help=TABLES)
    gather.add_argument(
        '--out',
        type=Path,
        metavar='FILE.md',
        help='write there, and the charts of figures beside it (default: print, without charts)',
    )
    for part in (run, gather):
        part.add_argument(
            '--work-dirs',
            type=Path,
            default=Path('work_dirs'),
            metavar='DIR',
            help='folder of all runs (default: %(default)s)',
        )
    for part in (shown, run, gather):
        part.add_argument(
            '--paper',
            type=Path,
            default=ROOT / 'configs' / 'paper.yml',
            metavar='FILE.yml',
            help='what the tables are made of; configs are looked for beside it (default: configs/paper.yml)',
        )
    return parser.parse_args(argv)


def answer(args: argparse.Namespace) -> str:
    """What the command line asks for, as text.

    Raises:
        ValueError: If the paper's file, a config or a log is not as it should be.
    """
    paper = read_paper(args.paper)
    tables = select(paper, args.tables)
    if args.kind == 'list':
        return listing(tables)
    problems = check(paper, tables)
    if problems:
        raise ValueError('\n  '.join([f'{args.paper} has rows that cannot be run:', *problems]))
    if args.kind == 'commands':
        launch = Launch(args.gpus, args.images_per_gpu, args.seeds, args.missing, args.amp, args.work_dirs)
        return '\n'.join(commands(paper, tables, launch))
    return collect(paper, tables, args.work_dirs, args.out.parent if args.out else None)


def main(argv: Sequence[str] | None = None) -> None:
    """Answer on the terminal or in a file."""
    args = parse_args(argv)
    try:
        text = answer(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    if getattr(args, 'out', None):
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding='utf-8')
        print(f'wrote {args.out}', file=sys.stderr)
    else:
        print(text.rstrip())


if __name__ == '__main__':
    main()
