"""A mistyped setting is told from a variable of the config's own."""

import pytest
from mmengine.config import Config

from mmvice.engine.checks.settings import SETTINGS, check_setting_names, check_setting_values


@pytest.mark.parametrize(
    'name, meant',
    [
        ('optim_wraper', 'optim_wrapper'),
        ('optimizer_wrapper', 'optim_wrapper'),
        ('train_dataloder', 'train_dataloader'),
        ('trian_dataloader', 'train_dataloader'),
        ('val_data_loader', 'val_dataloader'),
        ('train_cgf', 'train_cfg'),
        ('train_config', 'train_cfg'),
        ('modle', 'model'),
        ('Model', 'model'),
        ('workdir', 'work_dir'),
        ('custom_hook', 'custom_hooks'),
        ('defualt_hooks', 'default_hooks'),
        ('param_schedulers', 'param_scheduler'),
        ('load_form', 'load_from'),
        ('tta_piepline', 'tta_pipeline'),
        ('runer_type', 'runner_type'),
    ],
)
def test_near_misses_are_named_with_what_was_meant(tmp_path, name, meant):
    file = tmp_path / 'mine.py'
    file.write_text(f'# mine\n{name} = dict(a=1)\nmodel = dict(type="ViCE")\n')
    with pytest.raises(
        ValueError, match=rf"^'{name}' is not a setting, and nothing in .*mine\.py uses.* mean '{meant}'"
    ):
        check_setting_names(Config.fromfile(file))


def test_a_mistake_in_a_base_or_an_option_is_found_too(tmp_path):
    (tmp_path / 'base.py').write_text('train_dataloder = dict(batch_size=4)\n')
    (tmp_path / 'leaf.py').write_text("_base_ = ['base.py']\nmodel = dict()\n")
    with pytest.raises(ValueError, match="mean 'train_dataloader'"):
        check_setting_names(Config.fromfile(tmp_path / 'leaf.py'))
    cfg = Config(dict(model=dict()))
    check_setting_names(cfg)
    cfg.merge_from_dict({'optim_wraper.optimizer.lr': 1})
    with pytest.raises(ValueError, match="nothing in the config uses it: did you mean 'optim_wrapper'"):
        check_setting_names(cfg)


OWN = """
crop_size = (64, 64)
embed_dims = 128
lr = 0.1
norm_cfg = dict(type='SyncBN')
dataset_type = 'CamVidDataset'
data_root = 'data'
train_pipeline = []
val_pipeline = test_pipeline = fit_pipeline = []
optimizer = dict(type='SGD')
vis_backends = []
train_dataset = val_dataset = dict()
custom_keys = paramwise_cfg = options_cfg = dict()
data = runner = evaluation = strategy = resume_from = checkpoint = checkpoint_file = metainfo = None
img_scale = train_img_scale = val_ann = warmup_epochs = num_stages = total_iters = None
"""


def test_variables_of_a_config_are_its_own_affair(tmp_path):
    """Those in configs of MMSegmentation and MMPretrain that come nearest to settings are among them."""
    (tmp_path / 'own.py').write_text(OWN)
    check_setting_names(Config.fromfile(tmp_path / 'own.py'))


def test_a_near_miss_that_is_used_is_a_variable(tmp_path):
    (tmp_path / 'base.py').write_text("train_loader = dict(batch_size=2)\ntest_cfgs = 'x'\n")
    leaf = """
_base_ = ['base.py']
train_dataloader = {{_base_.train_loader}}
train_config = dict(max_iters=10)
train_cfg = dict(type='IterBasedTrainLoop', **train_config)
val_dataloader = dict(a=train_config == 2)
"""
    (tmp_path / 'leaf.py').write_text(leaf)
    with pytest.raises(ValueError, match="'test_cfgs' is not a setting"):
        check_setting_names(Config.fromfile(tmp_path / 'leaf.py'))
    (tmp_path / 'leaf.py').write_text(f'{leaf}test_cfg = dict(a=_base_.test_cfgs)\n')
    check_setting_names(Config.fromfile(tmp_path / 'leaf.py'))


@pytest.mark.parametrize(
    'name', ['small_val_dataloader', 'val_dataloader_small', 'my_optim_wrapper', 'default_hooks_2', 'long_train_cfg']
)
def test_a_whole_setting_among_other_words_is_a_variable(tmp_path, name):
    """As in what a run of an earlier version wrote down, whose setting has been edited since."""
    (tmp_path / 'edited.py').write_text(f'{name} = dict(a=1)\nval_dataloader = dict(a=2)\n')
    check_setting_names(Config.fromfile(tmp_path / 'edited.py'))


@pytest.mark.parametrize('name', ['my_val_dataloder', '_val_dataloader', 'val_dataloader_', 'myval_dataloader'])
def test_a_setting_that_is_not_whole_is_not(tmp_path, name):
    (tmp_path / 'edited.py').write_text(f'{name} = dict(a=1)\nval_dataloader = dict(a=2)\n')
    with pytest.raises(ValueError, match="mean 'val_dataloader'"):
        check_setting_names(Config.fromfile(tmp_path / 'edited.py'))


def test_settings_are_those_that_the_runner_takes():
    assert {'model', 'train_dataloader', 'optim_wrapper', 'randomness', 'experiment_name'} <= set(SETTINGS)
    assert 'self' not in SETTINGS and 'cfg' not in SETTINGS


@pytest.mark.parametrize(
    'text',
    [
        'small_val_dataloader = dict(batch_size=1)\nval_dataloader = small_val_dataloader\n',
        'my_model = dict(a=1)\nmodels = dict(my=my_model)\nmodel = dict(b=2, c=models)\n',
        'custom_hook = dict(type="H")\ncustom_hooks = [custom_hook]\n',
    ],
)
def test_what_a_run_writes_down_is_a_config_again(tmp_path, text):
    (tmp_path / 'mine.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'mine.py')
    cfg.dump(tmp_path / 'earlier.py')
    check_setting_names(cfg)
    cfg.dump(tmp_path / 'now.py')
    for name in ('earlier', 'now'):
        check_setting_names(Config.fromfile(tmp_path / f'{name}.py'))


MINE = 'mmpretrain.LearningRateDecayOptimWrapperConstructor'


def layer_decay(constructor, backbone='ResNet', model='ViCE', **paramwise):
    return Config(
        dict(
            model=dict(type=model, backbone=dict(type=backbone)),
            optim_wrapper=dict(constructor=constructor, paramwise_cfg=paramwise),
        )
    )


@pytest.mark.parametrize(
    'constructor', ['LearningRateDecayOptimizerConstructor', 'mmseg.LayerDecayOptimizerConstructor']
)
@pytest.mark.parametrize(('backbone', 'model'), [('ResNet', 'ViCE'), ('TimmEncoder', 'mmvice.ProbeSegmentor')])
def test_a_constructor_that_does_not_know_the_backbone_is_refused_with_the_one_that_does(constructor, backbone, model):
    with pytest.raises(ValueError, match=rf"alone, not of {backbone}: take optim_wrapper.constructor='{MINE}'"):
        check_setting_values(layer_decay(constructor, backbone, model, decay_rate=0.9, num_layers=12))


def test_layer_decay_that_no_constructor_uses_is_refused():
    with pytest.raises(ValueError, match=f"layer_decay_rate=0.5 is not used .* add optim_wrapper.constructor='{MINE}'"):
        check_setting_values(layer_decay(None, layer_decay_rate=0.5))


def test_layer_decay_that_works_is_left_alone():
    check_setting_values(layer_decay(MINE, layer_decay_rate=0.5))
    check_setting_values(layer_decay('LearningRateDecayOptimizerConstructor', 'mmpretrain.ConvNeXt', num_layers=6))
    check_setting_values(layer_decay('LearningRateDecayOptimizerConstructor', 'ResNet', 'EncoderDecoder'))
    check_setting_values(layer_decay(None))
