"""A feature stays where it is in the image, for every encoder, at sizes that its cells divide and at others.

Strided convolutions shift what they see by themselves, see docs/encoders.md. So the ideal is the same network on the
same scene drawn at a size that its cells divide; for a Vision Transformer whose blocks pass patches on, it is computed.
"""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap

DARK, BRIGHT = (torch.tensor(color).view(3, 1, 1) for color in ([-1.0, 0.5, 0.2], [1.0, -0.3, 0.6]))
SIZES = [(96, 128), (360, 480), (375, 500), (64, 64)]
PLACES = (0.2, 0.47, 0.86)  # of the edge, over the whole side: a map that is stretched errs most at its end
SMALL = dict(depth=2, embed_dim=24, num_heads=2)
WINDOWS = dict(depths=(1, 2, 1, 1), num_heads=(1, 2, 2, 4))
ENCODERS = {
    'ResNet': dict(type='ResNet', depth=18, base_channels=8),
    'mmpretrain.ViT': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=224,
        patch_size=14,
        out_type='featmap',
        out_indices=(0, 1),
    ),
    'mmpretrain.Swin': dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=8, **{key: list(value) for key, value in WINDOWS.items()}),
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
    ),
    'mmpretrain.ConvNeXt': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32]),
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
    ),
    'mmpretrain.TIMMBackbone': dict(type='mmpretrain.TIMMBackbone', model_name='test_resnet', features_only=True),
    'timm resnet': dict(type='TimmEncoder', name='test_resnet'),
    'timm efficientnet': dict(type='TimmEncoder', name='tf_efficientnet_lite0'),
    'timm convnext': dict(type='TimmEncoder', name='test_convnext'),
    'timm swin': dict(type='TimmEncoder', name='swin_tiny_patch4_window7_224', embed_dim=8, **WINDOWS),
    'timm deit': dict(type='TimmEncoder', name='deit_small_patch16_224', layers=2, **SMALL),
    'timm dinov2': dict(type='TimmEncoder', name='vit_small_patch14_dinov2', layers=2, **SMALL),
    'timm dinov2 with registers': dict(type='TimmEncoder', name='vit_small_patch14_reg4_dinov2', layers=2, **SMALL),
    'timm dinov3': dict(type='TimmEncoder', name='vit_small_patch16_dinov3', layers=2, **SMALL),
}
PLAIN = [name for name in ENCODERS if any(part in name for part in ('ViT', 'deit', 'dino'))]


class Stacked(nn.Module):
    """All maps at the size of the finest, each with vectors of length 1 in the mean."""

    embed_dims = 1

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        size = maps[0].shape[-2:]
        maps = [one / one.pow(2).sum(1).mean().sqrt() for one in maps]
        return torch.cat([F.interpolate(one, size, mode='bilinear', align_corners=False) for one in maps], dim=1)


def sides(axis, sizes=SIZES):
    """The sizes with the side that is looked at; the other, along which scenes are alike, is short."""
    return [tuple(side if place == axis else 64 for place, side in enumerate(size)) for size in sizes]


def build(name, **changes):
    if 'imm' in ENCODERS[name]['type'] or 'TIMM' in ENCODERS[name]['type']:
        pytest.importorskip('timm')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(
            dict(
                type='ViCE',
                backbone={**ENCODERS[name], **changes},
                decoder=dict(type='LightFPN', embed_dims=8),
                head=dict(type='ODCHead', num_concepts=4),
            )
        )
    model.decoder = Stacked()
    return model.eval()


def draw(size, axis, edges, width=None):
    """Scenes (B, 3, H, W), dark before an edge and bright behind it, or for ``width`` pixels, anti-aliased."""
    places = torch.arange(size[axis], dtype=torch.float32)
    start = torch.tensor(edges).view(-1, 1)
    share = (places + 1 - start).clamp(0, 1)
    if width is not None:
        share = share - (places + 1 - start - width).clamp(0, 1)
    share = share.view(len(edges), 1, 1, -1)
    scenes = (1 - share) * DARK + share * BRIGHT
    scenes = scenes.expand(-1, -1, size[1 - axis], -1)
    return (scenes if axis == 1 else scenes.transpose(2, 3)).contiguous()


@torch.no_grad()
def profiles(model, size, axis, edges, width=None):
    """Of scenes, of the dark one and of the bright one: embeddings (B, D, side) along an axis, at the image's size."""
    side = size[axis]
    scenes = draw(size, axis, [side, 0, *edges], None)
    if width is not None:
        scenes[2:] = draw(size, axis, edges, width)
    embeddings = model.embed(scenes)
    assert tuple(embeddings.size) == tuple(size)
    features = embeddings.features.mean(dim=3 - axis, keepdim=True)
    own = (1, side) if axis == 1 else (side, 1)
    return EmbeddingMap(features, own).dense().flatten(2).double()


def find_edges(model, size, axis, edges):
    """Where edges are found, in pixels: the share of the line that is bright tells."""
    return locate(profiles(model, size, axis, edges))


def locate(lines):
    """Places of edges in lines of embeddings (B, D, side): a dark line, a bright one, and those with an edge."""
    if isinstance(lines, EmbeddingMap):
        lines = lines.dense().flatten(2).double()
    dark, bright, *scenes = lines
    way = bright - dark
    return torch.stack([dark.shape[1] - ((scene - dark) * way).sum(0).div((way**2).sum(0)).sum() for scene in scenes])


def find_stripes(model, size, axis, edges, width):
    """The middles of stripes: the centre of what differs from the dark image."""
    dark, _, *scenes = profiles(model, size, axis, edges, width)
    places = torch.arange(size[axis]).double() + 0.5
    weights = [(scene - dark).pow(2).sum(0) for scene in scenes]
    return torch.stack([(weight * places).sum() / weight.sum() for weight in weights])


def errors(model, size, axis, fitted, find=find_edges, **kwargs):
    """Pixels between where a network finds edges in a scene and where it does in the scene drawn at another size."""
    side, drawn = size[axis], fitted[axis]
    edges = [place * side for place in PLACES]
    stretch = {key: value * drawn / side for key, value in kwargs.items()}
    ideal = find(model, fitted, axis, [edge * drawn / side for edge in edges], **stretch)
    return (find(model, size, axis, edges, **kwargs) - ideal * side / drawn).abs()


def fitted_size(model, size):
    multiple = model.encoder.multiple
    return tuple(max(int(side / multiple + 0.5), 1) * multiple for side in size)


@pytest.mark.slow
@pytest.mark.parametrize('axis', [1, 0], ids=['x', 'y'])
@pytest.mark.parametrize('name', ENCODERS)
def test_an_edge_and_a_stripe_are_where_they_are(name, axis):
    model = build(name)
    for size in sides(axis):
        fitted = fitted_size(model, size)
        assert errors(model, size, axis, fitted).max() < 1, size
        assert errors(model, size, axis, fitted, find_stripes, width=size[axis] / 8).max() < 1, size


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow if 'resnet' in name.lower() or 'eff' in name else [])
        for name in ('ResNet', 'mmpretrain.Swin', 'mmpretrain.ViT', 'timm efficientnet', 'timm resnet')
    ],
)
def test_maps_that_are_stretched_over_the_image_are_found_out(name):
    """Without whole cells, as a backbone takes an image by itself, an edge moves by many pixels."""
    model = build(name)
    size, fitted = (64, 500), fitted_size(model, (64, 500))
    assert errors(model, size, 1, fitted).max() < 1
    encoder, model.encoder = model.encoder, None
    wrong = errors(model, size, 1, fitted).max()
    model.encoder = encoder
    assert wrong > 2


def pass_patches_on(model):
    """Let a Vision Transformer give the mean colour of each patch: equal weights of pixels, blocks that do nothing."""
    for name, parameter in model.backbone.named_parameters():
        if any(part in name for part in ('attn.proj.', 'mlp.fc2.', 'ffn.layers.1.')):
            nn.init.zeros_(parameter)
        if 'patch_embed.proj' in name and parameter.ndim == 4:
            parameter.data.copy_(parameter.data.mean((2, 3), keepdim=True).expand_as(parameter))
    return model


@pytest.mark.parametrize('axis', [pytest.param(1, id='x'), pytest.param(0, id='y', marks=pytest.mark.slow)])
@pytest.mark.parametrize('name', PLAIN)
def test_patches_give_the_bilinear_ideal(name, axis):
    """A patch that an edge cuts lies between a dark and a bright one by its share."""
    settings = dict(norm=False) if name.startswith('timm') else dict(final_norm=False)
    model = pass_patches_on(build(name, **settings))
    model.decoder.forward = lambda maps: maps[0]
    for size in sides(axis):
        side = size[axis]
        edges = [place * side for place in PLACES]
        found = find_edges(model, size, axis, edges)
        limits = torch.linspace(0, side, fitted_size(model, size)[axis] // model.encoder.patch_size + 1)
        with torch.no_grad():
            dark, bright = model.embed(draw(size, axis, [side, 0])).features
        for edge, place in zip(edges, found):
            share = ((limits[1:] - edge) / limits.diff()).clamp(0, 1)
            cells = torch.stack([dark, bright, dark + (bright - dark) * (share if axis == 1 else share[:, None])])
            ideal = locate(EmbeddingMap(cells.mean(dim=3 - axis, keepdim=True), (1, side) if axis == 1 else (side, 1)))
            assert place == pytest.approx(ideal.item(), abs=1), (size, edge)
            assert place == pytest.approx(edge, abs=model.encoder.patch_size / 2), (size, edge)


@pytest.mark.parametrize('name', ENCODERS)
@pytest.mark.parametrize('size', [(8, 8), (1, 200), (300, 2), (5, 7)], ids=str)
def test_images_smaller_than_a_patch_and_thin_ones(name, size):
    model = build(name)
    with torch.no_grad():
        [(_, embeddings)] = model.embed_sizes([torch.randn(3, *size)])
    assert tuple(embeddings.size) == size and embeddings.features.isfinite().all()
