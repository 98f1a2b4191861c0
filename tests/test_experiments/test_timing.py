"""What the benchmarks time is a true training step and a true inference."""

import copy
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import CheckpointLoader

from mmvice.apis.inference import init_model
from mmvice.experiments.timing import (
    BEFORE_STEP,
    TRAIN_PHASES,
    PhaseTimer,
    benchmark_inference,
    benchmark_train,
    current_device,
    time_inference,
    time_train_steps,
)
from mmvice.models.heads import dense_swav_head
from mmvice.registry import MODELS
from mmvice.structures import ViewsDataSample

CONFIGS = Path(__file__).parents[2] / 'configs'
PRETRAIN = CONFIGS / 'vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
LINEAR = CONFIGS / 'linear_probe/random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
CLUSTER = CONFIGS / 'cluster_probe/random-init_r18-w32_light-fpn_cluster-64_synthetic-96x128.py'


@pytest.fixture(autouse=True)
def untouched(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)


def tiny(path):
    """A config of the built-in scenes with a narrow network, in this process."""
    cfg = Config.fromfile(path)
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    for name in ('train_dataloader', 'test_dataloader'):
        if cfg.get(name) is not None:
            cfg[name].update(batch_size=2, num_workers=0, persistent_workers=False)
            cfg[name].dataset.num_scenes = 3
    return cfg


def build(**head):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmvice.ViCE',
            backbone=dict(type='mmseg.ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN')),
            decoder=dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=6),
            head=dict(type='mmvice.DenseSwAVHead', num_concepts=4, **head),
            data_preprocessor=dict(type='mmvice.ViCEDataPreprocessor', mean=[9, 9, 9], std=[2, 2, 2]),
        )
    )


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        sample = ViewsDataSample(metainfo=dict(num_regions=3, noise_seed=1))
        sample.regions = torch.randint(-1, 3, (2, 32, 32), generator=generator, dtype=torch.int32)
        sample.view_masks = torch.zeros(2, 32, 32, dtype=torch.bool)
        views = torch.randint(256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
        yield dict(inputs=[views], data_samples=[sample])


def optimizer(model):
    return OptimWrapper(torch.optim.AdamW(model.parameters(), lr=0.01))


def test_the_timed_step_is_the_training_step():
    timed = build(queue_length=8)
    plain = copy.deepcopy(timed)
    wrapper = optimizer(timed)
    measured = time_train_steps(timed, wrapper, batches(4), steps=3, warmup=1, device='cpu')
    plain_wrapper = optimizer(plain)
    plain.train()
    for batch in batches(4):
        plain.train_step(batch, plain_wrapper)
    for (name, a), b in zip(timed.state_dict().items(), plain.state_dict().values()):
        assert torch.equal(a, b), name
    assert any(not torch.equal(a, b) for a, b in zip(timed.parameters(), build(queue_length=8).parameters()))
    assert len(measured) == 3
    for times in measured:
        assert set(times) == {*TRAIN_PHASES, 'Tot.', *BEFORE_STEP}
        assert min(times.values()) > 0
        assert times['Tot.'] == pytest.approx(sum(times[phase] for phase in TRAIN_PHASES))
    assert wrapper.backward == OptimWrapper.backward.__get__(wrapper) and not timed.decoder._forward_hooks


def test_each_phase_is_charged_with_its_own_work(monkeypatch):
    model = build()
    wrapper = optimizer(model)

    def slow(function, milliseconds):
        def call(*args, **kwargs):
            time.sleep(milliseconds / 1000)
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(model.backbone, 'forward', slow(model.backbone.forward, 100))
    monkeypatch.setattr(model.head, 'assign', slow(model.head.assign, 150))
    monkeypatch.setattr(wrapper, 'backward', slow(wrapper.backward, 200))
    monkeypatch.setattr(model.head, 'after_step', slow(model.head.after_step, 50))
    monkeypatch.setattr(wrapper.optimizer, 'step', slow(wrapper.optimizer.step, 250))
    [times] = time_train_steps(model, wrapper, batches(1), steps=1, warmup=0, device='cpu')
    for phase, least in {'Forward': 100, 'Loss comp.': 150, 'Backward': 200, 'Optimization': 300}.items():
        assert times[phase] >= least, phase


def test_a_timer_leaves_out_what_lies_between_phases():
    timer = PhaseTimer('cpu')
    timer.start()
    timer.end('a')
    time.sleep(0.05)
    timer.start()
    timer.end('b')
    timer.end('a')
    taken = timer.take()
    assert list(taken) == ['a', 'b'] and sum(taken.values()) < 50 and timer.take() == {}


def test_the_queue_is_full_and_in_use(monkeypatch):
    head = build(queue_length=10, queue_start_iter=5, freeze_concepts_iters=7).head
    concepts = head.concepts.clone()
    head.enter_steady_state()
    torch.testing.assert_close(head.queue.norm(dim=1), torch.ones(10))
    assert (head.steps, head.queue_count) == (7, 10)
    torch.testing.assert_close(head.concepts, concepts)
    rows = []

    def count_rows(scores, *args):
        rows.append(len(scores))
        return scores

    monkeypatch.setattr(dense_swav_head, 'sinkhorn_knopp', count_rows)
    head.assign(head.queue[:3])
    assert rows == [3 + 10]


def test_training_is_timed_with_the_config_s_own_data(tmp_path):
    result = benchmark_train(tiny(PRETRAIN), steps=2, warmup=0, batch_size=3)
    means = result['milliseconds']
    assert list(means) == ['Forward', 'Loss comp.', 'Backward', 'Optimization', 'Tot.', 'Data', 'Preprocessing']
    assert means['Tot.'] == pytest.approx(sum(means[phase] for phase in TRAIN_PHASES))
    assert set(result['median_milliseconds']) == set(means) and min(means.values()) > 0
    assert (result['images'], result['views'], result['view_size']) == (3, 4, [64, 64])
    assert (result['steps'], result['torch'], result['amp']) == (2, torch.__version__, False)
    assert not list(tmp_path.iterdir())


def test_untrained_probes_can_be_timed(tmp_path):
    for name, path in (('linear.py', LINEAR), ('cluster.py', CLUSTER)):
        tiny(path).dump(tmp_path / name)
    result = benchmark_inference(('linear.py', None), ('cluster.py', None), images=4, warmup=1)
    assert list(result['milliseconds']) == ['Segmentation model', 'Cluster model', 'Linear model']
    assert min(result['milliseconds'].values()) > 0
    assert (result['images'], result['image_sizes'], result['clusters']) == (4, ['96x128'], 64)
    assert result['untrained'] == ['Cluster model', 'Linear model']
    result = benchmark_inference(linear=('linear.py', None), images=1, warmup=0)
    assert list(result['milliseconds']) == ['Segmentation model', 'Linear model'] and 'clusters' not in result


def test_heads_are_timed_apart_and_share_no_norms():
    model = init_model(tiny(LINEAR))
    seen = []

    class Head:
        def classify(self, embeddings):
            time.sleep(0.1)
            seen.append(embeddings)

    times = time_inference(model, {'one': Head(), 'two': Head()}, torch.randn(1, 3, 32, 48), 'cpu')
    assert min(times['one'], times['two']) >= 100 and times['Segmentation model'] > 0
    assert seen[0] is not seen[1] and seen[0].features is seen[1].features


def test_mistakes_are_told(tmp_path):
    with pytest.raises(TypeError, match='has a ProbeSegmentor, but training steps are timed for pretraining'):
        benchmark_train(tiny(LINEAR), steps=1)
    with pytest.raises(ValueError, match='has no train_dataloader'):
        benchmark_train(Config(dict(model=dict(type='ViCE'), optim_wrapper=dict())), steps=1)
    cfg = tiny(PRETRAIN)
    cfg.train_dataloader.dataset = dict(type='UnlabeledImageDataset', data_root='nowhere')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        benchmark_train(cfg, steps=1)
    cfg = tiny(PRETRAIN)
    cfg.train_dataloader.drop_last = True
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
    with pytest.raises(ValueError, match='no batch of 9 from 3 images'):
        benchmark_train(cfg, steps=1, batch_size=9)
    with pytest.raises(TypeError, match='has no ClusterProbeHead'):
        benchmark_inference(cluster=(str(LINEAR), None))
    with pytest.raises(ValueError, match='a linear probe, a cluster probe or both'):
        benchmark_inference()
    tiny(CLUSTER).dump(tmp_path / 'narrow.py')
    with pytest.raises(ValueError, match='must share one embedder'):
        benchmark_inference((str(LINEAR), None), (str(tmp_path / 'narrow.py'), None))


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match='PyTorch finds no CUDA device'):
        current_device('cuda:1')
