"""A run that goes on follows its config: rates and settings are those of a run that had that config from the start."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from mmvice.cli.errors import explain
from mmvice.engine.checks import schedules
from mmvice.engine.checks.resumed_settings import _differing_wrappers
from mmvice.utils.checkpoint import load_checkpoint_file

LONG, STOP = 12, 4


@pytest.fixture
def train(tool, toy_config, monkeypatch) -> Callable[..., dict]:
    """Train with some settings of the toy config changed, and give the last checkpoint."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)  # which starts compilers to ask for their versions

    def run(work_dir: str, *arguments: str, **settings: object) -> dict:
        cfg = Config.fromfile(toy_config)
        cfg.train_dataloader.sampler = dict(type='SeededInfiniteSampler')
        cfg.default_hooks.logger = dict(type='LoggerHook', interval=1)
        cfg.default_hooks.checkpoint.interval = STOP
        if 'train_cfg' in settings:
            cfg.pop('train_cfg')
        cfg.merge_from_dict(settings)
        cfg.dump(toy_config.with_name('changed.py'))
        tool('train', toy_config.with_name('changed.py'), '--work-dir', work_dir, *arguments)
        return load_checkpoint_file(Path(work_dir, Path(Path(work_dir, 'last_checkpoint').read_text()).name))

    return run


def rates(work_dir: str) -> dict[int, tuple[float, float]]:
    """Learning rate and momentum in every step, of which the last run of a folder counts."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {line['step']: (line['lr'], line.get('momentum')) for line in lines if 'lr' in line}


def cosine(end: int) -> list[dict]:
    return [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2),
        dict(type='CosineAnnealingLR', eta_min_ratio=0.1, by_epoch=False, begin=2, end=end),
    ]


def poly(end: int) -> dict:
    return dict(param_scheduler=[dict(type='PolyLR', power=0.9, by_epoch=False, end=end)])


POLY = dict(param_scheduler=[dict(type='PolyLR', power=0.9, by_epoch=False)])
WARM = dict(param_scheduler=[dict(type='WarmupCosineLR', by_epoch=False, warmup_ratio=0.2)])
MOMENTUM = [dict(type='PolyLR', by_epoch=False), dict(type='LinearMomentum', start_factor=0.5, by_epoch=False)]
EPOCHS = dict(WARM, train_cfg=dict(type='EpochCountedTrainLoop', max_epochs=1))
ADAM = dict(_delete_=True, type='AdamW', lr=0.1)
RATE, RUN = 'optim_wrapper.optimizer.lr', 'train_cfg.max_iters'

CASES = {  # settings of the run that stops after four steps, changes for the one that goes on, what is said of them
    'more steps, warm-up and cosine': (WARM, {RUN: LONG}, 'WarmupCosineLR.end 4 there and 12 here'),
    'more steps and another warm-up': (
        WARM,
        {RUN: LONG, 'param_scheduler': [dict(WARM['param_scheduler'][0], warmup_ratio=0.5)]},
        'WarmupCosineLR.warmup_steps 1 there and 6 here',
    ),
    'more steps, poly': (POLY, {RUN: LONG}, 'PolyLR.end 4 there and 12 here'),
    'two schedules, one after the other': (
        dict(param_scheduler=cosine(4)),
        {RUN: LONG, 'param_scheduler': cosine(LONG)},
        'CosineAnnealingLR.T_max 2 there and 10 here; CosineAnnealingLR.end 4 there and 12 here',
    ),
    'milestones': (
        dict(param_scheduler=[dict(type='MultiStepLR', milestones=[2, 6], by_epoch=False, end=20)]),
        {RUN: LONG, 'param_scheduler': [dict(type='MultiStepLR', milestones=[3, 7], by_epoch=False, end=20)]},
        'MultiStepLR.milestones {2: 1, 6: 1} there and {3: 1, 7: 1} here',
    ),
    'another rate': (POLY, {RUN: LONG, RATE: 0.5}, 'lr 0.01 there and 0.5 here'),
    'another rate without a schedule': (dict(param_scheduler=None), {RUN: LONG, RATE: 0.5}, 'lr 0.01 there and 0.5'),
    'another rate and the schedule taken out': (
        POLY,
        {RUN: LONG, RATE: 0.5, 'param_scheduler': None},
        'param_scheduler 1 schedule there and none here; lr 0.0 there and 0.5 here',
    ),
    'the schedule taken out': (WARM, {RUN: LONG, 'param_scheduler': None}, 'none here; lr 1e-05 there and 0.01 here'),
    'schedules of rate and momentum taken out': (
        dict(param_scheduler=MOMENTUM),
        {RUN: LONG, 'param_scheduler': []},
        'param_scheduler 2 schedules there and none here; lr 0.0 there and 0.01 here',
    ),
    'rate and momentum': (
        dict(param_scheduler=MOMENTUM),
        {RUN: LONG, 'optim_wrapper.optimizer.momentum': 0.8},
        'momentum 0.9 there and 0.8 here',
    ),
    'weight decay': (POLY, {'optim_wrapper.optimizer.weight_decay': 0.25}, 'weight_decay 0 there and 0.25 here'),
    'betas': (
        {**WARM, 'optim_wrapper.optimizer': ADAM},
        {'optim_wrapper.optimizer.betas': (0.8, 0.99)},
        'betas (0.9, 0.999) there and (0.8, 0.99) here',
    ),
    'betas under a schedule of momentum': (
        {'param_scheduler': MOMENTUM, 'optim_wrapper.optimizer': ADAM},
        {RUN: LONG, 'optim_wrapper.optimizer.betas': (0.9, 0.95)},
        'betas [0.999] there and [0.95] here',
    ),
    'one cycle': (
        dict(param_scheduler=[dict(type='OneCycleLR', by_epoch=False, eta_max=0.1, total_steps=LONG)]),
        {RUN: LONG, 'param_scheduler': [dict(type='OneCycleLR', by_epoch=False, eta_max=0.2, total_steps=LONG)]},
        'there and',
    ),
    'more epochs, counted in steps': (EPOCHS, {'train_cfg.max_epochs': 3}, 'WarmupCosineLR.end 4 there and 12 here'),
}


@pytest.mark.parametrize('case', CASES)
def test_a_run_goes_on_as_one_that_had_its_config_from_the_start(train, said, case):
    first, changes, text = CASES[case]
    changes = {**first, RUN: 2 * STOP, **changes} if first is not EPOCHS else {**first, **changes}
    train('run', **first)
    fresh = train('fresh', **changes)
    on = train('run', '--resume', **changes)
    assert on['meta']['iter'] == fresh['meta']['iter'] > STOP
    expected, given = rates('fresh'), rates('run')
    assert {step: given[step] for step in expected if step > STOP} == {
        step: value for step, value in expected.items() if step > STOP
    }
    assert on['optimizer']['param_groups'] == fresh['optimizer']['param_groups']
    assert on.get('param_schedulers') == fresh.get('param_schedulers')
    assert sum('and this config differ' in line for line in said) == 1
    line = next(line for line in said if 'and this config differ' in line)
    assert line.startswith('run/iter_4.pth and this config differ') and text in line


def test_epochs_of_another_length_are_counted_as_this_run_counts_them(train, said):
    """MMEngine would go on at step 8 of 8, at the end of a schedule in steps, in the middle of the training."""
    loop = dict(type='EpochBasedTrainLoop', max_epochs=4)
    schedule = [dict(type='PolyLR', convert_to_iter_based=True), dict(type='ExponentialLR', gamma=0.9)]
    settings = {
        'train_cfg': loop,
        'train_dataloader.sampler': dict(type='DefaultSampler', shuffle=False),
        'param_scheduler': schedule,
        'default_hooks.checkpoint': dict(type='CheckpointHook', by_epoch=True, interval=1, max_keep_ckpts=-1),
    }
    train('run', **settings)
    Path('run/last_checkpoint').write_text('run/epoch_2.pth')
    settings['train_dataloader.batch_size'] = 4
    train('fresh', **settings)
    on = train('run', '--resume', **settings)
    assert (on['meta']['epoch'], on['meta']['iter']) == (4, 8)
    expected, given = rates('fresh'), rates('run')
    assert [given[step] for step in (5, 6, 7, 8)] == [expected[step] for step in (5, 6, 7, 8)]
    assert any('saved after 8 steps, and 2 epochs of this run are 4 steps' in line for line in said)


def test_a_schedule_that_follows_scores_cannot_be_run_again(train):
    schedule = [
        dict(type='PolyLR', by_epoch=False, end=20),
        dict(type='ReduceOnPlateauLR', monitor='mIoU', by_epoch=True, patience=1),
    ]
    train('run', param_scheduler=schedule)
    train('run', '--resume', param_scheduler=schedule, **{'optim_wrapper.optimizer.weight_decay': 0.5, RUN: STOP + 1})
    Path('run/last_checkpoint').write_text('run/iter_4.pth')
    with pytest.raises(ValueError) as error:
        train('run', '--resume', param_scheduler=schedule, **{RATE: 0.5, RUN: LONG})
    sentence = explain(error.value)
    assert 'lr 0.01 there and 0.5 here' in sentence and 'ReduceOnPlateauLR follows the scores' in sentence


@pytest.mark.parametrize(
    ('kind', 'setting', 'value', 'moment'),
    [
        ('AdamW', 'amsgrad', True, 'max_exp_avg_sq'),
        ('RMSprop', 'centered', True, 'grad_avg'),
        ('RMSprop', 'momentum', 0.5, 'momentum_buffer'),
    ],
)
def test_an_average_that_the_checkpoint_has_not_is_no_setting_to_switch_on(train, kind, setting, value, moment):
    optimizer = dict(_delete_=True, type=kind, lr=0.1)
    train('run', **POLY, **{'optim_wrapper.optimizer': optimizer})
    with pytest.raises(ValueError) as error:
        train('run', '--resume', **POLY, **{RUN: LONG, 'optim_wrapper.optimizer': {**optimizer, setting: value}})
    sentence = explain(error.value)
    assert f'and {value} here), and the checkpoint has no {moment}' in sentence and f'give {setting} as' in sentence


EMA = dict(type='EMAHook', momentum=0.5)
AVERAGES = [
    EMA,
    dict(EMA, update_buffers=True, priority='HIGHEST'),
    dict(type='EMAHook', ema_type='StochasticWeightAverage', priority='LOWEST'),
]


@pytest.mark.parametrize('average', AVERAGES)
def test_a_run_goes_on_with_the_weights_that_it_trained_with_an_average_of_them_or_without(train, said, average):
    def trained(checkpoint: dict) -> dict:
        weights = checkpoint.get('ema_state_dict') or {f'module.{k}': v for k, v in checkpoint['state_dict'].items()}
        return {name: value.tolist() for name, value in weights.items() if name.startswith('module.')}

    plain = train('plain', **POLY, **{RUN: 2 * STOP})
    train('left', custom_hooks=[average], **poly(2 * STOP), **{RUN: STOP})
    left = train('left', '--resume', **POLY, **{RUN: 2 * STOP})
    assert trained(left) == trained(plain) and 'ema_state_dict' not in left
    assert [line for line in said if 'was saved by a run with EMAHook' in line and line.startswith('left/iter_4.pth')]
    said.clear()
    train('taken', **poly(2 * STOP), **{RUN: STOP})
    taken = train('taken', '--resume', custom_hooks=[average], **POLY, **{RUN: 2 * STOP})
    assert trained(taken) == trained(plain) and said == []
    assert taken['state_dict']['line.weight'].tolist() != trained(plain)['module.line.weight']


@pytest.mark.parametrize(
    'settings, warned',
    [
        (poly(3), ['PolyLR has end=3, so it ends after 3 of 4 steps, and lr is constant for the rest']),
        (poly(4), []),
        (poly(40), []),
        (dict(param_scheduler=cosine(3)), ['CosineAnnealingLR has end=3, so it ends after 3 of 4 steps']),
        (dict(param_scheduler=cosine(3)[:1]), []),  # a warm-up
        (
            dict(param_scheduler=[dict(MOMENTUM[0]), dict(MOMENTUM[1], start_factor=1.0, end_factor=0.5, end=2)]),
            ['momentum'],
        ),
        (
            {
                'train_cfg': dict(type='EpochBasedTrainLoop', max_epochs=2),
                'train_dataloader.sampler': dict(type='DefaultSampler', shuffle=False),
                'param_scheduler': [dict(type='PolyLR', end=1)],
            },
            ['PolyLR has end=1, so it ends after 4 of 8 steps'],
        ),
    ],
)
def test_a_schedule_that_ends_before_the_training_is_told(train, monkeypatch, settings, warned):
    texts = []
    monkeypatch.setattr(schedules, 'print_log', lambda text, **_: texts.append(text))
    train('run', **settings)
    assert len(texts) == len(warned) and all(part in text for part, text in zip(warned, texts))


def test_settings_beside_the_optimizer_are_compared_too():
    before = "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))"
    now = "optim_wrapper = dict(type='mmvice.BFloat16OptimWrapper', clip_grad=dict(max_norm=1), optimizer=dict(lr=2.0))"
    assert _differing_wrappers(before, now) == [
        "optim_wrapper.type 'OptimWrapper' there and 'BFloat16OptimWrapper' here",
        "optim_wrapper.clip_grad None there and {'max_norm': 1} here",
    ]
    assert _differing_wrappers(before, before) == _differing_wrappers(None, before) == []
