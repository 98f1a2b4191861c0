"""Every config builds, trains one step, saves, predicts and is measured, on small data in the true on-disk format."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from mmvice.apis import build_runner
from mmvice.registry import DATASETS, MODELS
from mmvice.structures import EmbeddingMap

ROOT = Path(__file__).parents[1] / 'configs'
PRETRAIN = sorted([*(ROOT / 'vice').glob('*.py'), *(ROOT / 'ablation').glob('*.py')])
PROBES = sorted([*(ROOT / 'linear_probe').glob('*.py'), *(ROOT / 'cluster_probe').glob('*.py')])
EMBEDDERS = sorted(path for path in (ROOT / '_base_' / 'models').glob('*.py') if path.stem != 'embedder')


def name(path):
    return path.stem


@pytest.fixture(scope='module')
def camvid(tmp_path_factory):
    """Four small images and labels in CamVid's layout."""
    root, rng = tmp_path_factory.mktemp('camvid'), np.random.default_rng(0)
    for split in ('train', 'val'):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        for i in range(2):
            image = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (96, 72))
            labels = cv2.resize(rng.choice([0, 3, 10, 255], (9, 12)).astype(np.uint8), (96, 72), interpolation=0)
            cv2.imwrite(str(root / 'images' / split / f'{i}.jpg'), image)
            cv2.imwrite(str(root / 'annotations' / split / f'{i}.png'), labels)
    return str(root)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield


def shrink(cfg, camvid, work_dir):
    """One step on two samples, in this process."""
    cfg.work_dir = str(work_dir)
    cfg.launcher = 'none'
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        loader.batch_size = min(loader.batch_size, 2)
        if loader.dataset.type == 'SyntheticScenesDataset':
            loader.dataset.num_scenes = 2
        else:
            loader.dataset.data_root = camvid
        for step in loader.dataset.pipeline:
            if step.type == 'ContextualViewCrop':
                step.update(view_size=64, num_views=2)
            elif step.type in ('CenterCrop', 'RandomCrop'):
                step.crop_size = (96, 96)
            elif step.type == 'ResizeShortestEdge':
                step.scale = 96
            elif step.type == 'SuperpixelSLIC':
                step.region_size = 8
    if cfg.train_cfg.type == 'IterBasedTrainLoop':
        cfg.train_cfg.max_iters = 1
        cfg.default_hooks.checkpoint.interval = 1
    cfg.log_level = 'WARNING'
    return cfg


@pytest.mark.parametrize('path', PRETRAIN, ids=name)
def test_pretraining(path, camvid, tmp_path):
    runner = build_runner(shrink(Config.fromfile(path), camvid, tmp_path))
    before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}
    model = runner.train()
    assert any(not torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert all(p.isfinite().all() for p in model.parameters())
    assert model.head.progress[0] == 1
    assert (tmp_path / 'iter_1.pth').is_file()
    image = torch.randint(256, (3, 50, 70), dtype=torch.uint8)
    result = model.eval().test_step(dict(inputs=[image], data_samples=None))[0]
    assert result.pred_sem_seg.data.shape == (1, 50, 70)


@pytest.mark.parametrize('path', PROBES, ids=name)
def test_probes(path, camvid, tmp_path):
    cfg = shrink(Config.fromfile(path), camvid, tmp_path)
    head = cfg.model.decode_head
    if head.type == 'ClusterProbeHead':
        head.update(num_clusters=5)
        cfg.train_cfg.max_samples = 400
    assert head.num_classes == len(DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['classes'])
    pretrained = cfg.model.embedder_checkpoint
    assert (pretrained is None) == path.stem.startswith('random-init')
    if pretrained is not None:
        recipe = Path(pretrained).parent.name
        assert (ROOT / 'vice' / f'{recipe}.py').is_file(), f'no config makes {pretrained}'
        source = Config.fromfile(ROOT / 'vice' / f'{recipe}.py')
        assert Path(pretrained).stem == f'iter_{source.train_cfg.max_iters}'
        torch.manual_seed(0)
        vice = MODELS.build(source.model)
        cfg.model.embedder_checkpoint = str(tmp_path / 'vice.pth')
        torch.save(dict(state_dict=vice.state_dict()), cfg.model.embedder_checkpoint)
    runner = build_runner(cfg)
    runner.train()
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    tested = Config.fromfile(path)
    tested.load_from = checkpoint
    tested = shrink(tested, camvid, tmp_path / 'test')
    tested.model.decode_head = cfg.model.decode_head
    metrics = build_runner(tested).test()
    assert 0 <= metrics['mIoU'] <= 100 and 0 <= metrics['aAcc'] <= 100


@pytest.mark.parametrize('path', EMBEDDERS, ids=name)
def test_embedders_train_under_vice(path):
    cfg = Config.fromfile(path).model
    cfg.update(type='ViCE', head=dict(type='DenseSwAVHead', num_concepts=8))
    model = revert_sync_batchnorm(MODELS.build(cfg)).train()
    e = model(torch.randn(2, 3, 64, 96))
    assert isinstance(e, EmbeddingMap) and e.embed_dims == 128 and e.size == (64, 96)
    assert e.features.shape[-2:] == (16, 24)
    regions = torch.arange(4).repeat_interleave(16 * 96).reshape(1, 64, 96).repeat(2, 1, 1)
    model.head.loss(e, regions, [4], num_views=2)['loss'].backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


ABLATIONS = {
    'no masking': {'train_dataloader.dataset.pipeline.4.max_ratio': 0},
    'mask up to 50 %': {'train_dataloader.dataset.pipeline.4.max_ratio': 0.5},
    'no contextual shift': {'train_dataloader.dataset.pipeline.3.contextual': False},
    'grid': {'train_dataloader.dataset.pipeline.2': dict(type='SuperpixelGrid', region_size=10)},
    'pixels': {'train_dataloader.dataset.pipeline.2': dict(type='SuperpixelGrid', region_size=1)},
    'three views': {'train_dataloader.dataset.pipeline.3.num_views': 3},
    'larger views': {'train_dataloader.dataset.pipeline.3.view_size': 80},
    'wider range': {'train_dataloader.dataset.pipeline.3.scale_range': (0.15, 2.0)},
    'concepts': {'model.head.num_concepts': 256},
    'queue': {'model.head.queue_length': 100},
    'embedding': {'model.decoder.embed_dims': 32},
}


@pytest.mark.parametrize('change', ABLATIONS)
def test_ablations_of_tables_2_and_5_are_config_changes(change, camvid, tmp_path):
    cfg = shrink(Config.fromfile(ROOT / 'vice' / 'vice_r18_light-fpn_adamw-2k_camvid-64x64.py'), camvid, tmp_path)
    options = {key: value for key, value in ABLATIONS[change].items() if not isinstance(value, dict)}
    cfg.merge_from_dict(options)
    for value in ABLATIONS[change].values():
        if isinstance(value, dict):
            cfg.train_dataloader.dataset.pipeline[2] = value
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    model = build_runner(cfg).train()
    assert model.head.progress[0] == 1 and all(p.isfinite().all() for p in model.parameters())
