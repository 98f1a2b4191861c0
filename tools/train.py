#!/usr/bin/env python
"""Run the training of a config: pretraining, a linear probe, a cluster probe or fine-tuning."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.logging import print_log

from mmvice.apis import build_runner, use_resume
from mmvice.cli import (
    add_common_arguments,
    full_disk_explained,
    load_config,
    next_step,
    record_errors,
    require_train,
    run_tool,
    use_auto_scale_lr,
    use_mixed_precision,
)
from mmvice.utils.files import writing_told


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_arguments(parser)
    parser.add_argument(
        '--resume', action='store_true', help='resume from the latest checkpoint in the work folder, if there is one'
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision (bfloat16 on a CPU)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from auto_scale_lr.base_batch_size in the config to the batch size of this run',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    cfg = load_config(args)
    require_train(cfg)
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        use_auto_scale_lr(cfg)
    if args.resume:
        use_resume(cfg, load_from=(args.cfg_options or {}).get('load_from'))
    with writing_told({'--work-dir DIR': cfg.work_dir}), full_disk_explained(cfg):
        runner = build_runner(cfg)
        runner.train()
    lines = next_step(cfg, runner)
    if lines is not None:
        print_log(lines, logger='current')


if __name__ == '__main__':
    run_tool(record_errors(main))
