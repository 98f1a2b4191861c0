"""Weights of timm, and of the authors of its networks, under the names of a TimmEncoder.

timm has a converter for what authors publish, which leaves out silently what timm has no use for. Here it runs on
files, and what it leaves out must be covered by a rule.
"""

import inspect
import re
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmvice.models.backbones import TimmEncoder
from mmvice.utils.checkpoint import differing_weights
from mmvice.utils.timm import import_timm
from mmvice.utils.weight_formats import TIMM, Weights, refuse_unaccounted

# What timm's converters leave out
_LEFT_OUT = {
    r'(?:.+\.)?(?:mask_token|masked_embed)': 'mask token',  # iBOT has the other name
    r'.+\.(?:relative_position_index|attn_mask|relative_coords_table)': 'tables that follow from the size of a window',
    r'rope_embed\.periods': 'periods of the position embedding, which the network has too',
    r'local_cls_norm\..+': 'norm for small crops',
    r'.+\.qkv\.bias_mask': 'mask of biases',
    r'pre_logits\..+': 'classifier',
}
_OF_TRANSFORMERS = re.compile(r'(?:\w+\.)?embeddings\.')
_OF_MMPRETRAIN = re.compile(r'(?:.+\.)?(?:patch_embed\.projection|depthwise_conv|downsample_layers\.\d+\.norm)\.')


def timm_weights(given: Weights, encoder: TimmEncoder) -> Weights:
    """Give the weights of a backbone the names, and position embeddings the sizes, that they have in an encoder.

    Known are the names of timm, and those of the authors of each network that timm converts: DINO, DINOv2 and DINOv3,
    MAE, Facebook's ConvNeXt, Microsoft's Swin Transformers; lukemelas' EfficientNets beside.

    Args:
        given: Weights with the backbone's names as in the file, after ``backbone.``.
        encoder: The encoder that is to take them.

    Returns:
        Weights: With the names of :meth:`TimmEncoder.state_dict` after ``backbone.``.

    Raises:
        ValueError: If timm cannot convert them, a weight gets lost, or the features would not be those of the authors.
    """
    source = {name.removeprefix('backbone.'): value for name, value in given.part('backbone.').items()}
    if not source or any(name.startswith('model.') for name in source):  # a checkpoint of mmvice
        return given
    _refuse_others(source, given.source, encoder)
    dropped = {reason: list(names) for reason, names in given.dropped.items()}
    source = _rename_lukemelas(_number_blocks(source, encoder), given.source, encoder)
    source = _check_dinov3(source, dropped, given.source, encoder)
    own = encoder.model.state_dict()
    classifier = _classifier(encoder)
    if any(name not in source or source[name].shape != value.shape for name, value in own.items()):
        converted, unaccounted = _convert(source, dropped, given.source, encoder)
        unaccounted = [name for name in unaccounted if not (classifier.match(name) and name not in own)]
        refuse_unaccounted(given.source, given.format, unaccounted, source)
    else:
        converted = source
    for name in [name for name in converted if name not in own]:
        reason = 'classifier' if classifier.match(name) else _reason(name)
        if reason:
            del converted[name]
            dropped.setdefault(reason, []).append(name)
    others = {name: value for name, value in given.weights.items() if not name.startswith('backbone.')}
    weights = {f'backbone.model.{name}': value for name, value in converted.items()}
    return Weights(given.source, given.format if others else TIMM, weights | others, dropped)


def _refuse_others(source: dict[str, Tensor], file: str, encoder: TimmEncoder) -> None:
    if any(map(_OF_TRANSFORMERS.match, source)):
        raise ValueError(
            f'{file} has the names of the package transformers: give the file of the authors, or that of timm, for '
            f'{encoder.name}'
        )
    own = encoder.model.state_dict()
    if any(_OF_MMPRETRAIN.match(name) for name in source) and not any(map(_OF_MMPRETRAIN.match, own)):
        raise ValueError(
            f"{file} has OpenMMLab's names, which timm's {encoder.name} does not have: use the backbone of MMPretrain "
            'or MMSegmentation that the file was trained with'
        )
    theirs, ours = (weights.get('patch_embed.proj.weight') for weights in (source, own))
    if theirs is not None and ours is not None and theirs.ndim == ours.ndim == 4:
        sides = [tuple(weight.shape[2:]) for weight in (theirs, ours)]
        if sides[0] != sides[1]:  # timm would resize them
            raise ValueError(
                f"{file} has patches of {sides[0][0]}x{sides[0][1]} pixels, timm's {encoder.name} of "
                f'{sides[1][0]}x{sides[1][1]}: use the network with the patches of the file'
            )


def _classifier(encoder: TimmEncoder) -> re.Pattern:
    names = encoder.model.pretrained_cfg.get('classifier') or ()
    names = [names] if isinstance(names, str) else list(names)
    parts = {name.partition('.')[0] for name in encoder.model.state_dict()}
    # all of a head that the network without a classifier does not have: some have norms in it
    whole = [name.partition('.')[0] for name in names if name.partition('.')[0] not in parts]
    names += ['fc', 'head', 'head_dist', 'classifier', 'linear']  # of the authors
    patterns = [rf'(?:{"|".join(map(re.escape, names))})\.(?:weight|bias)', *(rf'{name}\..+' for name in whole)]
    return re.compile('|'.join(f'(?:{pattern})$' for pattern in patterns))


def _reason(name: str) -> str | None:
    return next((reason for pattern, reason in _LEFT_OUT.items() if re.fullmatch(pattern, name)), None)


def _convert(
    source: dict[str, Tensor], dropped: dict[str, list[str]], file: str, encoder: TimmEncoder
) -> tuple[dict[str, Tensor], list[str]]:
    """Run timm's converter; what it leaves out and no rule covers is returned, too."""
    storages = [value.untyped_storage().data_ptr() for value in source.values()]
    if len(set(storages)) < len(storages):  # each must be told from the others in what comes out
        source = {name: value.clone() for name, value in source.items()}
    try:
        converted = _converter(encoder)(dict(source))
    except (KeyError, AttributeError, RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"{file} does not fit timm's {encoder.name}, which timm cannot convert it to ({type(error).__name__}: "
            f'{error}); as they are, the weights differ in:\n  {differing_weights(encoder.model.state_dict(), source)}'
        ) from error
    given = {value.untyped_storage().data_ptr() for value in source.values()}
    kept = {value.untyped_storage().data_ptr() for value in converted.values()}
    computed = tuple(name for name, value in converted.items() if value.untyped_storage().data_ptr() not in given)
    unaccounted = []
    for name, value in source.items():
        if value.untyped_storage().data_ptr() in kept or name.endswith(computed):
            continue
        reason = _reason(name)
        if reason:
            dropped.setdefault(reason, []).append(name)
        else:
            unaccounted.append(name)
    return converted, unaccounted


def _converter(encoder: TimmEncoder) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """timm's function that converts the files of a network's authors; it also resizes position embeddings."""
    import_timm()
    from timm.models import model_entrypoint

    for module in (model_entrypoint(encoder.name).__module__, type(encoder.model).__module__):
        for name in ('checkpoint_filter_fn', '_filter_fn'):
            function = getattr(sys.modules[module], name, None)
            if function is None:
                continue
            known = inspect.signature(function).parameters
            more = {'adapt_layer_scale': True} if 'adapt_layer_scale' in known else {}  # DeiT III
            return lambda state: function(state, **({'model': encoder.model} if 'model' in known else {}), **more)
    return dict


_CHUNKED = re.compile(r'blocks\.\d+\.(\d+)\.')


def _number_blocks(source: dict[str, Tensor], encoder: TimmEncoder) -> dict[str, Tensor]:
    """Name the blocks that DINOv2's training puts into chunks; within them they have their number in the network."""
    if not hasattr(encoder.model, 'blocks') or any(map(_CHUNKED.match, encoder.model.state_dict())):
        return source
    return {_CHUNKED.sub(r'blocks.\1.', name): value for name, value in source.items()}


# https://github.com/lukemelas/EfficientNet-PyTorch: the names in a block with expansion, and in one without
_EXPANDED = dict(
    _expand_conv='conv_pw', _bn0='bn1', _depthwise_conv='conv_dw', _bn1='bn2', _project_conv='conv_pwl', _bn2='bn3'
)
_PLAIN = dict(_depthwise_conv='conv_dw', _bn1='bn1', _project_conv='conv_pw', _bn2='bn2')
_SQUEEZE = dict(_se_reduce='se.conv_reduce', _se_expand='se.conv_expand')
_AROUND = dict(_conv_stem='conv_stem', _bn0='bn1', _conv_head='conv_head', _bn1='bn2', _fc='classifier')


def _rename_lukemelas(source: dict[str, Tensor], file: str, encoder: TimmEncoder) -> dict[str, Tensor]:
    """Give the weights of lukemelas' EfficientNets timm's names; what has no counterpart keeps its own."""
    model = encoder.model
    if '_conv_stem.weight' not in source or not hasattr(model, 'conv_stem'):
        return source
    if type(model.conv_stem) is nn.Conv2d:  # timm's Conv2dSame derives from it
        raise ValueError(
            f"{file} has weights of TensorFlow's EfficientNets, which pad images as TensorFlow does; {encoder.name} "
            f"pads them otherwise: use name='tf_{encoder.name}'"
        )
    renames = {f'{theirs}.': f'{ours}.' for theirs, ours in _AROUND.items()}
    blocks = [(f'blocks.{s}.{b}.', block) for s, stage in enumerate(model.blocks) for b, block in enumerate(stage)]
    for number, (place, block) in enumerate(blocks):
        parts = _SQUEEZE | (_EXPANDED if hasattr(block, 'conv_pwl') else _PLAIN)
        renames |= {f'_blocks.{number}.{theirs}.': f'{place}{ours}.' for theirs, ours in parts.items()}
    renamed = {}
    for name, value in source.items():
        layer, _, kind = name.rpartition('.')
        renamed[renames.get(f'{layer}.', f'{layer}.') + kind] = value
    return renamed


def _check_dinov3(
    source: dict[str, Tensor], dropped: dict[str, list[str]], file: str, encoder: TimmEncoder
) -> dict[str, Tensor]:
    """Refuse weights of DINOv3 that timm would leave out although they count, and leave out those that do not.

    Queries and values have biases, those of the keys are masked. timm has networks with these biases and without.
    """
    own = encoder.model.state_dict()
    periods = source.get('rope_embed.periods')
    rope = getattr(encoder.model, 'rope', None)
    if periods is not None and hasattr(rope, 'periods'):
        same = periods.shape == rope.periods.shape
        if not same or not torch.allclose(periods, rope.periods.cpu(), rtol=1e-2):  # the authors' are in bfloat16
            raise ValueError(
                f'{file} has other periods of the position embedding (rope_embed.periods) than {encoder.name}'
            )
    if 'storage_tokens' not in source:
        return source
    without = []
    for name in [name for name in source if name.endswith('.qkv.bias')]:
        mask = source.get(f'{name}_mask')
        bias = source[name] if mask is None else torch.where(mask == 0, 0, source[name])
        if name.replace('qkv.bias', 'q_bias') in own:
            if bias.chunk(3)[1].any():
                raise ValueError(f'{file} has a bias of keys in {name}, which {encoder.name} does not have')
        elif bias.any():
            raise ValueError(
                f'{file} has biases of queries and values ({name}), which {encoder.name} does not have: use '
                f"name='{encoder.name.partition('.')[0]}_qkvb'"
            )
        else:
            without.append(name)
    if without:
        dropped.setdefault('biases of queries, keys and values, which are zero', []).extend(without)
    return {name: value for name, value in source.items() if name not in without}
