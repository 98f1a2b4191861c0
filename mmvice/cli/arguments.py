"""Arguments that tools share, and their types."""

import argparse
from pathlib import Path

import torch

from mmvice.cli.config_options import ConfigOptions
from mmvice.cli.errors import TRACEBACK
from mmvice.utils.checkpoint import resolve_checkpoint


def existing_file(path: str) -> str:
    """An argparse type: the path of an existing file."""
    if not Path(path).expanduser().is_file():
        raise argparse.ArgumentTypeError(f'no such file: {path}')
    return path


def checkpoint_location(location: str) -> str:
    """An argparse type: an existing checkpoint file, a work folder, which means its latest checkpoint, or a URL."""
    try:
        location = str(resolve_checkpoint(location))
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return location if '://' in location else existing_file(location)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool with a config and a Runner has."""
    parser.add_argument('config', type=existing_file, help='config file')
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help="folder for logs and results (default: the config's work_dir, else work_dirs/<name of the config>)",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help="change settings of the config: model.head.num_concepts=64, a list as key=a,b or 'key=[a,b]', tuples in a "
        "list as 'key=[(a,b),(c,d)]'; quote what has brackets, and no white space",
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='launcher of the processes of this run (default: none, a single process)',
    )
    parser.add_argument(
        TRACEBACK, action='store_true', help='print the traceback of an error, also of an error in the settings'
    )
    # torch.distributed.launch passes this; torchrun sets the variable instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    return _integer(text, least=1)


def non_negative(text: str) -> int:
    """An argparse type: an integer of at least 0."""
    return _integer(text, least=0)


def choose_device(name: str) -> str:
    """The device that ``--device`` names; 'auto' is the GPU if there is one."""
    if name != 'auto':
        return name
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _integer(text: str, least: int) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f'must be at least {least}, got {value}')
    return value
