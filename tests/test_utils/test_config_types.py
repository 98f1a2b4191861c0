"""Types of a config are names or classes."""

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch.nn import SyncBatchNorm

from mmvice.apis import cli, use_mixed_precision, use_tta
from mmvice.apis.dist import _replace_sync_bn
from mmvice.apis.images import resize_of
from mmvice.datasets.transforms import Resize
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
    assert resize_of(cfg) == 128
    use_tta(cfg)
    assert cfg.model.module.test_cfg.seg_logits
    norm = ConfigDict(norm_cfg=dict(type=SyncBatchNorm))
    _replace_sync_bn(norm)
    assert norm.norm_cfg.type == 'CPUSyncBN'
