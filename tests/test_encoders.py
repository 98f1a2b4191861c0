"""Every encoder of the table in docs/encoders.md does what its columns say."""

import copy
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmvice.models.utils import load_pretrained
from mmvice.registry import MODELS
from mmvice.structures import ViewsDataSample

timm = pytest.importorskip('timm')
ROOT = Path(__file__).parents[1]
SIDE = 64
NORM = dict(type='BN')
STAGES = dict(out_indices=(0, 1, 2, 3))


def timm_encoder(name: str) -> dict:
    return dict(type='TimmEncoder', name=name)


ENCODERS = {
    "MMSegmentation's ResNet-18": dict(type='ResNet', depth=18, norm_cfg=NORM, norm_eval=False),
    "MMSegmentation's ResNet-50": dict(type='ResNet', depth=50, norm_cfg=NORM, norm_eval=False),
    "MMSegmentation's Swin-T": dict(type='SwinTransformer', **STAGES),
    "MMPretrain's ViT (DeiT-S/16)": dict(
        type='mmpretrain.VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_type='featmap',
        out_indices=[2, 5, 8, 11],
    ),
    "MMPretrain's ConvNeXt-T": dict(
        type='mmpretrain.ConvNeXt', arch='tiny', gap_before_final_norm=False, out_indices=[0, 1, 2, 3]
    ),
    'mmpretrain.TIMMBackbone, ResNet-18': dict(
        type='mmpretrain.TIMMBackbone', model_name='resnet18', features_only=True, out_indices=(1, 2, 3, 4)
    ),
    'TimmEncoder, resnet50': timm_encoder('resnet50'),
    'TimmEncoder, tf_efficientnet_lite0': timm_encoder('tf_efficientnet_lite0'),
    'TimmEncoder, convnext_tiny': timm_encoder('convnext_tiny'),
    'TimmEncoder, swin_tiny_patch4_window7_224': timm_encoder('swin_tiny_patch4_window7_224'),
    'TimmEncoder, deit_small_patch16_224': timm_encoder('deit_small_patch16_224'),
    'TimmEncoder, vit_small_patch14_dinov2': timm_encoder('vit_small_patch14_dinov2'),
    'TimmEncoder, vit_small_patch14_reg4_dinov2': timm_encoder('vit_small_patch14_reg4_dinov2'),
    'TimmEncoder, vit_small_patch16_dinov3': timm_encoder('vit_small_patch16_dinov3'),
    'TimmEncoder, convnext_tiny.dinov3_lvd1689m': timm_encoder('convnext_tiny.dinov3_lvd1689m'),
}
QUICK = ("MMSegmentation's ResNet-18", 'TimmEncoder, tf_efficientnet_lite0', 'TimmEncoder, deit_small_patch16_224')


def build(cfg: dict, model: dict) -> nn.Module:
    plain = 'ViT' in str(cfg) or 'vit' in str(cfg) or 'VisionTransformer' in str(cfg) or 'deit' in str(cfg)
    decoder = dict(type='SubpixelDecoder' if plain else 'LightFPN', embed_dims=16)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmvice'):
        return MODELS.build(dict(backbone=copy.deepcopy(cfg), **{'decoder': decoder, **model}))


class Encoder:
    """Models on one encoder, each built when a cell first asks for it."""

    def __init__(self, cfg: dict) -> None:
        self.cfg = cfg
        self.vice = build(cfg, dict(type='ViCE', head=dict(type='DenseSwAVHead', num_concepts=4)))
        self.vice.init_weights()
        self.initial = copied(self.vice)
        self.learning = [p for p in self.vice.parameters() if p.requires_grad]
        self._hypercolumns = None

    def start(self, *frozen: str) -> nn.Module:
        """The ViCE model as it was before any step."""
        self.vice.load_state_dict(self.initial)
        for parameter in self.learning:
            parameter.requires_grad_(True)
        self.vice.frozen = frozen
        self.vice.zero_grad()
        return self.vice.train()

    def hypercolumns(self, head: dict) -> nn.Module:
        """The encoder without a decoder, under a probe."""
        if self._hypercolumns is None:
            decoder = dict(type='HypercolumnDecoder')
            probe = dict(type='LinearProbeHead', num_classes=2)
            self._hypercolumns = build(self.cfg, dict(type='ProbeSegmentor', decoder=decoder, decode_head=probe))
        model = self._hypercolumns
        with DefaultScope.overwrite_default_scope('mmvice'):
            model.decode_head = MODELS.build(dict(in_channels=model.embed_dims, num_classes=2, **head))
        return model.train()


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(module: nn.Module, before: dict[str, Tensor], prefix: str) -> set[str]:
    return {
        name for name, value in module.state_dict().items() if name.startswith(prefix) and (value != before[name]).any()
    }


def halves() -> tuple[Tensor, Tensor]:
    """An image of two colours and some noise (1, 3, H, W), and its labels (1, H, W)."""
    labels = (torch.arange(SIDE) >= SIDE // 2).long().expand(1, SIDE, SIDE)
    noise = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return torch.where(labels[:, None] == 1, 1.5, -1.5) + 0.1 * noise, labels


def step(model: nn.Module) -> None:
    """A step of ViCE on two views of two regions each; gradients stay."""
    image, labels = halves()
    sample = ViewsDataSample(metainfo=dict(num_regions=2, noise_seed=0))
    sample.regions = labels.int().repeat(2, 1, 1)
    loss = model(torch.cat([image, image.flip(2)]), [sample], mode='loss')['loss']
    assert loss.isfinite()
    loss.backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()


def weights_load(encoder: Encoder, folder: Path) -> None:
    """A file as it is published, with a classifier, gives every weight of the encoder."""
    model, kind = encoder.start(), encoder.cfg['type']
    torch.manual_seed(1)
    expected = {
        name: 1 + torch.rand_like(value) if value.is_floating_point() else value
        for name, value in model.backbone.state_dict().items()
    }
    rows = torch.rand(7, 3)
    if kind == 'TimmEncoder':
        classifier = model.backbone.model.pretrained_cfg['classifier']
        file = {name.removeprefix('model.'): value for name, value in expected.items()} | {f'{classifier}.weight': rows}
    elif kind == 'ResNet':  # of torchvision
        file = {**expected, 'fc.weight': rows}
    else:  # of MMPretrain
        file = {f'backbone.{name}': value for name, value in expected.items()} | {'head.fc.weight': rows}
    torch.save(file, folder / 'weights.pth')
    load_pretrained(model, folder / 'weights.pth')
    loaded = model.backbone.state_dict()
    assert [name for name, value in expected.items() if not torch.equal(loaded[name], value)] == []


def trains(encoder: Encoder, folder: Path) -> None:
    """A step changes every part, and gives each parameter that has one a finite gradient."""
    model = encoder.start()
    step(model)
    for part in ('backbone.', 'decoder.', 'head.concepts'):
        assert moved(model, encoder.initial, part), part
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == [] and all(p.isfinite().all() for p in model.parameters())


def frozen(encoder: Encoder, folder: Path) -> None:
    """A step leaves the encoder as it is, to the last bit of its statistics, and changes the decoder."""
    model = encoder.start('backbone')
    step(model)
    assert moved(model, encoder.initial, 'backbone.') == set() != moved(model, encoder.initial, 'decoder.')
    assert not any(module.training for module in model.backbone.modules())
    assert all(p.grad is None for p in model.backbone.parameters())


def linear(encoder: Encoder, folder: Path) -> None:
    """A linear probe of the bare encoder learns the halves of an image."""
    model = encoder.hypercolumns(dict(type='LinearProbeHead'))
    before, (image, labels) = copied(model.backbone), halves()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels))]
    optimizer = torch.optim.AdamW(model.decode_head.parameters(), lr=0.05)
    embeddings = model.embed(image)
    for _ in range(40):
        optimizer.zero_grad()
        model.decode_head.loss(embeddings, samples, None)['loss_ce'].backward()
        optimizer.step()
    assert share(model.eval(), image, labels) > 0.85
    assert moved(model.backbone, before, '') == set()


def cluster(encoder: Encoder, folder: Path) -> None:
    """Clusters of the bare encoder's embeddings are the halves of an image."""
    model = encoder.hypercolumns(dict(type='ClusterProbeHead', num_clusters=4)).eval()
    image, labels = halves()
    embeddings = model.embed(image)
    y, x = (index.flatten() for index in torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing='ij'))
    model.decode_head.fit_centroids(embeddings.sample(torch.zeros_like(y), y, x).numpy())
    model.decode_head.match_classes(model.decode_head.count(model.decode_head.assign(embeddings), labels))
    assert share(model, image, labels) > 0.85


def share(model: nn.Module, image: Tensor, labels: Tensor) -> float:
    """Share of the pixels that a probe has right."""
    [sample] = model.predict(image)
    return (sample.pred_sem_seg.data == labels).float().mean().item()


def layer_decay(encoder: Encoder, folder: Path) -> None:
    """Learning rates fall by a factor from block to block towards the image; the decoder has the whole rate."""
    model = encoder.start()
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=1.0, weight_decay=0.0),
            constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.5),
        ),
    )
    rates = {id(p): group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']}
    named = {name: rates[id(p)] for name, p in model.named_parameters() if id(p) in rates}
    assert {rate for name, rate in named.items() if not name.startswith('backbone.')} == {1.0}
    encoders = {name: rate for name, rate in named.items() if name.startswith('backbone.')}
    first = next(iter(encoders))
    assert encoders[first] == min(encoders.values()) < 0.5**4 and max(encoders.values()) >= 0.25
    stages: dict[int, list[float]] = {}
    for key, rate in encoders.items():
        number = re.search(r'(?:layer|(?:stages|layers|blocks)[._])(\d+)', key)
        if number:
            stages.setdefault(int(number[1]), []).append(rate)
    assert len(stages) >= 4
    ordered = [stages[number] for number in sorted(stages)]
    assert all(max(near) < min(deep) for near, deep in zip(ordered, ordered[1:]))


def exports_back(encoder: Encoder, folder: Path) -> None:
    """A checkpoint gives a file that timm, or the backbone's own project, loads strictly."""
    model, name = encoder.start(), encoder.cfg.get('name')
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'vice.pth')
    (folder / 'vice.py').write_text(f'model = dict(backbone={encoder.cfg!r})')
    files = [str(folder / 'vice.pth'), str(folder / 'out.pth')]
    tool, *options = ('to_timm.py', '--config', str(folder / 'vice.py')) if name else ('to_mmseg.py', '--backbone-only')
    runpy.run_path(str(ROOT / 'tools/model_converters' / tool))['main']([*files, *options])
    weights = torch.load(files[1], weights_only=True)['state_dict']
    weights = {key.removeprefix('backbone.'): value for key, value in weights.items()}
    network = model.backbone.model if name else model.backbone
    twin = timm.create_model(name, num_classes=0) if name else copy.deepcopy(network)
    if not name:
        twin.apply(lambda module: [value.fill_(0) for value in module.state_dict().values()])
    twin.load_state_dict(weights, strict=True)
    assert [key for key, value in network.state_dict().items() if not torch.equal(twin.state_dict()[key], value)] == []


PROPERTIES: dict[str, Callable[[Encoder, Path], None]] = {
    'weights load': weights_load,
    'trains': trains,
    'frozen': frozen,
    'linear': linear,
    'cluster': cluster,
    'layer decay': layer_decay,
    'exports back': exports_back,
}


@pytest.fixture(scope='module')
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return Encoder(ENCODERS[request.param])


@pytest.mark.parametrize('name', PROPERTIES)
@pytest.mark.parametrize(
    'encoder',
    [pytest.param(name, id=name, marks=[] if name in QUICK else pytest.mark.slow) for name in ENCODERS],
    indirect=True,
)
def test_encoder(encoder, name, tmp_path):
    PROPERTIES[name](encoder, tmp_path)


def table() -> str:
    """The table of the document: each cell is a test above."""
    lines = [f'| encoder | {" | ".join(PROPERTIES)} |', '|---' * (1 + len(PROPERTIES)) + '|']
    return '\n'.join([*lines, *(f'| {name} | {" | ".join(["✓"] * len(PROPERTIES))} |' for name in ENCODERS)])


def test_the_table_of_the_document_has_these_cells():
    text = (ROOT / 'docs/encoders.md').read_text(encoding='utf-8')
    assert table() in text, f'docs/encoders.md must have this table:\n{table()}'
