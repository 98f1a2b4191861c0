"""Every config builds, trains one step, saves, predicts and is measured, on small data in the true on-disk format."""

import re
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm

from mmvice.apis import build_runner
from mmvice.engine.checks.settings import check_setting_names
from mmvice.registry import DATASETS, MODELS
from mmvice.structures import EmbeddingMap

pytestmark = pytest.mark.usefixtures('mmvice_scope')

PROJECT = Path(__file__).parents[1]
ROOT = PROJECT / 'configs'
PRETRAIN = sorted([*(ROOT / 'vice').glob('*.py'), *(ROOT / 'ablation').glob('*.py')])
PROBES = sorted([*(ROOT / 'linear_probe').glob('*.py'), *(ROOT / 'cluster_probe').glob('*.py')])
FINETUNE = sorted((ROOT / 'finetune').glob('*.py'))
EMBEDDERS = sorted(
    path for path in (ROOT / '_base_' / 'models').glob('*.py') if not path.stem.startswith(('embedder', 'segmentor'))
)


# Trained in every run of the tests: small networks for small images, a scaled recipe and a probe of each data set.
QUICK = (
    *('synthetic-', 'camvid-64x64', 'camvid-96x128', 'folder-64x64', 'vice_r18_light-fpn_8xb4-lars-4e_coco'),
    *('vice_r18_light-fpn_cluster-256_cityscapes-full', 'vice_r50_deeplabv3plus_linear-256-12k_coco-stuff27-full'),
)

LARGE_EMBEDDERS = (
    *('r50_deeplabv3plus', 'r101_deeplabv3plus', 'r152_deeplabv3plus'),
    *('timm-convnext-tiny_light-fpn', 'dinov3-convnext-tiny_light-fpn'),
)


def name(path):
    return path.stem


def mostly_slow(paths):
    """Configs by their names, of which those that QUICK does not name are slow tests."""
    quick = [any(part in path.stem for part in QUICK) for path in paths]
    return [pytest.param(path, id=path.stem, marks=[] if now else pytest.mark.slow) for path, now in zip(paths, quick)]


def write_image(path, rng, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, size))


def write_labels(path, rng, size, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    small = rng.choice(values, (9, 12)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, size, interpolation=cv2.INTER_NEAREST))


def make_camvid(root, rng):
    """Images and labels as in CamVid's folder, of two sizes."""
    for split in ('train', 'val'):
        for i in range(2):
            size = (96 + 16 * i, 72)
            write_image(root / 'images' / split / f'{i}.jpg', rng, size)
            write_labels(root / 'annotations' / split / f'{i}.png', rng, size, [0, 3, 10, 255])


def make_coco(root, rng):
    """COCO and COCO-Stuff as published, with the curated lists, and converted by the project's tool."""
    for split in ('train2017', 'unlabeled2017', 'val2017'):
        for i in range(2):
            size = (112 + 16 * i, 96)
            write_image(root / 'images' / split / f'{i:012d}.jpg', rng, size)
            if split != 'unlabeled2017':
                write_labels(root / 'stuffthingmaps' / split / f'{i:012d}.png', rng, size, [0, 16, 100, 181, 255])
        if split != 'unlabeled2017':
            curated = root / 'curated' / split / 'Coco164kFull_Stuff_Coarse_7.txt'
            curated.parent.mkdir(parents=True)
            curated.write_text('000000000000\n000000000001\n')
    runpy.run_path(str(PROJECT / 'tools' / 'dataset_converters' / 'coco_stuff27.py'))['main'](
        [str(root), '--allow-partial']
    )


def make_cityscapes(root, rng):
    """Cityscapes as published, converted by the project's tool."""
    for split in ('train', 'train_extra', 'val'):
        for i in range(2):
            stem = f'aachen_{i:06d}_000019'
            write_image(root / 'leftImg8bit' / split / 'aachen' / f'{stem}_leftImg8bit.png', rng, (128, 96))
            if split != 'train_extra':
                labels = root / 'gtFine' / split / 'aachen' / f'{stem}_gtFine_labelIds.png'
                write_labels(labels, rng, (128, 96), [0, 7, 9, 11, 26, 33])
    runpy.run_path(str(PROJECT / 'tools' / 'dataset_converters' / 'cityscapes.py'))['main'](
        [str(root), '--allow-partial']
    )


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with two images of every split of every data set, in the published layouts."""
    root, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    make_camvid(root / 'camvid', rng)
    make_coco(root / 'coco', rng)
    make_cityscapes(root / 'cityscapes', rng)
    return root


SMALL = dict(
    ContextualViewCrop=dict(view_size=64, num_views=2),
    CenterCrop=dict(crop_size=(96, 96)),
    RandomCrop=dict(crop_size=(64, 64)),
    ResizeShortestEdge=dict(scale=96),
    SuperpixelSLIC=dict(region_size=8),
)


def read(path):
    """A config, with every name in it a setting or plainly none."""
    cfg = Config.fromfile(path)
    check_setting_names(cfg)
    return cfg


def shrink(cfg, data, work_dir):
    """One step on two samples, in this process; both images of a validation are one batch, whatever their sizes."""
    cfg.work_dir = str(work_dir)
    cfg.launcher = 'none'
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        loader.update(num_workers=0, pin_memory=False)
        loader.batch_size = min(loader.batch_size, 2) if split == 'train' else 2
        dataset = loader.dataset
        if dataset.type == 'SyntheticScenesDataset':
            dataset.num_scenes = 2
        elif dataset.data_root.startswith('data/my_'):
            dataset.update(data_root=str(data / 'coco'), data_prefix=dict(img_path=''))
        else:
            dataset.data_root = str(data / Path(dataset.data_root).name)
        for step in dataset.pipeline:
            step.update(SMALL.get(step.type, {}))
            if step.type in ('Resize', 'RandomResize') and step.scale == (2048, 512):
                step.scale = (256, 64)
    if cfg.train_cfg.type == 'EpochCountedTrainLoop':
        cfg.train_cfg.max_epochs = 0.01
    elif cfg.train_cfg.type == 'IterBasedTrainLoop':
        cfg.train_cfg.max_iters = 1
    if cfg.train_cfg.type != 'ClusterFitLoop':
        cfg.default_hooks.checkpoint.interval = 1
    if cfg.model.get('pretrained'):
        known = 'checkpoints/' if cfg.model.backbone.type == 'TimmEncoder' else 'torchvision://resnet'
        assert cfg.model.pretrained.startswith(known)
        cfg.model.pretrained = None  # a download; tests of the loading itself are in test_models
    for hook in cfg.get('custom_hooks', []):
        if hook.type == 'EmbeddingVisualizationHook':
            hook.num_images = 1
    cfg.log_level = 'WARNING'
    return cfg


TINY = dict(
    tf_efficientnet_lite0='test_efficientnet',
    convnext_tiny='test_convnext',
    deit_small_patch16_224='test_vit',
    vit_small_patch14_reg4_dinov2='test_vit2',
    vit_small_patch16_dinov3='test_vit3',
)


def thin(model):
    """A network of a kind with few channels; test_embedders_train_under_vice has them all in full."""
    if model.backbone.type == 'TimmEncoder':
        pytest.importorskip('timm')
        model.backbone.name = TINY[model.backbone.name.partition('.')[0]]
        return
    model.backbone.base_channels = 8
    first = 8 if model.backbone.depth == 18 else 32
    parts = [model.decoder.get('head', model.decoder)] if 'decoder' in model else [model.decode_head]
    if 'c1_in_channels' in parts[0]:
        parts[0].update(in_channels=8 * first, channels=32, c1_in_channels=first, c1_channels=12)
    else:
        parts[0].in_channels = [first, 2 * first, 4 * first, 8 * first]
    if 'auxiliary_head' in model:
        model.auxiliary_head.update(in_channels=4 * first, channels=32)


@pytest.mark.parametrize('path', mostly_slow(PRETRAIN))
def test_pretraining(path, data, tmp_path):
    cfg = shrink(read(path), data, tmp_path)
    thin(cfg.model)
    runner = build_runner(cfg)
    before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}
    model = runner.train()
    assert any(not torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert all(p.isfinite().all() for p in model.parameters())
    assert (tmp_path / 'iter_1.pth').is_file()
    if model.head.unit_concepts() is None:
        return
    image = torch.randint(256, (3, 50, 70), dtype=torch.uint8)
    result = model.eval().test_step(dict(inputs=[image], data_samples=None))[0]
    assert result.pred_sem_seg.data.shape == (1, 50, 70)


def source_of(embedder_checkpoint):
    """The pretraining config whose run a probe's ``embedder_checkpoint`` names: a folder, or a file in it."""
    run = Path(embedder_checkpoint)
    run, file = (run.parent, run) if run.suffix == '.pth' else (run, None)
    paths = [path for path in PRETRAIN if path.stem == run.name]
    assert len(paths) == 1, f'no config makes {embedder_checkpoint}'
    source = Config.fromfile(paths[0])
    if file is not None:
        assert file.stem == f'iter_{source.train_cfg.max_iters}'
    return source


@pytest.mark.parametrize('path', mostly_slow(PROBES))
def test_probes(path, data, tmp_path):
    cfg = shrink(read(path), data, tmp_path)
    head = cfg.model.decode_head
    if head.type == 'ClusterProbeHead':
        head.update(num_clusters=5)
        cfg.train_cfg.max_samples = 400
    thin(cfg.model)
    assert head.num_classes == len(DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['classes'])
    pretrained = cfg.model.embedder_checkpoint
    assert (pretrained is None) == path.stem.startswith(('random-init', 'encoder'))
    if pretrained is not None:
        source = source_of(pretrained)
        thin(source.model)
        torch.manual_seed(0)
        vice = MODELS.build({**source.model, 'pretrained': None})
        cfg.model.embedder_checkpoint = str(tmp_path / 'vice.pth')
        torch.save(dict(state_dict=vice.state_dict()), cfg.model.embedder_checkpoint)
    runner = build_runner(cfg)
    runner.train()
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    tested = Config.fromfile(path)
    tested.load_from = checkpoint
    tested = shrink(tested, data, tmp_path / 'test')
    tested.model.decode_head = cfg.model.decode_head
    thin(tested.model)
    metrics = build_runner(tested).test()
    assert 0 <= metrics['mIoU'] <= 100 and 0 <= metrics['aAcc'] <= 100


@pytest.mark.parametrize('path', mostly_slow(FINETUNE))
def test_finetuning(path, data, tmp_path):
    """With a learning rate of 0, so that the weights that it starts from are there to be compared afterwards."""
    cfg = shrink(read(path), data, tmp_path)
    thin(cfg.model)
    cfg.model.data_preprocessor.size = (64, 64)
    cfg.optim_wrapper.optimizer.lr = 0.0
    from_vice = path.stem.startswith('vice_')
    if from_vice:
        source = source_of(str(Path(cfg.custom_hooks[0].checkpoint).parent))
        thin(source.model)
        vice = MODELS.build({**source.model, 'pretrained': None})
        torch.save(dict(state_dict=vice.state_dict()), tmp_path / 'vice.pth')
        cfg.custom_hooks[0].checkpoint = str(tmp_path / 'mmseg.pth')
        to_mmseg = runpy.run_path(str(PROJECT / 'tools' / 'model_converters' / 'to_mmseg.py'))['main']
        to_mmseg([str(tmp_path / 'vice.pth'), cfg.custom_hooks[0].checkpoint])
    runner = build_runner(cfg)
    model = runner.train()
    if from_vice:
        parts = [(vice.backbone, model.backbone), (vice.decoder.head, model.decode_head)]
        for ours, theirs in ((dict(a.named_parameters()), dict(b.named_parameters())) for a, b in parts):
            kept = [key for key in ours if not key.startswith('conv_seg')]
            assert kept and all(torch.equal(ours[key], theirs[key]) for key in kept)
    assert 0 <= runner.test()['mIoU'] <= 100


@pytest.mark.parametrize(
    'path',
    [pytest.param(p, id=p.stem, marks=pytest.mark.slow if p.stem in LARGE_EMBEDDERS else []) for p in EMBEDDERS],
)
def test_embedders_train_under_vice(path):
    cfg = Config.fromfile(path).model
    if cfg.backbone.type == 'TimmEncoder':
        pytest.importorskip('timm')
    cfg.update(type='ViCE', head=dict(type='DenseSwAVHead', num_concepts=8))
    model = revert_sync_batchnorm(MODELS.build(cfg)).train()
    for key in ('mean', 'std'):
        own = getattr(model.encoder, key)
        assert own is None or model.data_preprocessor.get_buffer(key).flatten().tolist() == pytest.approx(own)
    e = model(torch.randn(2, 3, 64, 96))
    assert isinstance(e, EmbeddingMap) and e.embed_dims == e.features.shape[1] and e.size == (64, 96)
    if model.encoder.patch_size == 14:
        assert e.features.shape[2:] == (20, 28)  # the image is resized to 70x98, which is whole patches
    else:
        stride = 64 // e.features.shape[2]
        assert e.features.shape[2:] == (64 // stride, 96 // stride)
    regions = torch.arange(4).repeat_interleave(16 * 96).reshape(1, 64, 96).repeat(2, 1, 1)
    model.head.loss(e, regions, [4], num_views=2)['loss'].backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def flat(cfg, prefix=''):
    """All settings of a config by their dotted names."""
    items = enumerate(cfg) if isinstance(cfg, (list, tuple)) else cfg.items()
    settings = {}
    for key, value in items:
        if isinstance(value, (dict, list, tuple)):
            settings.update(flat(value, f'{prefix}{key}.'))
        else:
            settings[f'{prefix}{key}'] = value
    return settings


ABLATIONS = [
    p for p in PRETRAIN if p.parent.name == 'ablation' and (p.parent / f'{p.stem.rpartition("_")[0]}.py').is_file()
]


@pytest.mark.parametrize('path', ABLATIONS, ids=name)
def test_an_ablation_changes_one_part_by_what_its_name_says(path):
    base, _, change = path.stem.rpartition('_')
    configs = [Config.fromfile(p).to_dict() for p in (path.with_name(f'{base}.py'), path)]
    before, after = (cfg['train_dataloader']['dataset'].pop('pipeline') for cfg in configs)
    steps = [[step for step in own if step not in other] for own, other in ((before, after), (after, before))]
    settings = [flat({key: value for key, value in cfg.items() if key != 'train_pipeline'}) for cfg in configs]
    changed = {key for key in settings[0].keys() | settings[1].keys() if settings[0].get(key) != settings[1].get(key)}
    parts = {key.partition('.')[0] for key in changed}
    assert max(map(len, steps)) <= 1 and len(parts) + any(steps) == 1, (
        f'{path.name} changes the steps {steps} and the settings {sorted(changed)} of its base: an ablation changes '
        'one step of the pipeline, or one part such as model'
    )
    given = flat(steps[1][0]) if steps[1] else {k: v for k, v in settings[1].items() if k.partition('.')[0] in parts}
    values = {value for value in given.values() if isinstance(value, (int, float))}
    for number, thousands in re.findall(r'(\d+)(k?)', change):
        assert thousands or {float(number), float(number) / 100} & values, (
            f'{path.name} says {number}, but none of its settings {given} is {float(number):g} or '
            f'{float(number) / 100:g}: a number in the name is a setting, or a hundred times one'
        )


def test_the_readme_of_the_ablations_names_them_all():
    text = (ROOT / 'ablation' / 'README.md').read_text(encoding='utf-8')
    changes = {path.stem.rpartition('_')[2] for path in ABLATIONS}
    missing = sorted(change for change in changes if not re.search(rf'`([\w-]*_)?{change}`', text))
    assert not missing, f'configs/ablation/README.md lacks {", ".join(missing)}: name what changes in its table'


LEAVES = sorted(path for path in ROOT.rglob('*.py') if '_base_' not in path.parts)


@pytest.mark.parametrize('path', LEAVES, ids=name)
def test_the_length_of_a_training_stands_in_one_place(path):
    """Schedules without an end get that of the training, so that they follow a shorter or longer one."""
    lengths = ('begin', 'end', 'T_max', 'total_steps', 'milestones', 'periods', 'step_size')
    for schedule in Config.fromfile(path).get('param_scheduler') or []:
        assert not set(lengths) & schedule.keys()
        assert schedule.by_epoch is False  # loops over steps never end an epoch


@pytest.mark.parametrize('path', LEAVES, ids=name)
def test_functions_of_mmseg_find_how_images_are_loaded(path):
    """``inference_model`` in ``test_pipeline``, ``MMSegInferencer`` in the test data set."""
    cfg = Config.fromfile(path)
    if 'test_dataloader' in cfg:
        assert cfg.test_pipeline == cfg.test_dataloader.dataset.pipeline
        assert cfg.test_pipeline[0].type == 'LoadImageFromFile'


def test_scaled_recipes_follow_the_linear_rule():
    scaled = [path for path in PRETRAIN if path.parent.name == 'vice' and re.search('_[18]xb', path.stem)]
    assert scaled
    for path in scaled:
        schedule = path.stem.split('_')[3]
        gpus, images = (int(n) for n in schedule.split('-')[0].split('xb'))
        paper, cfg = (Config.fromfile(p) for p in (str(path).replace(schedule.split('-')[0], '32xb4'), path))
        share = gpus * images / 128
        assert cfg.train_dataloader.batch_size == images
        assert cfg.auto_scale_lr.base_batch_size == gpus * images
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(paper.optim_wrapper.optimizer.lr * share)
        assert cfg.model.head.queue_length * gpus == paper.model.head.queue_length * 32 == 160_000
        for key in ('queue_start_iter', 'freeze_concepts_iters'):
            assert cfg.model.head[key] * share == paper.model.head[key] == 313
