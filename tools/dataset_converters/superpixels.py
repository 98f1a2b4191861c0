#!/usr/bin/env python
"""Compute the superpixels of a pretraining config once, and store them for LoadSuperpixels.

The files have the result of the config's own SuperpixelSLIC for every image of its train data set, so training samples
are the same, bit for bit. The tool first prints the space that it needs, and at the end how to change the config.
Finished files are not written again, so an interrupted run continues where it stopped.
"""

import argparse
import json
import os
import pickle
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mmvice.cli import existing_file
from mmvice.cli.config_options import ConfigOptions, merge_options
from mmvice.datasets import UnlabeledImageDataset
from mmvice.datasets.superpixel_files import (
    compute_superpixels,
    encode_superpixels,
    store_superpixels,
    superpixel_path,
)
from mmvice.registry import DATASETS
from mmvice.utils.config_types import type_name
from mmvice.utils.console import use_console_without_run
from mmvice.utils.conversion import Skipped, convert, run_converter, some
from mmvice.utils.counts import counted
from mmvice.utils.files import readable_size, write_file

WRITTEN = """written under OUTPUT_DIR:
    superpixels.json  what the files are made by
    <path of the image in the data root>.png  8 or 16 bits, the superpixel of every pixel"""
COMPUTING = ('SuperpixelSLIC', 'SuperpixelGrid')
MANIFEST = 'superpixels.json'
NUM_SAMPLES = 16
FORMAT = 1  # of the files, and of what the steps compute: another number where either changes


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=WRITTEN, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=existing_file, metavar='CONFIG', help='config of pretraining')
    parser.add_argument('output_dir', metavar='OUTPUT_DIR', help="folder for the files, with the images' subfolders")
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        metavar='N',
        help='processes that compute at a time (default: %(default)s)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='change settings of the config, as in tools/train.py',
    )
    return parser.parse_args(argv)


def steps_to_superpixels(pipeline: Sequence[dict]) -> list[dict]:
    """The steps of a pipeline up to the one that computes superpixels.

    Raises:
        ValueError: If there is none, or the first step is not ``LoadImageFromFile``.
    """
    types = [type_name(step) for step in pipeline]
    places = [place for place, name in enumerate(types) if name in COMPUTING]
    if not places or types[0] != 'LoadImageFromFile':
        raise ValueError(
            f'the pipeline must begin with LoadImageFromFile and have one of {", ".join(COMPUTING)}, but its steps are '
            f'{", ".join(types)}'
        )
    return [step.to_dict() if isinstance(step, ConfigDict) else dict(step) for step in pipeline[: places[0] + 1]]


def image_root(dataset: UnlabeledImageDataset) -> str:
    """The folder of a data set's images: its data root, else the common parent of its image folders."""
    if dataset.data_root:
        return dataset.data_root
    folders = [folder or os.curdir for folder in dataset.folders]
    return folders[0] if len(folders) == 1 else os.path.commonpath([os.path.abspath(folder) for folder in folders])


def check_place(dataset: UnlabeledImageDataset, output_dir: str) -> None:
    """Raise ValueError if the data set would read the superpixels as images the next time."""
    target = os.path.realpath(output_dir)
    for folder in () if dataset.list_files else map(os.path.realpath, dataset.folders):
        if os.path.commonpath([folder, target]) == folder:
            raise ValueError(f'{output_dir} is in {folder}, which is searched for images: choose another folder')


def check_manifest(output_dir: str, steps: Sequence[dict]) -> None:
    """Record the settings of the files in a folder; raise ValueError if its files have other settings."""
    made_by = json.dumps(dict(format=FORMAT, steps=steps), indent=2, default=str) + '\n'
    path = Path(output_dir, MANIFEST)
    if path.is_file() and path.read_text(encoding='utf-8') != made_by:
        raise ValueError(
            f'{output_dir} has superpixels that were made with other settings, or by another version of the steps, see '
            f'{path}: choose another folder, or delete that one'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(str(path), made_by.encode())


def estimate(paths: Sequence[str], pipeline: bytes, min_size: int, output_dir: str) -> str:
    """Estimate the space for the superpixels of all images from a sample."""
    sample = paths[:: -(-len(paths) // NUM_SAMPLES)]
    found = [compute_superpixels(path, pipeline, min_size) for path in sample]
    sizes = [len(encode_superpixels(superpixels)) for superpixels in found if not isinstance(superpixels, Skipped)]
    if not sizes:
        return f'{counted(len(paths), "image")}; no estimate of the size, as none of {len(sample)} tried could be used'
    mean, free = sum(sizes) / len(sizes), shutil.disk_usage(output_dir).free
    return (
        f'{counted(len(paths), "image")}, about {readable_size(mean * len(paths))} on disk '
        f'({readable_size(mean)} an image, mean of {len(sizes)}); {readable_size(free)} are free'
    )


def config_lines(config: str, dataset: ConfigDict, options: Sequence[str], output_dir: str, img_root: str) -> str:
    """A config that trains with the stored superpixels.

    Args:
        config: The config of the superpixels.
        dataset: Its train data set, with the settings of the command line.
        options: Names of these settings.
        output_dir, img_root: As ``LoadSuperpixels`` takes them.
    """
    loading = f"dict(type='LoadSuperpixels', folder={output_dir!r}, img_root={img_root!r})"
    start = 'train_dataloader.dataset.'
    changed = sorted({name[len(start) :].split('.')[0] for name in options if name.startswith(start)})
    settings = ''.join(f', {name}={_literal(dataset[name])}' for name in changed if name != 'pipeline')
    of_classes = not all(isinstance(step['type'], str) for step in dataset.pipeline)
    dataset = ConfigDict(dataset.to_dict())  # with the names of classes
    if 'pipeline' in changed or of_classes:
        steps = [loading if type_name(step) in COMPUTING else _literal(step) for step in dataset.pipeline]
        pipeline = ''.join(f'    {step},\n' for step in steps)
    else:
        (computing,) = {step.type for step in dataset.pipeline if type_name(step) in COMPUTING}
        pipeline = f"""    {loading}
    if step['type'] == {computing!r}
    else step
    for step in _base_.train_dataloader.dataset.pipeline
"""
    steps = f'train_pipeline = [\n{pipeline}]\n'
    if of_classes:  # such a config cannot be a _base_ of one with names
        base = f'from mmengine.config import read_base\n\nwith read_base():\n    from .{Path(config).stem} import *\n'
        return f'{base}\n{steps}train_dataloader.dataset.update(pipeline=train_pipeline{settings})\n'
    base = f'_base_ = {"./" + Path(config).name!r}\n'
    return f'{base}{steps}train_dataloader = dict(dataset=dict(pipeline=train_pipeline{settings}))\n'


def _literal(value: object) -> str:
    """A value of a config as Python source."""
    if isinstance(value, dict):
        return f'dict({", ".join(f"{name}={_literal(part)}" for name, part in value.items())})'
    if isinstance(value, (list, tuple)):
        inside = ''.join(f'{_literal(part)}, ' for part in value)
        return f'[{inside}]' if isinstance(value, list) else f'({inside})'
    return repr(value)


def convert_all(args: argparse.Namespace) -> None:
    """Check, estimate, compute, and print the next step."""
    use_console_without_run()
    cfg = Config.fromfile(Path(args.config).expanduser())
    merge_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmvice'))
    if cfg.get('train_dataloader') is None:
        raise ValueError(f'{args.config} has no train_dataloader')
    steps = steps_to_superpixels(cfg.train_dataloader.dataset.pipeline)
    kind = cfg.train_dataloader.dataset.type
    if not issubclass(kind if isinstance(kind, type) else DATASETS.get(kind) or object, UnlabeledImageDataset):
        raise ValueError(
            'the train data set must be an UnlabeledImageDataset, but is of type '
            f'{type_name(cfg.train_dataloader.dataset)!r}'
        )
    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'pipeline': []})
    output_dir, img_root = os.path.expanduser(args.output_dir), image_root(dataset)
    check_place(dataset, output_dir)
    paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    targets = {superpixel_path(path, img_root, output_dir): path for path in paths}
    check_manifest(output_dir, steps)

    pipeline = pickle.dumps(steps)
    print(estimate(paths, pipeline, dataset.min_size, output_dir), flush=True)
    jobs = [(path, target, pipeline, dataset.min_size) for target, path in targets.items()]
    results = convert(store_superpixels, jobs, args.workers, output_dir)
    skipped = [str(result) for result in results if isinstance(result, Skipped)]
    if len(skipped) == len(targets):
        raise ValueError(f'none of {len(skipped):,} images can be used: {some(skipped)}')
    if skipped:
        print(f'left out {counted(len(skipped), "image")}, as training does: {some(skipped, 10)}')
    print(f'\nTo train with them, save this beside {args.config}:\n')
    options = args.cfg_options or {}
    print(config_lines(args.config, cfg.train_dataloader.dataset, [*options], args.output_dir, img_root))


def main(argv: Sequence[str] | None = None) -> None:
    """Compute and store superpixels."""
    run_converter(convert_all, parse_args(argv), 'output_dir')


if __name__ == '__main__':
    main()
