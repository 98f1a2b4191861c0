"""Any network of timm as a backbone."""

import inspect
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmseg.utils import OptMultiConfig
from torch import Tensor, nn

from mmvice.registry import MODELS
from mmvice.utils.timm import import_timm

# Arguments of timm's networks that let them take images of any size
_ANY_SIZE = dict(dynamic_img_size=True, strict_img_size=False)

# Arguments of timm.create_model whose work something else does here
_OTHER_NAMES = dict(
    pretrained='give a file of weights as model.pretrained',
    checkpoint_path='give a file of weights as model.pretrained',
    features_only='it always gives feature maps; layers selects them',
    out_indices='layers selects the maps',
)


@MODELS.register_module()
class TimmEncoder(BaseModule):
    """A network of timm that gives the feature maps of some of its layers.

    A network with stages (ResNet, EfficientNet, ConvNeXt, Swin, ...) gives the maps of its last stages, a plain Vision
    Transformer (DeiT, DINO, DINOv2 and DINOv3 with or without registers, MAE, ...) those of its last blocks, without
    class token and registers. The whole network is kept, without its classifier, under timm's names; layers behind the
    last map have no gradients.

    Args:
        name (str): A name of ``timm.list_models()``, such as 'vit_small_patch14_dinov2'.
        layers (int | Sequence[int]): The last so many stages or blocks, or their indices; negative ones count from the
            end. Defaults to 4.
        norm (bool): Apply the final norm of a plain Vision Transformer to each of its maps, as DINO and DINOv2 do.
            Networks with stages have none that fits all of them. Defaults to True.
        init_cfg (dict, optional): Initialization config. Defaults to None: timm's own random weights.
        kwargs: More arguments of ``timm.create_model``, such as ``drop_path_rate``.

    Attributes:
        out_channels (tuple[int]): Channels of each map, finest first.
        strides (tuple[int]): Pixels between neighbouring cells of each map.
        patch_size (int | None): Side of the patches of a plain Vision Transformer.
        mean, std (tuple[float]): Of the images that timm's weights were trained on: RGB, 0 to 255.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such network, or the network has no such layers or no feature maps.

    Example:
        >>> encoder = TimmEncoder('resnet18', layers=2)
        >>> encoder.out_channels, encoder.strides
        ((256, 512), (16, 32))
    """

    def __init__(
        self, name: str, layers: int | Sequence[int] = 4, norm: bool = True, init_cfg: OptMultiConfig = None, **kwargs
    ) -> None:
        super().__init__(init_cfg)
        timm = import_timm()
        for key in kwargs.keys() & _OTHER_NAMES.keys():
            raise ValueError(f'TimmEncoder has no {key}={kwargs[key]!r}: {_OTHER_NAMES[key]}')
        if not isinstance(name, str) or not timm.is_model(name):
            raise ValueError(_unknown(name, timm))
        kwargs = dict(num_classes=0) | kwargs
        with torch.device('meta'):
            twin = timm.create_model(name, pretrained=False, **kwargs)
        known = _arguments(type(twin))
        self.name = name
        self.model = timm.create_model(
            name, pretrained=False, **{key: value for key, value in _ANY_SIZE.items() if key in known} | kwargs
        )
        maps = _feature_info(self.model, name)
        self.layers = _indices(layers, len(maps), name)
        maps = [maps[index] for index in self.layers]
        self.out_channels = tuple(info['num_chs'] for info in maps)
        self.strides = tuple(info['reduction'] for info in maps)
        plain = len({info['reduction'] for info in _feature_info(self.model, name)}) == 1
        self.patch_size = self.strides[0] if plain else None
        self.norm = norm and plain
        cfg = self.model.pretrained_cfg
        self.mean, self.std = (tuple(255 * value for value in cfg[key]) for key in ('mean', 'std'))
        twin.prune_intermediate_layers(list(self.layers), prune_norm=not self.norm, prune_head=True)
        self._used = frozenset(name for name, _ in twin.named_parameters())
        for key, parameter in self.model.named_parameters():
            if key not in self._used:
                parameter.requires_grad_(False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps [(B, C_s, H / stride_s, W / stride_s)] of normalised images (B, 3, H, W).

        H and W must be multiples of the largest stride; :meth:`EmbedderMixin.embed` sees to that.

        Raises:
            ValueError: If the network takes no images of this size.
        """
        try:
            return tuple(
                self.model.forward_intermediates(
                    inputs, indices=list(self.layers), norm=self.norm, stop_early=True, intermediates_only=True
                )
            )
        except (AssertionError, IndexError, RuntimeError) as error:
            own = tuple(self.model.pretrained_cfg['input_size'][1:])
            if tuple(inputs.shape[-2:]) == own or isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            raise ValueError(
                f'{self.name} takes no images of {inputs.shape[-2]}x{inputs.shape[-1]}: '
                f'{str(error).splitlines()[0]}; give it images of {own[0]}x{own[1]}, or its argument img_size'
            ) from error

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of the layer of a parameter, from 0 at the image, and the number of layers, as MMPretrain asks for.

        Layers behind the last map, which learn nothing, are as deep as it.
        """
        from timm.models import group_parameters

        if not hasattr(self, '_depths'):
            groups = group_parameters(self.model, self.model.group_matcher(coarse=False))
            groups = [names for names in groups.values() if not self._used.isdisjoint(names)]
            self._depths = {name: depth for depth, names in enumerate(groups) for name in names}
        deepest = max(self._depths.values())
        return self._depths.get(param_name.removeprefix(f'{prefix}model.'), deepest), deepest + 2


def _arguments(kind: type) -> set[str]:
    """Names of the arguments that a class takes, with those of its bases that it hands on."""
    names: set[str] = set()
    for base in kind.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        names |= parameters.keys()
        if all(parameter.kind != inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return names


def _unknown(name: str, timm) -> str:
    import difflib

    known = timm.list_models()
    near = difflib.get_close_matches(str(name), known, 3)
    return f'timm {timm.__version__} has no network {name!r}; ' + (
        f'similar names are {", ".join(near)}' if near else f'timm.list_models() lists the {len(known)} it has'
    )


def _feature_info(model: nn.Module, name: str) -> list[dict]:
    info = getattr(model, 'feature_info', None)
    info = getattr(info, 'info', info)
    if not info or not hasattr(model, 'forward_intermediates'):
        raise ValueError(f'{name} of timm gives no feature maps of its layers: choose another network')
    return list(info)


def _indices(layers: int | Sequence[int], count: int, name: str) -> tuple[int, ...]:
    asked = range(-layers, 0) if type(layers) is int else layers if isinstance(layers, (list, tuple)) else ()
    if (
        not asked
        or any(type(index) is not int or not -count <= index < count for index in asked)
        or len({index % count for index in asked}) < len(asked)
    ):
        raise ValueError(
            f'layers={layers!r} must name some of the {count} layers of {name}: 1 to {count} for the last ones, or '
            f'indices from 0 to {count - 1}, each once'
        )
    return tuple(sorted({index % count for index in asked}))
