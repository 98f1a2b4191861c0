#!/usr/bin/env python
"""Time the phases of a training step (Table 12 of the paper), or of an inference by probes (Table 13).

Times are mean and median in milliseconds. On a GPU every phase ends when the GPU has finished its work.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from prettytable import PrettyTable

from mmvice.cli import existing_file
from mmvice.cli.arguments import choose_device, non_negative, positive
from mmvice.cli.config_options import ConfigOptions, merge_options
from mmvice.experiments.timing import benchmark_inference, benchmark_train
from mmvice.utils.console import use_console
from mmvice.utils.files import writing_told

EXAMPLES = """examples:
  tools/analysis_tools/benchmark.py train configs/vice/CONFIG.py --out train_times.json
  tools/analysis_tools/benchmark.py inference --linear configs/linear_probe/CONFIG.py work_dirs/CONFIG/iter_1000.pth \\
      --cluster configs/cluster_probe/CONFIG.py work_dirs/CONFIG/epoch_1.pth --images 100
  tools/analysis_tools/benchmark.py inference --random --linear configs/linear_probe/CONFIG.py
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='{train,inference}')

    train = commands.add_parser(
        'train',
        help='time the steps of pretraining',
        description='Time the steps of pretraining: Forward (backbone and decoder), Loss comp. (region means, '
        'assignment, loss), Backward, Optimization (optimizer step, concepts back to unit length), Tot. (their sum). '
        'What comes before a step is listed beside them: Data (waiting for the loader) and Preprocessing (copying, '
        'normalising, masking). The queue is full, as in the middle of a run.',
    )
    train.add_argument('config', type=existing_file, help='config of pretraining')
    train.add_argument('--steps', type=positive, default=20, help='steps that are timed (default: %(default)s)')
    train.add_argument('--batch-size', type=positive, metavar='N', help="images in a batch (default: the config's)")
    train.add_argument('--amp', action='store_true', help='train with mixed precision, as tools/train.py --amp')
    train.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='change settings of the config, as in tools/train.py',
    )

    inference = commands.add_parser(
        'inference',
        help='time embedder and probes on whole images',
        description='Time the embedder (Segmentation model) and the heads of a linear and a cluster probe on it, on '
        "single whole images of the first config's test data.",
    )
    for kind in ('linear', 'cluster'):
        inference.add_argument(
            f'--{kind}',
            nargs='+',
            metavar=('CONFIG', 'CHECKPOINT'),
            help=f'config and checkpoint of a {kind} probe; with --random the config alone',
        )
    inference.add_argument('--images', type=positive, default=50, help='images that are timed (default: %(default)s)')
    inference.add_argument(
        '--random', action='store_true', help='untrained weights, and random unit centroids, instead of checkpoints'
    )
    for command, what in ((train, 'steps'), (inference, 'images')):
        command.add_argument(
            '--warmup',
            type=non_negative,
            default=5,
            help=f'{what} before those that are timed (default: %(default)s)',
        )
        command.add_argument('--out', metavar='JSON', help='file to write the numbers to')
        command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.command == 'inference':
        check_probes(inference, args)
    return args


def check_probes(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a usage message unless the probes are given as described in the help."""
    if args.linear is None and args.cluster is None:
        parser.error('give --linear, --cluster or both')
    for kind in ('linear', 'cluster'):
        files = getattr(args, kind)
        if files is None:
            continue
        if len(files) != (1 if args.random else 2):
            parser.error(f'--{kind} takes {"CONFIG alone with --random" if args.random else "CONFIG CHECKPOINT"}')
        for file in files:
            if not Path(file).expanduser().exists():
                parser.error(f'no such file or folder: {file}')


def measure(args: argparse.Namespace) -> dict:
    """Measure according to the command line."""
    device = choose_device(args.device)
    if args.command == 'train':
        cfg = Config.fromfile(Path(args.config).expanduser())
        merge_options(cfg, args.cfg_options)
        return benchmark_train(cfg, args.steps, args.warmup, args.batch_size, args.amp, device)
    linear, cluster = (files and (files[0], None if args.random else files[1]) for files in (args.linear, args.cluster))
    return benchmark_inference(linear, cluster, args.images, args.warmup, device)


def table(result: dict) -> str:
    """The times as a table, columns as in the paper."""
    columns = list(result['milliseconds'])
    rows = PrettyTable(['[msec]', *columns], align='r')
    for title, key in (('mean', 'milliseconds'), ('median', 'median_milliseconds')):
        rows.add_row([title, *(f'{result[key][column]:.2f}' for column in columns)])
    return rows.get_string()


def surroundings(result: dict) -> str:
    """Describe the measurement and the machine, on a few lines."""
    lines = []
    for key, value in result.items():
        values = value if isinstance(value, list) else [value]
        if not key.endswith('milliseconds') and key != 'untrained' and any(v is not None for v in values):
            lines.append(f'{key.replace("_", " ")}: {", ".join(map(str, values))}')
    if result.get('untrained'):
        lines.append(f'untrained weights: {", ".join(result["untrained"])}')
        if 'Cluster model' in result['untrained']:
            lines.append('the centroids of the cluster model are random unit vectors')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write the numbers."""
    args = parse_args(argv)
    # how each weight was initialised is no news here
    use_console(MMLogger.get_instance('benchmark', log_level='WARNING'))
    try:
        result = measure(args)
        if args.out is not None:
            out = Path(args.out).expanduser()
            with writing_told({'--out JSON': out}):
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, UnpicklingError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise SystemExit(f'error: out of memory, lower the batch size: {error}') from error
        raise SystemExit(f'error: {error}') from error
    print(table(result))
    print(surroundings(result))


if __name__ == '__main__':
    main()
