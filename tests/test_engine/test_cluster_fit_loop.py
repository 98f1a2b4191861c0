"""Fitting a cluster probe through the Runner, in one process and in two."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvice.apis import build_runner
from mmvice.utils.checkpoint import load_checkpoint_file

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'cluster_probe' / 'random-init_r18-w32_light-fpn_cluster-64_synthetic-96x128.py'
TINY = {
    'model.backbone.base_channels': 8,
    'model.decoder.in_channels': [8, 16, 32, 64],
    'model.decode_head.num_clusters': 6,
    'train_cfg.max_samples': 500,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.batch_size': 2,
    'train_dataloader.dataset.num_scenes': 5,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'val_dataloader.dataset.num_scenes': 3,
}


def fit(work_dir, **changes):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({**TINY, **changes})
    cfg.work_dir, cfg.launcher, cfg.log_level = str(work_dir), 'none', 'WARNING'
    runner = build_runner(cfg)
    return runner, runner.train()


def test_the_fit_is_what_its_checkpoint_says(tmp_path):
    runner, model = fit(tmp_path)
    head = model.decode_head
    state = load_checkpoint_file(str(tmp_path / 'epoch_1.pth'))['state_dict']
    assert torch.equal(state['decode_head.centroids'], head.centroids) and head.centroids.isfinite().all()
    assert torch.equal(state['decode_head.cluster_classes'], head.cluster_classes)

    counts = torch.zeros(6, 8, dtype=torch.long)  # the majority class of each cluster, by brute force
    for item in runner.train_loop.dataloader.dataset:
        inputs = model.data_preprocessor(dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))['inputs']
        vectors = model.extract_feat(inputs).dense()[0].flatten(1).T
        nearest = torch.cdist(vectors, head.centroids).argmin(1)
        labels = item['data_samples'].gt_sem_seg.data.flatten().long()
        counts.index_put_((nearest, labels), torch.ones_like(labels), accumulate=True)
    occupied = counts.sum(1) > 0
    best = counts.gather(1, head.cluster_classes[:, None])[:, 0]
    assert (best >= counts.amax(1) * 0.99)[occupied].all()  # ties and rounding at cluster borders aside


def test_same_seed_same_clusters_other_seed_other_clusters(tmp_path):
    centroids = [
        fit(tmp_path / str(i), **{'train_cfg.seed': seed})[1].decode_head.centroids for i, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(centroids[0], centroids[1]) and not torch.equal(centroids[0], centroids[2])


def test_sampling_does_not_look_at_labels(tmp_path, monkeypatch):
    runner, model = fit(tmp_path)
    before = runner.train_loop._sample(model)
    preprocess = model.data_preprocessor.forward

    def without_labels(data, training=False):
        data = preprocess(data, training)
        for sample in data['data_samples']:
            del sample.gt_sem_seg
        return data

    monkeypatch.setattr(model.data_preprocessor, 'forward', without_labels)
    assert (runner.train_loop._sample(model) == before).all() and before.shape == (5, 100, 64)


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match='decode_head is a ClusterProbeHead'):
        fit(tmp_path, **{'model.decode_head': dict(_delete_=True, type='LinearProbeHead', num_classes=8)})
