"""Types of a config are names or classes."""

import numpy as np
import pytest
from mmengine.config import Config, ConfigDict
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch.nn import SyncBatchNorm

from mmvice.cli import settings as cli
from mmvice.cli import use_mixed_precision, use_tta
from mmvice.datasets.network_scale import NetworkScale
from mmvice.datasets.transforms import Resize
from mmvice.engine.cpu_processes import _replace_sync_bn
from mmvice.experiments.checks import differences
from mmvice.experiments.configs import load
from mmvice.experiments.logs import read_probe
from mmvice.models import ProbeSegmentor


@pytest.mark.parametrize('kind', ['OptimWrapper', OptimWrapper, 'mmengine.optim.OptimWrapper', AmpOptimWrapper])
@pytest.mark.parametrize(
    'device, taken',
    [('cpu', 'mmvice.BFloat16OptimWrapper'), ('mps', 'mmvice.BFloat16OptimWrapper'), ('cuda', 'AmpOptimWrapper')],
)
def test_mixed_precision_knows_the_wrapper_and_the_device(monkeypatch, kind, device, taken):
    monkeypatch.setattr(cli, 'get_device', lambda: device)
    cfg = Config(dict(optim_wrapper=dict(type=kind)))
    use_mixed_precision(cfg)
    assert cfg.optim_wrapper.type == taken


def test_a_probe_a_step_and_a_norm_are_told_by_their_classes():
    cfg = Config(
        dict(
            model=dict(type=ProbeSegmentor),
            tta_model=dict(type='SegTTAModel'),
            tta_pipeline=[],
            test_dataloader=dict(dataset=dict(pipeline=[dict(type=Resize, scale=(128, 96))])),
        )
    )
    image = np.zeros((40, 40, 3), np.uint8)
    assert NetworkScale(cfg)(image).shape == (96, 128, 3)
    use_tta(cfg)
    assert cfg.model.module.test_cfg.seg_logits
    norm = ConfigDict(norm_cfg=dict(type=SyncBatchNorm))
    _replace_sync_bn(norm)
    assert norm.norm_cfg.type == 'CPUSyncBN'


LOOP = """
from mmvice.engine.loops import ClusterFitLoop
from mmvice.models import LightFPN

train_cfg = dict(type=ClusterFitLoop)
model = dict(decoder=dict(type=LightFPN, embed_dims=8))
"""


def test_the_paper_and_the_benchmark_read_configs_of_classes(tmp_path):
    """Their copies of a config hold the classes by their full names."""
    file = tmp_path / 'probe.py'
    file.write_text(LOOP)
    cfg = load(file)
    for own in (cfg, Config.fromfile(file), load(file, {'train_cfg.seed': 1})):
        (tmp_path / 'now/vis_data').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'now/vis_data/scalars.json').write_text('{"mIoU": 40.0, "step": 1}')
        run = read_probe(tmp_path, own)
        assert (run.total, run.finished, run.metrics['mIoU']) == (1, True, 40)
    named = dict(decoder=dict(type='LightFPN', embed_dims=8), backbone={})
    assert not [*differences('a', named, 'b', cfg.model)]
    named['decoder']['type'] = 'SegHeadDecoder'
    assert len([*differences('a', named, 'b', cfg.model)]) == 1
