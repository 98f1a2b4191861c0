"""Frozen parts: in real training steps not one bit of them moves, and they cost a forward pass and nothing else."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from checkpoints import assert_same_training
from mmengine.config import Config
from mmengine.registry import DefaultScope
from processes import free_port, run_processes
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmvice.apis import build_runner
from mmvice.registry import MODELS
from mmvice.utils.checkpoint import load_checkpoint_file

CONFIG = Path(__file__).parents[2] / 'configs' / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
RESNET = dict(type='ResNet', depth=18, base_channels=8)
SWIN = dict(
    type='SwinTransformer',
    embed_dims=8,
    depths=(1, 1, 1, 1),
    num_heads=(1, 1, 2, 2),
    drop_rate=0.5,
    drop_path_rate=0.5,
)
BOTH, LEFT = ('backbone', 'decoder'), dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.1)
OPTIMIZERS = {
    'SGD': LEFT,
    'AdamW': dict(type='AdamW', lr=1e-2, weight_decay=0.5),
    'LARS': dict(type='mmpretrain.LARS', lr=0.3, momentum=0.9, weight_decay=0.1),
}


def build(frozen=('backbone',), kind='ViCE', backbone=RESNET, decoder=None, **model):
    head = dict(type='DenseSwAVHead', num_concepts=4) if kind == 'ViCE' else dict(type='LinearProbeHead', num_classes=3)
    name = 'head' if kind == 'ViCE' else 'decode_head'
    decoder = decoder or dict(type='LightFPN', embed_dims=8)
    with DefaultScope.overwrite_default_scope('mmvice'):
        return MODELS.build(dict(type=kind, backbone=backbone, decoder=decoder, frozen=frozen, **{name: head}, **model))


def with_norm(embed_dims=8):
    """A decoder with batch norm and dropout."""
    head = dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1, norm_cfg=dict(type='BN'))
    return dict(type='SegHeadDecoder', head=head, embed_dims=embed_dims)


def config(work_dir, frozen=('backbone',), stop=4, optimizer='SGD', wrapper=None, decoder=None, **settings):
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.launcher, cfg.log_level = str(work_dir), 'none', 'ERROR'
    cfg.randomness.seed = 0
    cfg.model.backbone = dict(RESNET, norm_cfg=dict(type='BN'))
    cfg.model.decoder, cfg.model.frozen = decoder or dict(type='LightFPN', embed_dims=8), frozen
    cfg.model.head.update(num_concepts=8, queue_length=30, queue_start_iter=1, freeze_concepts_iters=1)
    cfg.model.head.pop('embed_dims', None)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.num_scenes = 5
    cfg.param_scheduler[0].end = 4  # also of a run that stops before
    cfg.optim_wrapper = dict(dict(type='OptimWrapper') | (wrapper or {}), optimizer=OPTIMIZERS[optimizer])
    cfg.train_cfg.max_iters, cfg.default_hooks.checkpoint.interval = stop, stop
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    cfg.merge_from_dict(settings)
    return cfg


def part(state, name):
    return {key: value for key, value in state.items() if key.startswith(f'{name}.')}


def moved(before, after, name):
    before, after = part(before, name), part(after, name)
    assert before.keys() == after.keys() and before
    return [key for key in before if not torch.equal(before[key], after[key])]


def train(cfg):
    """Train; give the state before and after, and what the checkpoint has."""
    runner = build_runner(cfg)
    model = getattr(runner.model, 'module', runner.model)
    before = {}
    model.init_weights, own = lambda: (own(), before.update(_copy(model))), model.init_weights
    runner.train()
    if dist.is_initialized():
        dist.barrier()  # the first process has written the checkpoint
    saved = load_checkpoint_file(str(Path(cfg.work_dir) / f'iter_{cfg.train_cfg.max_iters}.pth'))
    return before, _copy(model), saved, runner


def _copy(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def names_with_state(model, saved):
    """Parameters that the optimizer keeps something of, as it counts them in a checkpoint."""
    groups = saved['optimizer']['param_groups']
    order = [index for group in groups for index in group['params']]
    parameters = [name for name, _ in model.named_parameters()]
    assert len(order) == len(parameters)
    return {parameters[order.index(index)] for index in saved['optimizer']['state']}


CASES = {
    'SGD': dict(),
    'AdamW': dict(optimizer='AdamW'),
    'LARS': dict(optimizer='LARS'),
    'AMP': dict(wrapper=dict(type='BFloat16OptimWrapper')),
    'accumulation': dict(wrapper=dict(accumulative_counts=2)),
    'channels last, compiled': dict(model=dict(channels_last=True, compile=dict(backend='eager'))),
}


@pytest.mark.parametrize(
    'case', ['SGD', *(pytest.param(case, marks=pytest.mark.slow) for case in CASES if case != 'SGD')]
)
def test_no_bit_of_a_frozen_backbone_moves_in_a_run(case, tmp_path):
    before, after, saved, runner = train(config(tmp_path, **CASES[case]))
    assert moved(before, after, 'backbone') == []
    assert moved(before, saved['state_dict'], 'backbone') == moved(before, part_of_average(saved), 'backbone') == []
    assert len(moved(before, after, 'decoder')) > 4 and 'head.concepts' in moved(before, after, 'head')
    kept = names_with_state(runner.model, saved)
    assert {name.partition('.')[0] for name in kept} == {'decoder', 'head'}
    norms = [module for module in runner.model.backbone.modules() if isinstance(module, _NormBase)]
    assert len(norms) > 15 and not any(module.training or module.num_batches_tracked for module in norms)


def part_of_average(saved):
    """The averaged weights of a run with EMAHook, of which the model's own are kept aside."""
    return {key.removeprefix('module.'): value for key, value in saved['ema_state_dict'].items()}


def test_the_cases_above_can_fail(tmp_path):
    """A backbone that learns moves in every weight and statistic."""
    before, after, saved, runner = train(config(tmp_path, frozen=()))
    assert set(moved(before, after, 'backbone')) == part(before, 'backbone').keys()
    assert any(name.startswith('backbone.') for name in names_with_state(runner.model, saved))


def test_a_frozen_decoder_lets_the_backbone_learn(tmp_path):
    before, after, _, runner = train(config(tmp_path, frozen=('decoder',), decoder=with_norm()))
    assert moved(before, after, 'decoder') == [] and any('running_mean' in key for key in part(before, 'decoder'))
    assert 'backbone.conv1.weight' in moved(before, after, 'backbone')
    assert 'backbone.bn1.running_mean' in moved(before, after, 'backbone')
    assert not any(module.training for module in runner.model.decoder.modules())


@pytest.mark.slow
def test_a_run_with_a_frozen_backbone_resumes_bit_for_bit(tmp_path):
    whole = train(config(tmp_path / 'whole', optimizer='AdamW'))[2]
    train(config(tmp_path / 'parts', optimizer='AdamW', stop=2))
    parts = train(config(tmp_path / 'parts', optimizer='AdamW', resume=True))[2]
    assert_same_training(whole, parts)


def in_processes(work_dir, port):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES='')
    torch.manual_seed(0)
    cfg = config(work_dir, launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='gloo')))
    cfg.model.backbone.norm_cfg = dict(type='SyncBN')
    before, after, _, runner = train(cfg)
    return moved(before, after, 'backbone'), moved(before, after, 'decoder'), after, type(runner.model).__name__


@pytest.mark.slow
def test_two_processes_leave_it_alone_too(tmp_path):
    """With batch norms of all processes, and no word on parameters that get no gradient."""
    results = run_processes(in_processes, 2, tmp_path, free_port())
    for backbone, decoder, after, wrapper in results:
        assert backbone == [] and len(decoder) > 4 and wrapper == 'MMDistributedDataParallel'
        assert all(torch.equal(after[key], results[0][2][key]) for key in part(after, 'decoder'))


@pytest.mark.parametrize('kind', ['ViCE', 'ProbeSegmentor'])
@pytest.mark.parametrize('frozen', [('backbone',), ('decoder',), BOTH, ()], ids=str)
def test_a_frozen_part_stays_in_evaluation(kind, frozen):
    model = build(frozen, kind, SWIN)
    for mode in (True, False, True):
        model.train(mode)
        for name in ('backbone', 'decoder'):
            learns = name not in frozen
            assert all(module.training == (mode and learns) for module in getattr(model, name).modules())
            assert all(parameter.requires_grad == learns for parameter in getattr(model, name).parameters())
    assert model.training and model.get_submodule('head' if kind == 'ViCE' else 'decode_head').training


@pytest.mark.parametrize('kind', ['ViCE', 'ProbeSegmentor'])
def test_dropout_and_drop_path_are_off(kind):
    """Were they not, two passes in training mode would differ, as they do where the backbone learns."""
    images = torch.randn(2, 3, 64, 64)
    frozen, learning = build(('backbone',), kind, SWIN).train(), build((), kind, SWIN).train()
    assert torch.equal(*(frozen.embed(images).features for _ in range(2)))
    assert not torch.equal(*(learning.embed(images).features for _ in range(2)))


def saved_elements(model, images):
    """Numbers that autograd keeps for a backward pass while images are embedded, without parameters."""
    own, seen, count = {p.data_ptr() for p in model.parameters()}, set(), 0

    def pack(tensor):
        nonlocal count
        if tensor.data_ptr() not in own | seen:
            seen.add(tensor.data_ptr())
            count += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = model.embed(images).features
    return count, features


@pytest.mark.parametrize('backbone', [RESNET, SWIN], ids=['ResNet', 'Swin'])
def test_autograd_saves_nothing_of_a_frozen_backbone(backbone):
    images, seen = torch.randn(2, 3, 64, 64), []
    model = build(('backbone',), backbone=backbone).train()
    model.backbone.register_forward_hook(lambda _, __, maps: seen.extend(maps))
    count, features = saved_elements(model, images)
    assert features.requires_grad and len(seen) == 4
    assert not any(one.requires_grad or one.grad_fn for one in seen)
    assert count <= 2 * (sum(one.numel() for one in seen) + features.numel()), 'maps, for the weights of the decoder'
    assert saved_elements(build((), backbone=backbone).train(), images)[0] > 3 * count
    both, features = saved_elements(build(BOTH, backbone=backbone).train(), images)
    assert both == 0 and not features.requires_grad
    assert saved_elements(build(('decoder',), backbone=backbone).train(), images)[1].requires_grad


def test_images_that_ask_for_gradients_get_them_where_nothing_is_frozen():
    images = torch.randn(1, 3, 64, 64, requires_grad=True)
    build(()).embed(images).features.sum().backward()
    assert images.grad.abs().sum() > 0
    assert not build(BOTH).embed(images).features.requires_grad


def test_a_network_of_timm_stays_as_it_is_too():
    pytest.importorskip('timm')
    encoder = dict(type='TimmEncoder', name='test_vit', drop_path_rate=0.5, drop_rate=0.5)
    model = build(backbone=encoder, decoder=dict(type='SubpixelDecoder', embed_dims=8)).train()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(*(model.embed(images).features for _ in range(2)))
    model.embed(images).features.sum().backward()
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())
    assert isinstance(model.backbone.model, nn.Module) and not model.backbone.model.training
