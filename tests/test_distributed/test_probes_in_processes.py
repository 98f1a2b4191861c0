"""Probes fitted by two processes are those that one fits."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from processes import free_port, process_group, run_processes

from mmvice.apis import build_runner
from mmvice.models import LinearProbeHead
from mmvice.structures import EmbeddingMap
from mmvice.utils.checkpoint import load_checkpoint_file

CLUSTER_PROBE = (
    Path(__file__).parents[2] / 'configs/cluster_probe/random-init_r18-w32_light-fpn_cluster-64_synthetic-96x128.py'
)


def fit_clusters(work_dir: Path, port: int, round_up: bool) -> float:
    """Fit six clusters to five images, so that two processes get three and two, or three each with ``round_up``.

    Returns the mIoU on three others.
    """
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES='')
    cfg = Config.fromfile(CLUSTER_PROBE)
    cfg.launcher = 'pytorch' if int(os.environ['WORLD_SIZE']) > 1 else 'none'
    cfg.work_dir, cfg.log_level = str(work_dir), 'WARNING'
    cfg.model.backbone.update(base_channels=8)
    cfg.model.decoder.in_channels = [8, 16, 32, 64]
    cfg.model.decode_head.num_clusters = 6
    cfg.train_cfg.max_samples = 500
    cfg.train_dataloader.update(batch_size=1, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.sampler.round_up = round_up
    cfg.train_dataloader.dataset.num_scenes = 5
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader.dataset.num_scenes = 3
    runner = build_runner(cfg)
    runner.train()
    return runner.message_hub.get_scalar('val/mIoU').current()


def test_two_processes_find_the_clusters_of_one(tmp_path):
    states, scores = [], []
    for count, round_up in ((1, False), (2, False), (2, True)):
        work_dir = tmp_path / f'{count} {round_up}'
        scores += run_processes(fit_clusters, count, work_dir, free_port(), round_up)
        states.append(load_checkpoint_file(work_dir / 'epoch_1.pth')['state_dict'])
    assert len(set(scores)) == 1 and scores[0] > 0
    assert states[0]['decode_head.centroids'].isfinite().all()
    for state in states[1:]:
        for name in ('decode_head.centroids', 'decode_head.cluster_classes'):
            assert torch.equal(state[name], states[0][name])


class Probed(torch.nn.Module):
    """A probe and what it probes, which learns, too."""

    def __init__(self, whiten: bool) -> None:
        super().__init__()
        self.embedder = torch.nn.Conv2d(6, 6, 1)
        self.head = LinearProbeHead(6, num_classes=3, num_filters=5, whiten=whiten)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(EmbeddingMap(self.embedder(inputs), (13, 18)))


def train_filters(whiten: bool) -> dict[str, torch.Tensor]:
    """Steps of a linear probe with filters on this process's share of four images; the result, by name."""
    world_size = dist.get_world_size() if dist.is_initialized() else 1
    rank = dist.get_rank() if dist.is_initialized() else 0
    own = slice(rank * 4 // world_size, (rank + 1) * 4 // world_size)
    torch.manual_seed(0)
    model = Probed(whiten).double()
    network = MMDistributedDataParallel(model) if world_size > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = {}
    for step in range(2):
        features = torch.randn(4, 6, 4, 5, dtype=torch.float64)
        labels = torch.randint(3, (4, 1, 13, 18))
        labels[0, 0, :9] = 255  # what has no class is unequal in the processes
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels[own]]
        loss = model.head.loss_by_feat(network(features[own]), samples)['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        result |= {f'{step}.{name}': parameter.grad.clone() for name, parameter in model.named_parameters()}
        optimizer.step()
    return result | model.state_dict()


def train_filters_alone_and_together(whiten: bool) -> tuple[dict, dict]:
    alone = train_filters(whiten)
    with process_group():
        return alone, train_filters(whiten)


@pytest.mark.parametrize('whiten', [False, True])
def test_two_processes_train_the_linear_probe_of_one(whiten):
    for alone, together in run_processes(train_filters_alone_and_together, 2, whiten):
        assert (
            together.keys() == alone.keys()
            and alone['0.head.filters.weight'].any()
            and alone['0.embedder.weight'].any()
        )
        for name, value in alone.items():
            # MMSegmentation divides by the number of pixels plus 1e-7, in every process
            torch.testing.assert_close(
                together[name], value, rtol=1e-9, atol=1e-13, msg=lambda text, name=name: f'{name}: {text}'
            )
