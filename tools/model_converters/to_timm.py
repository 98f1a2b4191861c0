#!/usr/bin/env python
"""Write the backbone of a ViCE checkpoint under timm's own names, for every program that uses timm.

The backbone must be a TimmEncoder. Before the file is written, the weights are loaded strictly into timm.create_model,
and features of both networks are compared on a random image. OUT is a file of torch.save, or of safetensors if its name
ends in .safetensors.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmvice.cli import existing_file
from mmvice.models.backbones import TimmEncoder
from mmvice.registry import MODELS
from mmvice.utils.checkpoint import (
    differing_weights,
    import_safetensors,
    resolve_checkpoint,
    save_weights,
)
from mmvice.utils.files import write_file, writing_told
from mmvice.utils.recorded_config import recorded_setting
from mmvice.utils.timm import import_timm
from mmvice.utils.weight_formats import FORMATS_FOR_TIMM, load_checkpoint, translate
from mmvice.version import __version__

EXAMPLES = """examples:
  The encoder of a run, for timm:
    tools/model_converters/to_timm.py work_dirs/CONFIG encoder.safetensors

  Of a checkpoint that does not say its config:
    tools/model_converters/to_timm.py vice.pth encoder.pth --config configs/vice/CONFIG.py
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint of mmvice, or the work folder of a run (its latest checkpoint)')
    parser.add_argument('out', metavar='OUT', help='file to write: .safetensors, or any other name for torch.save')
    parser.add_argument(
        '--config', type=existing_file, help='config with the backbone (default: the one that the checkpoint records)'
    )
    return parser.parse_args(argv)


def backbone_config(checkpoint: Mapping, source: str, config: str | None) -> dict:
    """The config of the backbone, from a file or as the loaded checkpoint records it.

    Raises:
        ValueError: If there is none, or it is no TimmEncoder.
    """
    if config is not None:
        backbone = (Config.fromfile(config).get('model') or {}).get('backbone')
        place = f'the config {config}'
    else:
        backbone = recorded_setting(checkpoint.get('meta', {}).get('cfg'), 'model.backbone')
        place = f'the config that {source} records'
    if not isinstance(backbone, Mapping):
        raise ValueError(f'{place} has no model.backbone: name a config with --config')
    kind = backbone.get('type')
    if kind is not TimmEncoder and str(kind).rpartition('.')[2] != 'TimmEncoder':
        raise ValueError(
            f'the backbone of {place} is a {getattr(kind, "__name__", kind)}: only a TimmEncoder has names of timm '
            '(tools/model_converters/to_mmseg.py exports the others)'
        )
    return {key: value for key, value in backbone.items() if key != 'init_cfg'}


def timm_network(backbone: Mapping) -> tuple[nn.Module, str]:
    """A new network of timm like the one in a TimmEncoder, without classifier, and the call that makes it."""
    own = ('type', 'name', 'layers', 'norm', 'num_classes')
    arguments = dict(num_classes=0) | {key: value for key, value in backbone.items() if key not in own}
    listed = ''.join(f', {key}={value!r}' for key, value in arguments.items())
    name = backbone['name']
    return import_timm().create_model(name, **arguments).eval(), f'timm.create_model({name!r}{listed})'


@torch.no_grad()
def largest_difference(encoder: TimmEncoder, network: nn.Module) -> tuple[float, float]:
    """By how much features of the last layer differ at most on a random image, and how large they are."""
    size = encoder.model.pretrained_cfg['input_size']
    grid = getattr(getattr(network, 'patch_embed', None), 'img_size', None)
    sides = tuple(grid) if grid else tuple(size[1:])
    image = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    ours, theirs = (model.forward_features(image) for model in (encoder.model, network))
    return (ours - theirs).abs().max().item(), theirs.abs().max().item()


def run(checkpoint: str, out: str, config: str | None) -> list[str]:
    """Convert, check and write; returns what there is to say."""
    location = str(resolve_checkpoint(checkpoint))
    content = load_checkpoint(location)
    backbone = backbone_config(content, location, config)
    with DefaultScope.overwrite_default_scope('mmvice'):
        encoder = MODELS.build(ConfigDict(backbone)).eval()
    source = translate(content, location, FORMATS_FOR_TIMM)
    weights = {
        key.removeprefix('backbone.model.'): value.contiguous().clone()
        for key, value in source.weights.items()
        if key.startswith('backbone.model.')
    }
    if not weights:
        raise ValueError(f'{source.source} ({source.format.name}) has no TimmEncoder of mmvice in it')
    network, call = timm_network(backbone)
    for model, what in ((encoder.model, 'the TimmEncoder of the config'), (network, call)):
        differences = differing_weights(model.state_dict(), weights)
        if differences:
            raise ValueError(f'{source.source} does not fit {what}:\n  {differences}')
        model.load_state_dict(weights, strict=True)
    difference, size = largest_difference(encoder, network)
    if difference > 1e-5 * max(size, 1):
        raise ValueError(f'features of {call} differ from those of the TimmEncoder by {difference:.3g}, at {size:.3g}')
    write(
        out, weights, dict(mmvice_version=__version__, source=Path(source.source).name, architecture=backbone['name'])
    )
    return [
        f'wrote {len(weights)} weights to {out}',
        f'loads strictly into {call}: yes',
        f'largest difference of features on a random image: {difference:.3g}, at a size of up to {size:.3g}',
        'in Python:',
        f'  model = {call[:-1]}, checkpoint_path={out!r})',
    ]


def write(out: str, weights: Mapping[str, Tensor], meta: Mapping[str, str]) -> None:
    """Write the file, whole or not at all."""
    file = Path(out).expanduser()
    if file.suffix != '.safetensors':
        save_weights(file, weights, meta)
        return
    if file.is_dir():
        raise ValueError(f'{file} is a folder: name a file to write')
    content = import_safetensors().torch.save(dict(weights), metadata=dict(meta) | {'format': 'pt'})
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(str(file), content, durable=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, and say what was checked and how to use it."""
    args = parse_args(argv)
    try:
        with writing_told({'OUT': args.out}):
            notes = run(args.checkpoint, args.out, args.config)
    except (OSError, ValueError, TypeError, KeyError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print('\n'.join(notes))


if __name__ == '__main__':
    main()
