#!/usr/bin/env python
"""Convert weights of other projects to a checkpoint with mmvice's names.

It reads the authors' ViCE checkpoints (VISSL), ResNets with torchvision's names, classifiers and self-supervised models
of MMPretrain, segmentors of MMSegmentation, and the weights of mmvice's own checkpoints. With --config and a
TimmEncoder in it, it also reads what timm and the authors of its networks publish (DINO to DINOv3, MAE, ...). Every
weight is taken, or left out by a rule that the table names. A weight without a rule is an error.

model.pretrained and model.embedder_checkpoint in configs read the same formats directly. Convert a file to inspect its
content, or to pass on a clean one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvice.cli import existing_file
from mmvice.models.utils import weights_for
from mmvice.registry import MODELS
from mmvice.utils.checkpoint import save_weights
from mmvice.utils.files import writing_told
from mmvice.utils.weight_formats import Weights, read_weights
from mmvice.version import __version__

EXAMPLES = """examples:
  A checkpoint of the authors' code, compared with the model of a config:
    tools/model_converters/to_vice.py model_final_checkpoint_phase3.torch vice.pth --config configs/vice/CONFIG.py

  The latest checkpoint of a run, without queue and optimizer:
    tools/model_converters/to_vice.py work_dirs/CONFIG vice.pth

  A segmentor that was trained with MMSegmentation:
    tools/model_converters/to_vice.py work_dirs/deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024 vice.pth
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source', help='checkpoint file, work folder (its latest checkpoint), or URL (torchvision://resnet18, https://)'
    )
    parser.add_argument('out', metavar='OUT', help='checkpoint file to write')
    parser.add_argument(
        '--config', type=existing_file, help='config of pretraining or of a probe, whose model the weights must fit'
    )
    return parser.parse_args(argv)


def convert(source: str, config: str | None = None) -> Weights:
    """Read weights, and compare them with the model of a config if one is given.

    Raises:
        ValueError: If the file has no weights, some are unknown, or they do not fit.
    """
    if config is None:
        weights = read_weights(source)
        if not weights.weights:
            raise ValueError(f'{weights.source} has no weights of a backbone or decoder')
        return weights
    cfg = Config.fromfile(config)
    if cfg.get('model') is None:
        raise ValueError(f'the config {config} has no model')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmvice')):
        return weights_for(MODELS.build(cfg.model), source)


def table(weights: Weights) -> str:
    """The taken, dropped and kept weights, by part and rule."""
    rows = [('format', weights.format.name)]
    rows += [(f'{count} taken', part) for part, count in weights.counts().items()]
    rows += [(f'{len(names)} dropped', reason) for reason, names in weights.dropped.items()]
    rows += [(f'{len(names)} not in the file', reason) for reason, names in weights.kept.items()]
    width = max(len(left) for left, _ in rows)
    return '\n'.join(f'{left:>{width}}  {right}' for left, right in rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, write and print the table of all weights."""
    args = parse_args(argv)
    try:
        weights = convert(args.source, args.config)
        meta = dict(mmvice_version=__version__, source=Path(weights.source).name, format=weights.format.name)
        with writing_told({'OUT': args.out}):
            save_weights(args.out, weights.weights, meta)
    except (OSError, ValueError, TypeError, KeyError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'{weights.source} -> {args.out}\n{table(weights)}')


if __name__ == '__main__':
    main()
