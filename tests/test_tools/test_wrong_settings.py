"""Settings that cannot work are told by tools/train.py and tools/test.py before the first step, with both sides."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope

from mmvice.cli.errors import explain
from mmvice.registry import MODELS

PROJECT = Path(__file__).parents[2]
CONFIGS = PROJECT / 'configs'
PRETRAIN = CONFIGS / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBE = CONFIGS / 'linear_probe' / 'vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
CLUSTERS = CONFIGS / 'cluster_probe' / 'vice_r18-w32_light-fpn_cluster-64_synthetic-96x128.py'
CAMVID = CONFIGS / 'linear_probe' / 'random-init_r18_light-fpn_linear-64-1k_camvid-96x128.py'

TINY = """
_base_ = [{base!r}]
log_level = 'WARNING'
model = dict(backbone=dict(base_channels=8), decoder=dict(in_channels=[8, 16, 32, 64], embed_dims=6))
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(num_scenes=4))
"""
TINY_PRETRAIN = """
model = dict(head=dict(num_concepts=8, queue_length=10))
train_cfg = dict(max_iters=1)
custom_hooks = []
"""
TINY_PROBE = """
model = dict(decode_head={head})
train_cfg = {loop}
val_cfg = val_dataloader = val_evaluator = None
test_dataloader = dict(dataset=dict(num_scenes=2))
"""


def write_config(path, base, part):
    """A config of this name on top of the tiny version of a config."""
    tiny = path.with_name(f'tiny_{path.name}')
    tiny.write_text(TINY.format(base=str(base)))
    path.write_text(f'_base_ = [{str(tiny)!r}]\n{part}')
    return path


@pytest.fixture
def pretrain(tmp_path):
    return write_config(tmp_path / 'pretrain.py', PRETRAIN, TINY_PRETRAIN)


@pytest.fixture
def probe(tmp_path):
    part = TINY_PROBE.format(head='dict(num_filters=4)', loop='dict(max_iters=1)')
    return write_config(tmp_path / 'probe.py', PROBE, part)


@pytest.fixture
def clusters(tmp_path):
    part = TINY_PROBE.format(head='dict(num_clusters=3)', loop='dict(max_samples=100)')
    return write_config(tmp_path / 'clusters.py', CLUSTERS, part)


@pytest.fixture
def weights(pretrain, tmp_path):
    """What the pretraining would save: a ViCE model with D = 6."""
    with DefaultScope.overwrite_default_scope('mmvice'):
        model = MODELS.build(Config.fromfile(pretrain).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'vice.pth')
    return tmp_path / 'vice.pth'


@pytest.fixture
def refused(tool, monkeypatch):
    """Run a tool that must fail without a step; give the sentence that its user reads."""

    def run(name, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(OptimWrapper, 'update_params', lambda *_: pytest.fail('a step was taken'))
            with pytest.raises(Exception) as error:
                tool(name, *arguments)
        assert not isinstance(error.value, pytest.fail.Exception), error.value
        message = explain(error.value)
        assert message is not None, repr(error.value)
        return message

    return run


def test_a_work_folder_that_cannot_be_written_to(refused, pretrain, tmp_path):
    (tmp_path / 'file').touch()
    for folder in ('file', 'file/run'):
        sentence = refused('train', pretrain, '--work-dir', tmp_path / folder)
        assert sentence.startswith(f'{tmp_path}/file') and 'cannot be written: ' in sentence
        assert sentence.endswith('; name another place by --work-dir DIR')


def test_the_settings_without_a_mistake_are_accepted(tool, pretrain, probe, clusters, weights):
    """Or the tests below would prove nothing."""
    tool('train', pretrain, '--work-dir', 'a')
    tool('train', probe, '--work-dir', 'b', '--cfg-options', f'model.embedder_checkpoint={weights}')
    tool('train', clusters, '--work-dir', 'c', '--cfg-options', 'model.embedder_checkpoint=a')
    tool('train', pretrain, '--work-dir', 'a', '--resume', '--cfg-options', 'train_cfg.max_iters=2')


@pytest.mark.parametrize('kind', ['probe', 'clusters'])
def test_a_probe_of_another_embedding_size_than_the_checkpoint(refused, request, weights, kind):
    options = [f'model.embedder_checkpoint={weights}', 'model.decoder.embed_dims=5']
    message = refused('train', request.getfixturevalue(kind), '--cfg-options', *options)
    assert str(weights) in message
    assert 'decoder.laterals.0.weight: (6, 8, 1, 1) in the checkpoint, (5, 8, 1, 1) in the model' in message


def test_a_probe_of_another_embedding_size_than_its_decoder(refused, probe):
    message = refused('train', probe, '--cfg-options', 'model.decode_head.in_channels=7')
    assert 'decoder.embed_dims=6, but decode_head.in_channels=7' in message


@pytest.mark.parametrize('kind', ['probe', 'clusters'])
@pytest.mark.parametrize('classes', [3, 27])
def test_a_probe_of_another_number_of_classes_than_the_data(refused, request, weights, kind, classes):
    options = [f'model.embedder_checkpoint={weights}', f'model.decode_head.num_classes={classes}']
    message = refused('train', request.getfixturevalue(kind), '--cfg-options', *options)
    assert f'model.decode_head.num_classes={classes}, but SyntheticScenesDataset of train_dataloader has 8' in message


def test_a_test_on_data_of_other_classes(refused, tool, probe, weights, tmp_path):
    tool('train', probe, '--work-dir', 'run', '--cfg-options', f'model.embedder_checkpoint={weights}')
    part = "test_dataloader = dict(dataset=dict(metainfo=dict(classes=['road', 'sky'])))\n"
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = [{str(probe)!r}]\n{part}')
    message = refused('test', other, tmp_path / 'run' / 'iter_1.pth')
    assert 'model.decode_head.num_classes=8, but SyntheticScenesDataset of test_dataloader has 2' in message


def test_validation_data_of_other_classes_are_told_at_the_start(refused, tmp_path, weights):
    part = 'val_dataloader = dict(dataset=dict(num_scenes=2, metainfo=dict(classes=["road", "sky"])))\n'
    config = write_config(tmp_path / 'val.py', PROBE, part)
    message = refused('train', config, '--cfg-options', f'model.embedder_checkpoint={weights}')
    assert 'num_classes=8, but SyntheticScenesDataset of val_dataloader has 2 classes (road, sky, ...)' in message


@pytest.mark.parametrize(
    'setting, message',
    [
        ('model.head.num_concepts=9', 'head.concepts: (8, 6) in the checkpoint, (9, 6) in the model'),
        ('model.head.queue_length=12', 'head.queue: (10, 6) in the checkpoint, (12, 6) in the model'),
        ('model.decoder.embed_dims=5', 'decoder.laterals.0.weight: (6, 8, 1, 1) in the checkpoint, (5, 8, 1, 1)'),
    ],
)
@pytest.mark.parametrize('how', [['--resume'], ['resume=True']])
def test_sizes_that_are_changed_in_a_run_that_goes_on(refused, tool, pretrain, setting, message, how):
    tool('train', pretrain, '--work-dir', 'run')
    arguments = [*how, '--cfg-options'] if how == ['--resume'] else ['--cfg-options', *how]
    told = refused('train', pretrain, '--work-dir', 'run', *arguments, setting, 'train_cfg.max_iters=2')
    assert message in told and 'iter_1.pth does not fit the model of this config' in told


@pytest.mark.parametrize(
    'setting, words',
    [
        ('model.embedder_checkpoint=gone.pth', ['there is no gone.pth', 'model.embedder_checkpoint', 'pretrain']),
        ('model.embedder_checkpoint=.', ['has no last_checkpoint']),
        ('load_from=gone.pth', ['no checkpoint file at gone.pth']),
    ],
)
def test_weights_that_are_not_there(refused, probe, weights, setting, words):
    options = [setting] if setting.startswith('model') else [setting, f'model.embedder_checkpoint={weights}']
    message = refused('train', probe, '--cfg-options', *options)
    assert all(word in message for word in words), message


def test_pretrained_weights_that_are_not_there(refused, pretrain):
    said = refused('train', pretrain, '--cfg-options', 'model.pretrained=gone.pth')
    assert 'there is no gone.pth, which model.pretrained names' in said and '--cfg-options' in said


def test_initial_weights_of_another_model_altogether(refused, tool, pretrain, weights, tmp_path):
    torch.save(dict(state_dict={'fc.weight': torch.zeros(2, 2)}), tmp_path / 'other.pth')
    message = refused('train', pretrain, '--cfg-options', f'load_from={tmp_path / "other.pth"}')
    assert 'none of its weights is one of the model' in message and 'unexpected: fc.weight' not in message[:200]
    partial = {k: v for k, v in torch.load(weights)['state_dict'].items() if k.startswith('backbone.')}
    torch.save(dict(state_dict=partial), tmp_path / 'partial.pth')
    tool('train', pretrain, '--work-dir', 'partial', '--cfg-options', f'load_from={tmp_path / "partial.pth"}')


def test_weights_of_a_backbone_alone_for_a_probe(refused, probe, weights, tmp_path):
    state = torch.load(weights)['state_dict']
    alone = {key: value for key, value in state.items() if key.startswith('backbone.')}
    torch.save(dict(state_dict=alone), tmp_path / 'alone.pth')
    message = refused('train', probe, '--cfg-options', f'model.embedder_checkpoint={tmp_path / "alone.pth"}')
    assert 'alone.pth' in message and "no weights for this config's decoder" in message


@pytest.mark.parametrize('kind', ['pretrain', 'probe'])
@pytest.mark.parametrize(
    'options, ours, theirs',
    [
        (['model.decoder.in_channels=[8,16,32,65]'], '[8, 16, 32, 64]', 'in_channels=[8, 16, 32, 65]'),
        (['model.decoder.in_channels=[8,16,32]'], '4 feature maps', 'in_channels=[8, 16, 32]'),
        (['model.backbone.depth=50'], '[32, 64, 128, 256]', 'in_channels=[8, 16, 32, 64]'),
        (['model.backbone.out_indices=[1,2,3]'], '[16, 32, 64]', 'in_channels=[8, 16, 32, 64]'),
    ],
)
def test_a_decoder_that_does_not_fit_the_backbone(refused, request, kind, options, ours, theirs):
    message = refused('train', request.getfixturevalue(kind), '--cfg-options', *options)
    assert message.startswith('model.decoder does not fit the backbone: ResNet gives ') and ours in message
    assert f'but LightFPN was configured for {theirs};' in message
    assert message.endswith('channels agree, or leave in_channels out'), 'the error of torch adds nothing'


SEGMENTOR = """
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(96, 128), pad_val=0, seg_pad_val=255),
    backbone=dict(type='ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN')),
    decode_head=dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=8),
    auxiliary_head=dict(type='FCNHead', in_channels=32, in_index=2, channels=8, num_convs=1, num_classes=8),
)
train_cfg = dict(max_iters=1)
val_cfg = val_dataloader = val_evaluator = None
"""


@pytest.mark.parametrize('head, index', [('decode_head', 2), ('auxiliary_head', 1)])
def test_heads_of_a_fine_tuned_segmentor_that_do_not_fit_its_backbone(refused, tool, tmp_path, head, index):
    config = write_config(tmp_path / 'segmentor.py', PROBE, SEGMENTOR)
    if head == 'decode_head':
        tool('train', config)
    message = refused('train', config, '--cfg-options', f'model.{head}.in_index={index}')
    channels = dict(decode_head=64, auxiliary_head=32)[head]
    assert message.startswith(f'model.{head} does not fit the backbone: ResNet gives 4 feature maps with the channels')
    assert f'[8, 16, 32, 64], but FCNHead was configured for in_channels={channels}, in_index={index}' in message


def test_classes_of_a_fine_tuned_segmentor(refused, tmp_path):
    config = write_config(tmp_path / 'segmentor.py', PROBE, SEGMENTOR)
    message = refused('train', config, '--cfg-options', 'model.auxiliary_head.num_classes=27')
    assert (
        'model.auxiliary_head.num_classes=27, but SyntheticScenesDataset of train_dataloader has 8 classes' in message
    )


@pytest.mark.parametrize(
    'option, words',
    [
        ('optim_wrapper.optimizer.learning_rate=1', ["argument 'learning_rate'", 'it takes params, lr, betas']),
        ('optim_wrapper.optimizer.type=Adaam', ["optim_wrapper.optimizer.type='Adaam' is not an optimizer"]),
        ('optim_wrapper.clip=1', ["argument 'clip'", 'OptimWrapper']),
        (
            'optim_wraper.optimizer.lr=1',
            ["'optim_wraper' is not a setting", "did you mean 'optim_wrapper'?", 'pretrain.py'],
        ),
        ('model.head.num_concept=9', ["argument 'num_concept'", 'num_concepts']),
        ('model.head.type=DenseSwavHead', ['DenseSwavHead is not in the mmvice::model registry']),
        ('model.head.epsilon=0', ['epsilon must be positive', '0']),
        ('train_dataloader.batch_size=0', ['train_dataloader.batch_size must be at least 1 image, got 0']),
        ('train_cfg.max_iter=9', ["argument 'max_iter'", 'max_iters']),
        ('train_dataloader.dataset.pipeline.1.num_views=1', ['num_views must be an integer of at least 2', 'got 1']),
        ('train_dataloader.dataset.pipeline.1.view_size=0', ['view_size must be a positive integer', 'got 0']),
        ('train_dataloader.dataset.pipeline.1.scale_range=[2,1]', ['scale_range must be (low, high)', '[2, 1]']),
        ('train_dataloader.dataset.pipeline.0.region_size=0', ['region_size', '0']),
        ('train_dataloader.dataset.pipeline.2.max_ratio=2', ['max_ratio must lie in [0, 1], got 2']),
        ('train_dataloader.dataset.pipeline.88.max_ratio=2', ['Index 88 exceeds the length of list']),
        ('train_dataloader.dataset.pipeline.6.min_regions=100000', ['gave nothing to learn from', 'min_regions']),
    ],
)
def test_settings_that_cannot_work(refused, pretrain, option, words):
    options = [option] + ['train_dataloader.dataset.max_refetch=5'] * ('min_regions' in option)
    message = refused('train', pretrain, '--cfg-options', *options)
    assert all(word in message for word in words), message


LOSS = 'model.decode_head.loss_decode'


@pytest.mark.parametrize(
    'kind, options, words',
    [
        ('probe', [f'{LOSS}.type=CrossEntropyLoss', f'{LOSS}.class_weight=[1,2]'], ['has 2 values', 'num_classes=8']),
        (
            'probe',
            [f'{LOSS}.type=LovaszLoss', f'{LOSS}.reduction=none', f'{LOSS}.class_weight=[1,1,1,1,1,1,1,1,1]'],
            ['loss_decode.class_weight has 9 values', 'num_classes=8'],
        ),
        (
            'probe',
            [f'{LOSS}.class_weight=[1,2]'],
            [f'{LOSS} has no type, but class_weight=[1, 2]: add {LOSS}.type=CrossEntropyLoss, the default'],
        ),
        ('probe', [f'{LOSS}.loss_weight=2.0'], [f'add {LOSS}.type', 'loss_weight=2.0']),
        (
            'probe',
            ['model.decode_head.class_weight=[1,2]'],
            ["argument 'class_weight'", "write loss_decode=dict(type='CrossEntropyLoss', class_weight=...)"],
        ),
        ('probe', ['model.decode_head.sampler.thresh=1'], ['decode_head.sampler has no type, but thresh=1: add model']),
        ('probe', [f'{LOSS}=[]'], [f'{LOSS} is an empty list: name a loss']),
        (
            'probe',
            [f'{LOSS}.type=CrossEntropyLoss', f'{LOSS}.class_weight=gone.npy'],
            ["CrossEntropyLoss cannot be built with class_weight='gone.npy'", 'No such file'],
        ),
        (
            'pretrain',
            ['train_dataloader.dataset.type=None'],
            ['add train_dataloader.dataset.type, the name of its class'],
        ),
        (
            'pretrain',
            ['default_hooks.checkpoint.backend_args.backend=nope'],
            ["backend_args={'backend': 'nope'} give no storage", "backend must be one of 'local', "],
        ),
        ('pretrain', ['default_hooks.checkpoint.out_dir=s3://a/b'], ['no storage for files', 'petrel_client']),
        ('probe', [f'{LOSS}.type=FocalLoss'], [f'{LOSS} (FocalLoss) cannot compute the first step', "'FocalLoss'"]),
        (
            'probe',
            [f'{LOSS}.type=CrossEntropyLoss', f'{LOSS}.reduction=x'],
            ['x is not a valid value', "reduction='x'"],
        ),
        ('probe', ['model.decode_head.ignore_index=a'], ["'ignore_index'", 'must be int']),
        ('probe', ['model.decode_head.num_filters=2.5'], ['num_filters must be a whole number', 'got 2.5']),
        ('probe', ['compile=True'], ['compile=True', 'ProbeSegmentor does not allow', 'model.compile']),
        ('pretrain', ['compile.backend=eager'], ["'backend': 'eager'", 'ViCE does not allow']),
        ('pretrain', ['compile=3'], ['compile must be True, False or a dict', 'got 3']),
        ('pretrain', ['model.backbone.depth=19'], ['ResNet cannot be built with depth=19', 'invalid depth 19']),
        ('pretrain', ['model.backbone.norm_cfg.type=GN'], ['ResNet cannot be built', 'does not hold']),
        ('pretrain', ['model.head.temperature=a'], ['DenseSwAVHead cannot be built with', "temperature='a'"]),
        ('pretrain', ['optim_wrapper.optimizer.lr=-1'], ['AdamW cannot be built with lr=-1', 'Invalid learning rate']),
        ('pretrain', ['optim_wrapper.accumulative_counts=a'], ['OptimWrapper cannot be built', "'a'"]),
        ('pretrain', ['optim_wrapper.paramwise_cfg.custom_keys.head=3'], ['custom_keys.head must be a dict', 'got 3']),
        ('pretrain', ['train_dataloader.num_workers=-1'], ['num_workers', '-1']),
        ('pretrain', ['train_cfg.max_iters=0'], ['train_cfg.max_iters must be a number above 0, got 0']),
        ('pretrain', ['randomness.seed=a'], ['randomness.seed must be a whole number', "'a'"]),
        ('pretrain', ['log_level=LOUD'], ['log_level must be one of DEBUG, INFO', "'LOUD'"]),
        ('clusters', ['train_cfg.seed=-1'], ['seed must be a whole number from 0', '-1']),
        ('clusters', ['model.decode_head.kmeans_iters=2.5'], ['kmeans_iters must be a whole number', '2.5']),
    ],
)
def test_values_that_torch_would_refuse(refused, request, kind, options, words):
    random = [] if kind == 'pretrain' else ['model.embedder_checkpoint=None']
    message = refused('train', request.getfixturevalue(kind), '--cfg-options', *random, *options)
    assert all(word in message for word in words), message
    assert len(message.splitlines()) == 1


POOLING = dict(
    seg_head="dict(type='DepthwiseSeparableASPPHead', in_channels=64, in_index=3, channels=8, dilations=(1, 2), "
    "c1_in_channels=8, c1_channels=4, norm_cfg=dict(type='BN'))",
    pyramid="dict(type='PSPHead', in_channels=64, in_index=3, channels=8, pool_scales=(1, 2), "
    "norm_cfg=dict(type='BN'))",
)


@pytest.mark.parametrize('head', POOLING)
def test_batch_norm_of_one_value_per_channel(refused, tool, probe, head):
    decoder = f"dict(_delete_=True, type='SegHeadDecoder', embed_dims=6, head={POOLING[head]})"
    probe.write_text(f'{probe.read_text()}\nmodel = {{**model, **dict(decoder={decoder}, frozen=())}}\n')
    options = ['model.embedder_checkpoint=None', 'train_dataloader.batch_size']
    message = refused('train', probe, '--cfg-options', options[0], f'{options[1]}=1')
    assert (
        message.startswith('batch norm in model.decoder.head.') and 'got input size torch.Size([1, 8, 1, 1])' in message
    )
    assert 'raise the batch_size' in message and 'drop_last' in message
    tool('train', probe, '--work-dir', 'two', '--cfg-options', options[0], f'{options[1]}=2')


def test_batch_norm_of_one_value_per_channel_in_small_images(refused, tmp_path):
    part = SEGMENTOR.replace('size=(96, 128)', 'size=(32, 32)')
    pipeline = "[dict(type='Resize', scale=(32, 32), keep_ratio=False), dict(type='PackSegInputs')]"
    config = write_config(
        tmp_path / 'small.py', PROBE, f'{part}\ntrain_dataloader = dict(dataset=dict(pipeline={pipeline}))'
    )
    message = refused('train', config, '--cfg-options', 'train_dataloader.batch_size=1')
    assert message.startswith('batch norm in model.backbone.layer4.0.bn1 gets one value per channel')


@pytest.mark.parametrize('name', ['train', 'test'])
def test_mistyped_names_of_settings(refused, probe, weights, name):
    probe.write_text(f'{probe.read_text()}\ntest_dataloder = dict(batch_size=2)\n')
    message = refused(name, probe, *[weights] * (name == 'test'))
    assert "'test_dataloder' is not a setting" in message and "did you mean 'test_dataloader'?" in message


def test_learning_rates_of_parameters_that_are_not_there(tool, pretrain, tmp_path):
    """No error, since configs of OpenMMLab share such keys, but said."""
    keys = 'optim_wrapper.paramwise_cfg.custom_keys'
    options = [f'{keys}.backone.lr_mult=0.1', f'{keys}.head.lr_mult=0.1']
    tool('train', pretrain, '--work-dir', 'run', '--cfg-options', *options)
    [log] = (tmp_path / 'run').glob('*/*.log')
    assert f"{keys}: 'backone' is part of no parameter's name" in log.read_text()
    assert "'head' is part of no" not in log.read_text()


def test_steps_in_the_wrong_order_are_told_by_a_worker_too(refused, pretrain, tmp_path):
    changed = tmp_path / 'changed.py'
    steps = Config.fromfile(pretrain).train_dataloader.dataset.pipeline
    del steps[0]
    changed.write_text(f'_base_ = [{str(pretrain)!r}]\ntrain_dataloader = dict(dataset=dict(pipeline={steps!r}))\n')
    for workers in (0, 1):
        options = [f'train_dataloader.num_workers={workers}']
        message = refused('train', changed, '--cfg-options', *options)
        assert "ContextualViewCrop needs 'superpixels'; put SuperpixelSLIC or SuperpixelGrid before it" in message


def test_a_probe_without_data(refused, tmp_path):
    message = refused('train', CAMVID, '--cfg-options', f'train_dataloader.dataset.data_root={tmp_path}/nowhere')
    assert f"no folder '{tmp_path}/nowhere/images/train'" in message and 'CamVidDataset' in message


def test_a_piece_of_a_config(refused):
    message = refused('train', CONFIGS / '_base_' / 'models' / 'r18_light-fpn.py')
    assert 'has no train_dataloader, train_cfg, optim_wrapper, so there is nothing to train' in message


def start(name, monkeypatch, capsys, *arguments):
    """Run a tool as a program; give its exit status and what it wrote to stderr."""
    monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
    with pytest.raises(BaseException) as stop:
        runpy.run_path(str(PROJECT / 'tools' / f'{name}.py'), run_name='__main__')
    return stop.value, capsys.readouterr().err


def test_the_last_line_is_the_sentence_and_nothing_else_is_said(tool, pretrain, monkeypatch, capsys):
    stop, said = start('train', monkeypatch, capsys, pretrain, '--cfg-options', 'model.head.epsilon=0')
    assert isinstance(stop, SystemExit) and stop.code == 1
    assert said.splitlines()[-1] == 'error: epsilon must be positive, got 0'
    assert 'Traceback' not in said


def test_a_traceback_is_there_for_who_asks(tool, pretrain, monkeypatch, capsys):
    arguments = [pretrain, '--traceback', '--cfg-options', 'model.head.epsilon=0']
    stop, said = start('train', monkeypatch, capsys, *arguments)
    assert isinstance(stop, ValueError) and stop.__traceback__ is not None and 'error:' not in said


def test_errors_of_programming_keep_their_traceback(tool, pretrain, tmp_path, monkeypatch, capsys):
    (tmp_path / 'broken_module.py').write_text('value = 1 / 0\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    config = tmp_path / 'broken.py'
    config.write_text(f"_base_ = [{str(pretrain)!r}]\ncustom_imports = dict(imports=['broken_module'])\n")
    stop, said = start('train', monkeypatch, capsys, config)
    assert isinstance(stop, ZeroDivisionError) and 'error:' not in said
