#!/usr/bin/env python
"""Measure a checkpoint on the test set of a config and print its metrics, such as mIoU and aAcc."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmvice.apis import build_runner
from mmvice.cli import (
    add_common_arguments,
    checkpoint_location,
    load_config,
    print_metrics,
    record_errors,
    require_test,
    run_tool,
    save_predictions,
    show_predictions,
    use_tta,
)
from mmvice.utils.files import writing_told


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_arguments(parser)
    parser.add_argument(
        'checkpoint', type=checkpoint_location, help='checkpoint file, or a work folder: its latest checkpoint'
    )
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder to write predictions to, as PNG files of class indices in the subfolders of the images; images '
        'need no labels',
    )
    parser.add_argument('--show', action='store_true', help='show painted predictions on the screen')
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='write painted predictions to DIR/vis_data/vis_image, in the subfolders of the images',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, metavar='SECONDS', help='how long --show shows an image (default: 2)'
    )
    parser.add_argument('--tta', action='store_true', help="test with the config's test-time augmentations")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Test."""
    args = parse_args(argv)
    cfg = load_config(args)
    require_test(cfg)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir is not None:
        show_predictions(cfg, args.show, args.show_dir, args.wait_time)
    if args.tta:
        use_tta(cfg)
    if args.out is not None:
        save_predictions(cfg, args.out)
    places = {'--out DIR': args.out, '--show-dir DIR': args.show_dir, '--work-dir DIR': cfg.work_dir}
    with writing_told(places):
        metrics = build_runner(cfg).test()
    if not metrics and args.out is None and not (args.show or args.show_dir):
        raise ValueError(
            'nothing was measured, as the images of test_dataloader have no label maps: give their folder as '
            'test_dataloader.dataset.data_prefix.seg_map_path, or write predictions with --out DIR'
        )
    print_metrics(metrics)


if __name__ == '__main__':
    run_tool(record_errors(main))
