#!/usr/bin/env python
"""Pretrain on built-in scenes, probe the network before and after it, and write a report.

It downloads nothing and needs no GPU. The report is DIR/report.html; DIR/report.json has the same numbers. With
--encoder FILE a decoder learns on an encoder that has weights. A second run continues where the first one stopped, and
does not repeat finished parts.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# Compiled operators of MMCV, which nothing here needs; a default of MMSegmentation's loss
EXPECTED_WARNINGS = ('Fail to import', 'Default ``avg_non_ignore``')


def device_parser() -> argparse.ArgumentParser:
    """The part of the command line that must be known before any code looks for a GPU."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda', 'auto'],
        default='cpu',
        help='auto: a GPU if there is one (default: %(default)s)',
    )
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmvice.cli.config_options import ConfigOptions

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[device_parser()]
    )
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/quickstart', metavar='DIR', help='default: %(default)s'
    )
    parser.add_argument('--fresh', action='store_true', help='repeat what an earlier run has finished in DIR')
    parser.add_argument('--steps', type=positive, metavar='N', help="steps of pretraining (default: the config's)")
    parser.add_argument(
        '--probe-steps', type=positive, metavar='N', help="steps of the linear probes (default: the config's)"
    )
    parser.add_argument('--threads', type=positive, metavar='N', help="of PyTorch on the CPU (default: PyTorch's own)")
    parser.add_argument(
        '--encoder', type=Path, metavar='FILE', help='weights of an encoder of timm, on which a decoder learns'
    )
    parser.add_argument(
        '--encoder-name', metavar='NAME', help="what timm calls the encoder (default: what the file's name tells)"
    )
    for name, what in (('pretrain', 'the pretraining config'), ('probe', 'all four probe configs')):
        parser.add_argument(
            f'--{name}-options',
            nargs='+',
            action=ConfigOptions,
            default={},
            metavar='KEY=VALUE',
            help=f'change settings of {what}, as --cfg-options of tools/train.py does',
        )
    args = parser.parse_args(argv)
    if args.encoder_name and not args.encoder:
        parser.error('--encoder-name needs --encoder FILE')
    return args


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {value}')
    return value


def main(argv: Sequence[str] | None = None) -> None:
    """Run the quickstart, and print its numbers and the path of the report."""
    if device_parser().parse_known_args(argv)[0].device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # MMEngine takes a GPU wherever it sees one
    os.environ.setdefault(
        'OMP_WAIT_POLICY', 'PASSIVE'
    )  # threads that spin while they wait stop one another on busy cores
    for known in EXPECTED_WARNINGS:
        warnings.filterwarnings('ignore', message=known)
    args = parse_args(argv)
    import torch

    from mmvice.experiments.quickstart import Quickstart, summary
    from mmvice.utils.files import WritingError, writing_told

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('--device cuda: PyTorch finds no GPU; take --device cpu')
    quickstart = Quickstart(
        configs=ROOT / 'configs',
        work_dir=args.work_dir,
        steps=args.steps,
        probe_steps=args.probe_steps,
        threads=args.threads,
        fresh=args.fresh,
        encoder=args.encoder,
        encoder_name=args.encoder_name,
        pretrain_options=args.pretrain_options,
        probe_options=args.probe_options,
    )
    try:
        with writing_told({'--work-dir DIR': args.work_dir}):
            numbers, page = quickstart.run()
    except (FileExistsError, FileNotFoundError, ImportError, UnpicklingError, ValueError, WritingError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'\n{summary(numbers)}\n\n{page.resolve()}')


if __name__ == '__main__':
    main()
