"""Translating other projects' names of backbone and decoder weights to mmvice's.

A file is read in three steps. The dict of weights is found in the checkpoint. Its format is recognised by names. A rule
of the format then translates or drops every name. A name without a rule raises an error: a network that is silently
loaded by half would look like a method that does not work.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .checkpoint import load_checkpoint_file, register_safe_checkpoint_loading, resolve_checkpoint
from .weight_containers import shorten, weights_within

# What wraps a network and puts its own name before every weight.
WRAPPERS = re.compile(r'(?:(?:module|model|base_model|trunk|_feature_blocks|_orig_mod)\.)+')

RESNET = r'((?:conv1|bn1|stem|layer[1-4])\..+)'


@dataclass(frozen=True)
class WeightFormat:
    """The names of one kind of checkpoint.

    Attributes:
        name: Name in messages.
        marks: Patterns; a file has this format if each of them matches the beginning of some name.
        taken: Patterns of whole names, and mmvice's names for them.
        dropped: Patterns of whole names, and the reason to leave them out.
        scale_concepts: Whether to normalise the rows of the concepts, which are unit vectors in mmvice.
        may_lack_output_norms: Whether norms of finer feature maps may be missing, since classifiers normalise only the
            last one.
    """

    name: str
    marks: tuple[str, ...]
    taken: Mapping[str, str]
    dropped: Mapping[str, str] = field(default_factory=dict)
    scale_concepts: bool = False
    may_lack_output_norms: bool = False


# https://github.com/robin-karlsson0/vice: vissl/vissl/models/trunks/{fpn,deeplabv3plus}.py and
# heads/dense_swav_prototype_head.py. A torchvision ResNet with the stem in `layer0`; `decoder_layer1` reads the
# coarsest feature map, `decoder_layer4` the finest.
_VICE_BACKBONE = {
    rf'(?:backbone\.)?{RESNET}': r'backbone.\1',
    r'(?:backbone\.)?layer0\.0\.(.+)': r'backbone.conv1.\1',
    r'(?:backbone\.)?layer0\.1\.(.+)': r'backbone.bn1.\1',
}
_VICE_CONCEPTS = r'(?:heads\.\d+\.)?prototypes0\.weight'
_CLASSIFIER = {r'(?:backbone\.)?fc\..+': 'classifier'}
_PREPROCESSOR = {r'data_preprocessor\..+': 'data preprocessor'}
# https://github.com/facebookresearch/dino, dinov2 and dinov3, https://github.com/bytedance/ibot
_DINO_HEADS = {
    r'(?:dino|ibot)_head\..+': 'projection head',
    r'head\.(?:mlp|last_layer|last_norm)\d*\..+': 'projection head',
}
_SWAV_HEADS = {
    r'heads\..+': 'heads of VISSL',
    r'(?:projection_head|prototypes\d*)\..+': 'projection head and prototypes of SwAV',
}

VICE_FPN = WeightFormat(
    "checkpoint of the authors' ViCE code",
    (r'decoder_layer[1-4]\.',),
    {
        **_VICE_BACKBONE,
        **{rf'decoder_layer{i}\.(weight|bias)': rf'decoder.laterals.{4 - i}.\1' for i in (1, 2, 3, 4)},
        _VICE_CONCEPTS: 'head.concepts',
    },
    _CLASSIFIER,
    scale_concepts=True,
)
VICE_DEEPLAB = WeightFormat(
    "DeepLabV3+ checkpoint of the authors' ViCE code",
    (r'ASSP\.',),
    _VICE_BACKBONE,
    {
        **_CLASSIFIER,
        r'(?:ASSP|decoder)\..+': 'decoder with the norm after the activation, which MMSegmentation does not have',
        _VICE_CONCEPTS: 'concepts of that decoder',
    },
)
MMVICE = WeightFormat(
    'checkpoint of mmvice',
    (r'backbone\.', r'decoder\.'),
    {r'((?:backbone|decoder)\..+|head\.concepts)': r'\1'},
    {
        r'head\..+': 'rest of the head',
        r'decode_head\..+': 'probe',
        **_PREPROCESSOR,
    },
)
MMSEG = WeightFormat(
    'segmentor of MMSegmentation',
    (r'backbone\.', r'decode_head\.'),
    {
        r'(backbone\..+)': r'\1',
        r'(neck\..+)': r'decoder.\1',
        r'decode_head\.(.+)': r'decoder.head.\1',
    },
    {r'auxiliary_head\..+': 'auxiliary head', **_PREPROCESSOR},
)
OPENMMLAB = WeightFormat(
    'backbone of OpenMMLab, or a model of MMPretrain with one',
    (r'backbone\.',),
    {r'(backbone\..+)': r'\1'},
    {
        r'head\..+': 'head',
        r'neck\..+': 'neck',
        r'queue\d*(?:_ptr)?': 'queue',
        r'(?:encoder_k|momentum_encoder|target_net|teacher)\..+': 'momentum encoder',
        r'(?:target_generator|enc_dec_norms|enc_dec_projectors|mask_tokens)\..+': 'parts of masked image modelling',
        **_DINO_HEADS,
        **_PREPROCESSOR,
    },
    may_lack_output_norms=True,
)
MOCO = WeightFormat(
    "checkpoint of the authors' MoCo code",
    (r'encoder_q\.conv1\.',),
    {rf'encoder_q\.{RESNET}': r'backbone.\1'},
    {
        r'encoder_q\.fc\..+': 'neck',
        r'encoder_k\..+': 'momentum encoder',
        r'queue(?:_ptr)?': 'queue',
    },
)
BARE_RESNET = WeightFormat(
    'ResNet with names as in torchvision',
    (r'(?:conv1|stem\.0)\.', r'layer1\.0\.'),
    {RESNET: r'backbone.\1'},
    {**_CLASSIFIER, **_SWAV_HEADS},
)
BARE_STAGES = WeightFormat(
    'backbone of OpenMMLab without a prefix',
    (r'stages\.0\.', r'(?:downsample_layers\.0|patch_embed\.projection)\.'),
    {r'((?:(?:downsample_layers|patch_embed|stages|norm\d)\..+|absolute_pos_embed))': r'backbone.\1'},
    {r'head\..+': 'head'},
    may_lack_output_norms=True,
)
_NOT_OF_TIMM = {
    **_DINO_HEADS,
    **_SWAV_HEADS,
    r'decoder_.+': 'decoder of a masked autoencoder',
    r'norms\.3\..+': 'second name of the last norm',  # ConvNeXt of DINOv3
}
TIMM = WeightFormat(
    'network with the names of timm, or of its authors',
    (),
    {rf'(?!(?:{"|".join(_NOT_OF_TIMM)})$)(.+)': r'backbone.\1'},
    _NOT_OF_TIMM,
)
FORMATS = (VICE_FPN, VICE_DEEPLAB, MMVICE, MMSEG, OPENMMLAB, MOCO, BARE_RESNET, BARE_STAGES)
# For a TimmEncoder, whose names only timm knows
FORMATS_FOR_TIMM = (VICE_FPN, VICE_DEEPLAB, MMVICE, MMSEG, OPENMMLAB, MOCO, TIMM)
EMPTY = WeightFormat('file without weights', (), {})
# Networks that OpenMMLab's have other names for: timm's, lukemelas' EfficientNets, Facebook's ConvNeXt
OF_TIMM = re.compile(
    r'(?:backbone\.)?(?:patch_embed\.proj\.|_?conv_stem\.|(?:.+\.)?(?:dwconv|conv_dw)\.|blocks\.\d+\.|stages\.\d+\.blocks\.)'
)
USE_TIMM = (
    "if these are weights of timm, DINO, DINOv2, DINOv3, MAE, Facebook's ConvNeXt or an EfficientNet, use "
    "backbone=dict(type='TimmEncoder', name='...') with timm's name of the network"
)
# Named alike in both of torchvision's families
TORCHVISION_FEATURES = re.compile(r'features\.\d+\.\d+\.')


@dataclass
class Weights:
    """Weights under mmvice's names, and the names and reasons of the others.

    Attributes:
        source: Origin, for messages.
        format: Format of the source.
        weights: ``backbone.*``, ``decoder.*`` and ``head.concepts``; floating-point numbers in float32.
        dropped: Names of the source that were left out, with reasons.
        kept: Names of the model's weights that keep their initial values, with reasons; empty until a model is given.
    """

    source: str
    format: WeightFormat
    weights: dict[str, Tensor]
    dropped: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The weights whose names begin with a prefix, under their whole names."""
        return {name: value for name, value in self.weights.items() if name.startswith(prefix)}

    def counts(self) -> dict[str, int]:
        """Number of weights for each part."""
        parts = {part: len(self.part(part)) for part in ('backbone.', 'decoder.', 'head.concepts')}
        return {name.removesuffix('.').removeprefix('head.'): count for name, count in parts.items() if count}

    def account(self) -> str:
        """One line about the taken, dropped and kept weights."""
        lines = [_enumerate('taken', self.counts())]
        for what, groups in (('dropped', self.dropped), ('kept at initial values', self.kept)):
            if groups:
                lines.append(_enumerate(what, {reason: len(names) for reason, names in groups.items()}))
        return '; '.join(lines)


def own_names(names: Iterable[str]) -> WeightFormat:
    """The format of a backbone's own names without a prefix, for a backbone with these names."""
    mark = '|'.join(map(re.escape, names))
    return WeightFormat('backbone without a prefix', (f'(?:{mark})$',), {r'(.+)': r'backbone.\1'})


def read_weights(location: str | Path, formats: Sequence[WeightFormat] = FORMATS, prefix: str = '') -> Weights:
    """Read the weights of a checkpoint of any known format.

    Args:
        location: A file, the work folder of a run (its latest checkpoint), or an address that MMEngine can fetch:
            ``torchvision://resnet18``, ``https://...``.
        formats: The known formats; the first whose marks are there counts.
        prefix: Read only the weights whose names begin so, without it.

    Raises:
        FileNotFoundError: If there is no such file, or no checkpoint in the folder.
        pickle.UnpicklingError: If the file holds more than weights and plain values.
        ValueError: If the format is not known, names are not accounted for, or two stand for the same weight.
    """
    location = str(resolve_checkpoint(location))
    return translate(load_checkpoint(location), location, formats, prefix)


def load_checkpoint(location: str) -> Any:
    """Load a checkpoint file, or what MMEngine can fetch, with nothing of it run.

    Raises:
        FileNotFoundError, pickle.UnpicklingError, ValueError: As of :func:`read_weights`.
    """
    if '://' not in location:
        return load_checkpoint_file(location)
    register_safe_checkpoint_loading()
    try:
        return CheckpointLoader.load_checkpoint(location, map_location='cpu')
    except KeyError as error:
        raise ValueError(f'{location}: {location.partition("://")[0]} has no weights of the name {error}') from error


def translate(
    checkpoint: Any, source: str = 'the checkpoint', formats: Sequence[WeightFormat] = FORMATS, prefix: str = ''
) -> Weights:
    """Translate a loaded checkpoint to mmvice's names; a rule must cover every name.

    Of teacher and student the teacher counts, which DINO and its successors evaluate.

    Args:
        checkpoint: A dict of tensors, or one of the usual nestings around it.
        source: Where it comes from, for messages.
        formats, prefix: As of :func:`read_weights`.

    Raises:
        ValueError: If the format is not known, names are not accounted for, or two stand for the same weight.
    """
    given, dropped = weights_within(checkpoint, source)
    names = {name: _bare(name) for name in given}
    names = _one_branch(names, dropped)
    if prefix:
        names = _below(names, prefix.rstrip('.') + '.', dropped, source)
    form = recognise(names.values(), source, formats) if names else EMPTY
    result, unaccounted, origin = Weights(source, form, {}, dropped), [], {}
    for name, bare in names.items():
        target = _first_match(form.taken, bare, expand=True)
        reason = None if target else _first_match(form.dropped, bare)
        if target in origin:
            raise ValueError(f'{source}: {origin[target]} and {name} both stand for {target}')
        if target:
            origin[target] = name
            result.weights[target] = given[name].float() if given[name].is_floating_point() else given[name]
        elif reason:
            result.dropped.setdefault(reason, []).append(name)
        else:
            unaccounted.append(name)
    refuse_unaccounted(source, form, unaccounted, names.values())
    if form.scale_concepts and 'head.concepts' in result.weights:
        result.weights['head.concepts'] = F.normalize(result.weights['head.concepts'], dim=1)
    return result


def refuse_unaccounted(source: str, form: WeightFormat, names: list[str], all_names: Collection[str]) -> None:
    """Raise an error that lists the weights of a file that no rule covers, if there are any."""
    if names:
        share = f'{len(names)} of its {len(all_names)} weights {"is" if len(names) == 1 else "are"}'
        advice = f'; {USE_TIMM}' if form is not TIMM and any(map(OF_TIMM.match, all_names)) else ''
        raise ValueError(
            f'{source} looks like a {form.name}, but {share} not accounted for, since no rule of this format takes or '
            f'drops them{advice}:\n  {shorten(names)}'
        )


def _bare(name: str) -> str:
    wrapper = WRAPPERS.match(name)
    return name[wrapper.end() :] if wrapper else name


_BRANCH = re.compile(r'(teacher|student|gram_teacher|\w+_loss)\.')


def _one_branch(names: dict[str, str], dropped: dict[str, list[str]]) -> dict[str, str]:
    """Of the files of DINO and its successors the teacher, or the student where it is alone."""
    branches = {name: _BRANCH.match(bare) for name, bare in names.items()}
    which = {branch and branch[1] for branch in branches.values()}
    taken = next((branch for branch in ('teacher', 'student') if branch in which), None)
    if None in which or taken is None:
        return names
    for name, branch in branches.items():
        if branch[1] != taken:
            reason = {'student': 'student', 'gram_teacher': 'Gram teacher'}.get(branch[1], 'centres of losses')
            dropped.setdefault(reason, []).append(name)
    return {name: _bare(names[name][branch.end() :]) for name, branch in branches.items() if branch[1] == taken}


def _below(names: dict[str, str], prefix: str, dropped: dict[str, list[str]], source: str) -> dict[str, str]:
    below = {name: bare.removeprefix(prefix) for name, bare in names.items() if bare.startswith(prefix)}
    if not below:
        raise ValueError(f'{source} has no weights whose names begin with {prefix}')
    if len(below) < len(names):
        dropped[f'outside {prefix.rstrip(".")}'] = [name for name in names if name not in below]
    return below


def recognise(
    names: Iterable[str], source: str = 'the checkpoint', formats: Sequence[WeightFormat] = FORMATS
) -> WeightFormat:
    """The format of a checkpoint with these names of weights.

    Raises:
        ValueError: If there is no such format.
    """
    names = list(names)
    for form in formats:
        if all(any(re.match(mark, name) for name in names) for mark in form.marks):
            return form
    if any(TORCHVISION_FEATURES.match(name) for name in names):
        raise ValueError(
            f"{source} has torchvision's ConvNeXt or Swin Transformer, which it divides into other parts than "
            "OpenMMLab: use MMPretrain's weights of that network"
        )
    known = '\n  '.join(f'a {form.name}' for form in formats)
    advice = f'{USE_TIMM}; ' if any(map(OF_TIMM.match, names)) else ''
    raise ValueError(
        f'{source} has weights of no known format, its names begin with {", ".join(names[:3])}; {advice}known are:\n  '
        f'{known}'
    )


def _first_match(rules: Mapping[str, str], name: str, expand: bool = False) -> str | None:
    for pattern, value in rules.items():
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(value) if expand else value
    return None


def _enumerate(what: str, counts: Mapping[str, int]) -> str:
    listed = ', '.join(f'{count} {name}' for name, count in counts.items()) or 'nothing'
    return f'{what}: {listed}'
