"""What only a GPU shows: precision, layout, compiler, processes and tools on one card.

Tests marked ``gpu`` are skipped where there is none (``tests/conftest.py``); ``make gpu`` runs them. Those that can run
on the CPU too do so there, so that they are known to work before there is a card.
"""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper
from processes import free_port, process_group, run_processes

from mmvice.apis import build_runner, embed_image, init_model
from mmvice.cli import use_mixed_precision
from mmvice.models import ClusterProbeHead
from mmvice.registry import MODELS
from mmvice.structures import ViewsDataSample
from mmvice.utils.checkpoint import load_checkpoint_file

ROOT = Path(__file__).parents[1]
PRETRAINING = ROOT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBES = {
    'linear': ROOT / 'configs/linear_probe/vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py',
    'cluster': ROOT / 'configs/cluster_probe/vice_r18-w32_light-fpn_cluster-64_synthetic-96x128.py',
}
GPU = pytest.param('cuda', marks=pytest.mark.gpu)
ON_BOTH = pytest.mark.parametrize('device', ['cpu', GPU])
MODEL = dict(
    type='mmvice.ViCE',
    backbone=dict(type='mmseg.ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='mmvice.LightFPN', in_channels=[8, 16, 32, 64], embed_dims=16),
    head=dict(type='mmvice.DenseSwAVHead', num_concepts=8, queue_length=20),
    data_preprocessor=dict(type='mmvice.ViCEDataPreprocessor', mean=[120] * 3, std=[60] * 3, bgr_to_rgb=True),
)


def build(device: str, **switches: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.build(dict(MODEL, **switches)).to(device)


def batch(images: int = 2, seed: int = 0) -> dict:
    generator, samples = torch.Generator().manual_seed(seed), []
    for index in range(images):
        sample = ViewsDataSample(metainfo=dict(num_regions=3 + index, noise_seed=index))
        sample.regions = torch.randint(-1, 3 + index, (3, 64, 64), generator=generator, dtype=torch.int32)
        sample.view_masks = torch.rand(3, 64, 64, generator=generator) < 0.1
        samples.append(sample)
    views = [torch.randint(256, (3, 3, 64, 64), generator=generator, dtype=torch.uint8) for _ in samples]
    return dict(inputs=views, data_samples=samples)


def loss_and_gradients(model: torch.nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of one batch, on the CPU in fp64."""
    inputs = model.data_preprocessor(batch(), training=True)
    inputs['inputs'] = inputs['inputs'].to(next(model.parameters()).dtype)
    loss = model(**inputs, mode='loss')['loss']
    loss.backward()
    return loss.detach().cpu().double(), [p.grad.detach().cpu().double() for p in model.parameters()]


def assert_close(a: list[torch.Tensor], b: list[torch.Tensor], tolerance: float) -> None:
    """Tensors differ by at most a share of their length, taken all together."""
    difference = sum((x - y).square().sum() for x, y in zip(a, b, strict=True)).sqrt()
    assert difference <= tolerance * sum(y.square().sum() for y in b).sqrt(), float(difference)


@pytest.mark.gpu
def test_fp16_scales_the_loss():
    """As --amp: networks in fp16, losses near those of fp32, and a step that overflows is passed over."""
    expected, _ = loss_and_gradients(build('cuda'))
    model = build('cuda')
    wrapper = AmpOptimWrapper(loss_scale='dynamic', optimizer=torch.optim.SGD(model.parameters(), lr=0.01))
    seen = []
    model.backbone.register_forward_hook(lambda _, __, maps: seen.append(maps[-1].dtype))
    losses = [model.train_step(batch(), wrapper)['loss'] for _ in range(3)]
    assert seen == [torch.float16] * 3 and losses[0].dtype == torch.float32
    torch.testing.assert_close(losses[0].cpu().double(), expected, rtol=0.02, atol=0.02)
    assert all(p.isfinite().all() for p in model.parameters())
    before = [p.detach().clone() for p in model.backbone.parameters()]
    wrapper.loss_scaler = torch.amp.GradScaler('cuda', init_scale=2.0**60)
    model.train_step(batch(), wrapper)
    assert wrapper.loss_scaler.get_scale() == 2.0**59
    assert all(torch.equal(p, old) for p, old in zip(model.backbone.parameters(), before))
    wrapper.loss_scaler = torch.amp.GradScaler('cuda', init_scale=2.0**10)
    model.train_step(batch(), wrapper)
    assert not all(torch.equal(p, old) for p, old in zip(model.backbone.parameters(), before))


@ON_BOTH
def test_channels_last_changes_nothing(device):
    plain, fast = build(device).double(), build(device, channels_last=True).double()
    assert_close(*(loss_and_gradients(model)[1] for model in (fast, plain)), 1e-9)
    features = fast.float().embed(torch.randn(1, 3, 64, 64, device=device)).features  # cuDNN's fp64 has one layout
    assert features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()


@pytest.mark.gpu
def test_compiled_network_changes_nothing():
    """With code for the device; fp32 without TF32."""
    plain, fast = build('cuda'), build('cuda', compile=True)
    (loss, gradients), (compiled_loss, compiled_gradients) = map(loss_and_gradients, (plain, fast))
    torch.testing.assert_close(compiled_loss, loss, rtol=1e-3, atol=1e-4)
    assert_close(compiled_gradients, gradients, 0.02)
    assert list(fast.state_dict()) == list(plain.state_dict())


def small(cfg: Config, work_dir: Path, stop: int) -> Config:
    """The quickstart's pretraining, narrow and short."""
    cfg.work_dir, cfg.launcher, cfg.log_level = str(work_dir), 'none', 'WARNING'
    cfg.experiment_name = uuid.uuid4().hex  # MMEngine keeps logged curves by this name and the second
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=2, freeze_concepts_iters=1)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.num_scenes = 5
    cfg.param_scheduler = None
    # no Adam: it divides gradients by their own size, and enlarges rounding errors
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
    cfg.train_cfg.max_iters = cfg.default_hooks.checkpoint.interval = stop
    cfg.custom_hooks = []
    return cfg


def pretrain(work_dir: Path, stop: int, amp: bool = False, resume: bool = False) -> dict:
    cfg = small(Config.fromfile(PRETRAINING), work_dir, stop)
    cfg.resume = resume
    if amp:
        use_mixed_precision(cfg)
    build_runner(cfg).train()
    return load_checkpoint_file(str(work_dir / f'iter_{stop}.pth'))


def weights(checkpoint: dict) -> list[torch.Tensor]:
    state = checkpoint['state_dict']
    return [state[name].cpu().double() for name in sorted(state) if state[name].is_floating_point()]


@pytest.mark.gpu
@pytest.mark.parametrize('amp', [False, True])
def test_resuming_goes_on_on_the_card(tmp_path, amp):
    """To rounding: sums on a GPU have no fixed order."""
    whole = pretrain(tmp_path / 'whole', 6, amp=amp)
    pretrain(tmp_path / 'parts', 3, amp=amp)
    parts = pretrain(tmp_path / 'parts', 6, amp=amp, resume=True)
    assert_close(weights(parts), weights(whole), 0.05 if amp else 1e-3)
    assert all(
        parts['state_dict'][f'head.{name}'] == whole['state_dict'][f'head.{name}'] for name in ('steps', 'queue_count')
    )
    if amp:
        assert parts['optimizer']['loss_scaler']['scale'] == whole['optimizer']['loss_scaler']['scale'] > 1


@pytest.mark.gpu
def test_one_process_over_nccl(tmp_path):
    """As tools/dist_train.sh CONFIG 1: the weights of a run without a launcher."""
    alone = pretrain(tmp_path / 'alone', 3)
    cfg = small(Config.fromfile(PRETRAINING), tmp_path / 'nccl', 3)
    cfg.dump(tmp_path / 'small.py')
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), str(tmp_path / 'small.py'), '1']
    environment = dict(os.environ, PYTHON=sys.executable, PORT=str(free_port()))
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    saved = load_checkpoint_file(str(tmp_path / 'nccl' / 'iter_3.pth'))
    assert_close(weights(saved), weights(alone), 1e-3)


def two_steps(device: str) -> dict[str, torch.Tensor]:
    """Losses and weights of two steps on this process's share of four images."""
    world_size = dist.get_world_size() if dist.is_initialized() else 1
    rank = dist.get_rank() if dist.is_initialized() else 0
    head = dict(MODEL['head'], queue_length=200 // world_size)
    norm = dict(type='SyncBN' if device == 'cuda' else 'CPUSyncBN') if world_size > 1 else dict(type='BN')
    model = build(device, head=head, backbone=dict(MODEL['backbone'], norm_cfg=norm)).double()
    network = MMDistributedDataParallel(model, broadcast_buffers=False) if world_size > 1 else model
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    own, record = slice(rank * 4 // world_size, (rank + 1) * 4 // world_size), {}
    for step in range(2):
        inputs = model.data_preprocessor(batch(4, seed=step), training=True)
        views = inputs['inputs'].double().unflatten(0, (4, 3))[own].flatten(0, 1)
        loss = network(views, inputs['data_samples'][own], mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        record[f'loss {step}'] = loss.detach().cpu()
    return record | {name: p.detach().cpu() for name, p in model.named_parameters()}


def two_steps_in_two_processes(device: str) -> dict[str, torch.Tensor]:
    os.environ['LOCAL_RANK'] = '0'  # MMEngine takes it for the number of the card, of which there is one
    with process_group():
        return two_steps(device)


@pytest.mark.gpu
def test_two_processes_on_one_card(device='cuda'):
    """Over gloo: NCCL refuses two processes on one device. The CPU's are in ``test_distributed``."""
    (one,) = run_processes(two_steps, 1, device, start_method='spawn')
    for several in run_processes(two_steps_in_two_processes, 2, device, timeout=100, start_method='spawn'):
        assert several.keys() == one.keys()
        for name, value in one.items():
            torch.testing.assert_close(
                several[name], value, rtol=1e-6, atol=1e-9, msg=lambda text, n=name: f'{n}: {text}'
            )


@pytest.mark.gpu
@pytest.mark.parametrize('kind', PROBES)
def test_both_probes_train_and_test(tmp_path, kind):
    cfg = Config.fromfile(PROBES[kind])
    pretrain(tmp_path / 'vice', 2, amp=True)
    cfg.work_dir, cfg.launcher, cfg.log_level = str(tmp_path / kind), 'none', 'WARNING'
    cfg.experiment_name, cfg.custom_hooks = uuid.uuid4().hex, []
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.embedder_checkpoint = str(tmp_path / 'vice' / 'iter_2.pth')
    cfg.train_dataloader.dataset.num_scenes, cfg.train_dataloader.batch_size = 6, 2
    cfg.val_dataloader.dataset.num_scenes = cfg.test_dataloader.dataset.num_scenes = 3
    if kind == 'linear':
        cfg.train_cfg.update(max_iters=4, val_interval=4)
    runner = build_runner(cfg)
    runner.train()
    assert next(runner.model.parameters()).is_cuda
    metrics = runner.test()
    assert 0 < metrics['mIoU'] <= 100 and np.isfinite(metrics['aAcc'])


@pytest.mark.gpu
def test_predictions_equal_those_of_the_cpu(tmp_path):
    """Concepts of ViCE and the embeddings of a single image; pixels halfway between two may fall to either."""
    torch.save(dict(state_dict=build('cpu').state_dict(), meta={}), tmp_path / 'vice.pth')
    cfg = Config(dict(default_scope='mmvice', model=MODEL))
    image = np.random.default_rng(0).integers(0, 255, (70, 95, 3), dtype=np.uint8)
    models = {name: init_model(cfg, tmp_path / 'vice.pth', device=name) for name in ('cpu', 'cuda')}
    maps = {name: embed_image(model, image) for name, model in models.items()}
    assert maps['cuda'].features.is_cuda
    torch.testing.assert_close(maps['cuda'].features.cpu(), maps['cpu'].features, rtol=0.02, atol=0.02)
    concepts = [maps[name].argmax(model.head.concepts).cpu() for name, model in models.items()]
    assert (concepts[0] == concepts[1]).float().mean() > 0.98


@pytest.mark.gpu
@pytest.mark.skipif(not hasattr(faiss, 'StandardGpuResources'), reason='this FAISS is built without GPU support')
def test_faiss_on_the_card_finds_as_good_clusters():
    """Its clusters are as close as those that FAISS finds on the CPU."""
    points = np.random.default_rng(0).standard_normal((20_000, 32)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ours = ClusterProbeHead(32, num_classes=4, num_clusters=64).fit_centroids(points)
    on_gpu = faiss.Kmeans(32, 64, niter=30, seed=0, gpu=True, max_points_per_centroid=len(points))
    on_gpu.train(points)
    assert float(on_gpu.obj[-1]) / len(points) == pytest.approx(ours, rel=0.02)
