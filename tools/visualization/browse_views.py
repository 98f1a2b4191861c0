#!/usr/bin/env python
"""Draw the views, regions and masks of a pretraining config, one picture an image."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
from mmengine import Config
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvice.cli import run_tool
from mmvice.cli.config_options import ConfigOptions, merge_options
from mmvice.datasets.seeded_sampling import SeededIndex
from mmvice.registry import DATASETS
from mmvice.structures.views_data_sample import ViewsDataSample
from mmvice.utils.console import use_console_without_run
from mmvice.utils.files import writing_told
from mmvice.visualization import write_png
from mmvice.visualization.views import draw_sample


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Draw what a pretraining config makes of its images: for each view, from top to bottom, the view '
        'as the network sees it (noise = masked), the mutual image region, and the mutual regions coloured by id. '
        'The primary view is on the left.'
    )
    parser.add_argument('config', help='pretraining config file')
    parser.add_argument(
        '--output-dir', default='work_dirs/browse_views', help='folder for the pictures (default: %(default)s)'
    )
    parser.add_argument('--show-number', type=int, help='number of images to draw (default: all)')
    parser.add_argument(
        '--phase',
        default='train',
        choices=('train', 'val', 'test'),
        help='whose dataloader in the config to draw from (default: %(default)s)',
    )
    parser.add_argument('--not-show', action='store_true', help='only write the pictures, even if there is a display')
    parser.add_argument('--show-interval', type=float, default=2, help='seconds to show each picture (default: 2)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        help='settings of the config to override, as key=value pairs; lists as key="[a,b]" or key=a,b',
    )
    args = parser.parse_args(argv)
    if args.show_number is not None and args.show_number < 1:
        parser.error(f'--show-number must be at least 1, got {args.show_number}')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures."""
    args = parse_args(argv)
    with writing_told({'--output-dir DIR': args.output_dir}):
        draw(args)


def draw(args: argparse.Namespace) -> None:
    """Draw the pictures according to the command line."""
    use_console_without_run()
    cfg = Config.fromfile(args.config)
    merge_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmvice'))
    dataloader = cfg.get(f'{args.phase}_dataloader')
    if dataloader is None:
        raise SystemExit(f'{args.config} has no {args.phase}_dataloader; choose another --phase')
    dataset = DATASETS.build(dataloader.dataset)
    number = min(len(dataset), args.show_number or len(dataset))
    seed = (cfg.get('randomness') or {}).get('seed') or 0  # the views of the run's own first epoch
    shows = not args.not_show and has_display()

    output_dir = Path(args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    progress_bar = ProgressBar(number, file=sys.stderr)
    for index in range(number):
        sample = dataset[SeededIndex(index, seed=(seed, 0))]
        if not isinstance(sample.get('data_samples'), ViewsDataSample):
            raise SystemExit(
                f'the {args.phase} dataset of {args.config} makes no views: its pipeline must end with PackViCEInputs'
            )
        picture = draw_sample(sample['inputs'], sample['data_samples'])
        name = Path(sample['data_samples'].get('img_path', 'image')).stem
        path = output_dir / f'{index:06d}_{name}.png'
        write_png(path, picture[..., ::-1])
        if shows:
            cv2.imshow('views', picture)
            cv2.waitKey(max(1, int(args.show_interval * 1000)))
        progress_bar.update()
    sys.stderr.write('\n')
    print(f'{number} pictures in {output_dir.resolve()}')


def has_display() -> bool:
    """Whether a window can be opened; otherwise OpenCV would end the process."""
    return sys.platform != 'linux' or bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


if __name__ == '__main__':
    run_tool(main)
