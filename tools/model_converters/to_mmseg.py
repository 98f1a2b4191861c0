#!/usr/bin/env python
"""Write backbone and decoder of a ViCE checkpoint under MMSegmentation's own names, to fine-tune a stock segmentor.

The decoder is exported if it is a decode head of MMSegmentation (SegHeadDecoder: DeepLabV3+, Semantic FPN).
MMSegmentation has no light FPN, so only the backbone of such a model is exported. The last layer of the decoder gives
D-channel embeddings. It becomes the classifier decode_head.conv_seg of a config with num_classes = D. Otherwise it is
left out, because the classifier is then a new one. tools/model_converters/to_vice.py converts back.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mmseg
import torch
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmvice.cli import existing_file
from mmvice.cli.config_options import ConfigOptions, merge_options
from mmvice.models.utils import weights_for
from mmvice.registry import MODELS
from mmvice.utils.checkpoint import differing_weights, save_weights
from mmvice.utils.files import writing_told
from mmvice.utils.weight_formats import Weights, read_weights
from mmvice.version import __version__

EXAMPLES = """examples:
  Backbone and decoder for a config of the installed MMSegmentation, checked against its model:
    tools/model_converters/to_mmseg.py work_dirs/CONFIG vice_mmseg.pth \\
        --mmseg-config deeplabv3plus/deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024.py

  The backbone alone, for any segmentor with that backbone:
    tools/model_converters/to_mmseg.py work_dirs/CONFIG/iter_2000.pth backbone.pth --backbone-only
"""
CLASSIFIER = 'decode_head.conv_seg.'
PROBE_SIZE = 64  # side of the random image that both models are compared on


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint of mmvice, or the work folder of a run (its latest checkpoint)')
    parser.add_argument('out', metavar='OUT', help='checkpoint file to write')
    parser.add_argument(
        '--config',
        type=existing_file,
        help='config of pretraining or of a probe that the checkpoint must fit; with --mmseg-config, both models are '
        'also run on the same image',
    )
    parser.add_argument(
        '--mmseg-config',
        help='config of the segmentor for the weights, a file or the name of a config in MMSegmentation: its model is '
        'built and compared',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='change settings of --mmseg-config, such as model.decode_head.num_classes=128',
    )
    parser.add_argument('--backbone-only', action='store_true', help='leave the decoder out')
    return parser.parse_args(argv)


def to_mmseg_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Backbone and decode head under MMSegmentation's names; leave out a decoder that MMSegmentation lacks.

    Args:
        weights: Weights under mmvice's names.
    """
    names = {'backbone.': 'backbone.', 'decoder.neck.': 'neck.', 'decoder.head.': 'decode_head.'}
    renamed = {}
    for key, value in weights.items():
        for prefix, other in names.items():
            if key.startswith(prefix):
                renamed[other + key.removeprefix(prefix)] = value
    return renamed


def load_mmseg_config(location: str, options: dict | None) -> Config:
    """Read a config file, or one by its path below ``configs`` in the installed MMSegmentation.

    Raises:
        FileNotFoundError: If neither exists.
    """
    shipped = Path(mmseg.__file__).parent / '.mim' / 'configs' / location
    file = next((path for path in (Path(location).expanduser(), shipped) if path.is_file()), None)
    if file is None:
        raise FileNotFoundError(f'no config file at {location}, and none of that name in MMSegmentation')
    cfg = Config.fromfile(file)
    merge_options(cfg, options)
    if cfg.get('model') is None:
        raise ValueError(f'the config {location} has no model')
    return cfg


def build(cfg: Config) -> BaseModel:
    """The model of a config in evaluation, on one process."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmvice')):
        return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


def check_segmentor(segmentor: BaseModel, weights: Mapping[str, Tensor], name: str) -> list[str]:
    """Compare the weights with a stock segmentor, and name its parts that stay random.

    Raises:
        ValueError: If a weight is unused, of another shape, or missing from a part in the file.
    """
    own = segmentor.state_dict()
    fresh = ['auxiliary_head.', *([] if _has(weights, 'decode_head.') else ['neck.', 'decode_head.'])]
    fresh += [] if _has(weights, CLASSIFIER) else [CLASSIFIER]
    missing = {key for key in own if key not in weights and key.startswith(tuple(fresh))}
    differences = differing_weights({key: own[key] for key in own if key not in missing}, weights)
    if differences:
        raise ValueError(f'the weights do not fit the model of {name}:\n  {differences}')
    return [part.removesuffix('.') for part in fresh if _has(missing, part)]


@torch.no_grad()
def compare_features(model: BaseModel, segmentor: BaseModel, with_decoder: bool) -> str:
    """Run both networks on the same random image, and report the largest difference of their features.

    The features are those of the last backbone stage, or the input of the last layer if the decoder is exported. With
    the same weights, they only differ by strides, dilations, or the alignment of maps.
    """
    image = torch.randn(1, 3, PROBE_SIZE, PROBE_SIZE, generator=torch.Generator().manual_seed(0))
    maps = [part.backbone(image) for part in (model, segmentor)]
    if with_decoder:
        neck = segmentor.neck if segmentor.with_neck else nn.Identity()
        maps[0] = [_input_of(model.decoder.head.conv_seg, model.decoder, maps[0])]
        maps[1] = [_input_of(segmentor.decode_head.conv_seg, segmentor.decode_head, neck(maps[1]))]
    ours, theirs = (each[-1] for each in maps)
    if ours.shape != theirs.shape:
        return f'differ in size: {tuple(ours.shape)} and {tuple(theirs.shape)}, so strides differ'
    difference, size = (ours - theirs).abs().max().item(), ours.abs().max().item()
    if size == 0:
        return 'cannot be compared: all are zero on a random image'
    if difference <= 1e-5 * size:
        return 'are equal'
    return f'differ by up to {difference:.3g}, at a size of up to {size:.3g}: see dilations, strides, align_corners'


def _input_of(layer: nn.Module, network: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """The input of a layer when the network runs."""
    seen = []
    handle = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        network(inputs)
    finally:
        handle.remove()
    return seen[0]


def _has(weights: Iterable[str], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in weights)


def run(args: argparse.Namespace) -> list[str]:
    """Convert, check and write; return the messages."""
    if args.cfg_options and not args.mmseg_config:
        raise ValueError('--cfg-options changes --mmseg-config: give that too')
    model = build(Config.fromfile(args.config)) if args.config else None
    source = read_weights(args.checkpoint) if model is None else weights_for(model, args.checkpoint)
    if not _has(source.weights, 'backbone.'):
        raise ValueError(f'{source.source} has no weights of a backbone')
    if model is not None:
        model.load_state_dict(source.weights, strict=False)
    notes = [f'{source.source} ({source.format.name}): {source.account()}']
    weights = to_mmseg_names(source.weights)
    if args.backbone_only:
        weights = {key: value for key, value in weights.items() if key.startswith('backbone.')}
    elif not _has(weights, 'decode_head.'):
        notes.append(_no_decoder(source))

    segmentor = None
    if args.mmseg_config:
        segmentor = build(load_mmseg_config(args.mmseg_config, args.cfg_options))
    notes += _fit_classifier(weights, segmentor)
    if segmentor is not None:
        fresh = check_segmentor(segmentor, weights, args.mmseg_config)
        notes.append(f'fits {args.mmseg_config}; learned anew there: {", ".join(fresh) or "nothing"}')
    if model is not None and segmentor is not None:
        segmentor.load_state_dict(weights, strict=False)
        with_decoder = _has(weights, 'decode_head.')
        comparison = compare_features(model, segmentor, with_decoder)
        notes.append(f'features of the {"decoder" if with_decoder else "backbone"} in both models {comparison}')

    meta = dict(mmvice_version=__version__, source=Path(source.source).name)
    save_weights(args.out, weights, meta)
    return [
        *notes,
        f'wrote {len(weights)} weights to {args.out}; in a config of MMSegmentation:',
        _usage(args, weights),
    ]


def _no_decoder(source: Weights) -> str:
    if source.part('decoder.laterals.'):
        return 'the light FPN has no counterpart in MMSegmentation: the backbone alone is written'
    return 'there is no decoder of MMSegmentation in the checkpoint: the backbone alone is written'


def _fit_classifier(weights: dict[str, Tensor], segmentor: BaseModel | None) -> list[str]:
    """Leave the embedding layer out unless the segmentor has as many classes."""
    layer = {key: value for key, value in weights.items() if key.startswith(CLASSIFIER)}
    if not layer:
        return []
    weight = f'{CLASSIFIER}weight'
    dims = len(layer[weight])
    classes = None if segmentor is None else len(segmentor.state_dict().get(weight, ()))
    if classes == dims:
        return [f'the embedding layer, D = {dims}, becomes the classifier decode_head.conv_seg']
    for key in layer:
        del weights[key]
    reason = 'no --mmseg-config says that it has D classes' if classes is None else f'it has {classes} classes'
    return [f"the embedding layer, D = {dims}, is left out, and the segmentor's classifier is a new one: {reason}"]


def _usage(args: argparse.Namespace, weights: Mapping[str, Tensor]) -> str:
    if _has(weights, 'decode_head.'):
        return f'  model = dict(pretrained=None)\n  load_from = {args.out!r}'
    initial = f"dict(type='Pretrained', checkpoint={args.out!r}, prefix='backbone.')"
    return f'  model = dict(pretrained=None, backbone=dict(init_cfg={initial}))'


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, and print the result and its use."""
    args = parse_args(argv)
    try:
        with writing_told({'OUT': args.out}):
            notes = run(args)
    except (OSError, ValueError, TypeError, KeyError, ImportError, UnpicklingError) as error:
        raise SystemExit(f'error: {error}') from error
    print('\n'.join(notes))


if __name__ == '__main__':
    main()
