"""What ``tools/train.py`` makes of checkpoints that can be read, but have not what they should."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmvice.cli import use_auto_scale_lr
from mmvice.cli.errors import explain
from mmvice.utils.checkpoint import load_checkpoint_file

ENDLESS = ('--cfg-options', 'train_dataloader.sampler.type=InfiniteSampler')
SIX = (*ENDLESS, 'train_cfg.max_iters=6')
NAMED = 'load_from=run/iter_4.pth'
ADVICE = 'start anew with its weights, by load_from=FILE without --resume'


@pytest.fixture(scope='module')
def saved() -> dict[str, bytes]:
    """The checkpoint that the first test trains for the others."""
    return {}


@pytest.fixture
def content(tool, toy_config, tmp_path, saved, monkeypatch) -> dict:
    """What is in the checkpoint of four steps, which lies in the work folder ``run``."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)  # which starts compilers to ask for their versions
    run = tmp_path / 'run'
    if not saved:
        tool('train', toy_config, '--work-dir', 'run', *ENDLESS)
        saved['iter_4.pth'] = (run / 'iter_4.pth').read_bytes()
    else:
        run.mkdir()
        (run / 'iter_4.pth').write_bytes(saved['iter_4.pth'])
        (run / 'last_checkpoint').write_text('run/iter_4.pth')
    return load_checkpoint_file(run / 'iter_4.pth')


@pytest.fixture
def refused(tool, toy_config, tmp_path) -> Callable[..., str]:
    """Save what a checkpoint is to hold, run a tool that must fail over it, and give the sentence for its user."""

    def run(changed: object, *arguments: object, name: str = 'train', config: Path = toy_config) -> str:
        torch.save(changed, 'run/iter_4.pth')
        with pytest.raises(Exception) as error:
            tool(name, config, *arguments)
        sentence = explain(error.value)
        assert sentence is not None, repr(error.value)
        assert 'run/iter_4.pth' in sentence
        return sentence

    return run


def changed(content: dict, place: str, value: object) -> dict:
    """A copy of a checkpoint with one thing in it replaced."""
    first, _, rest = place.partition('.')
    return {**content, first: changed(content[first], rest, value) if rest else value}


@pytest.mark.parametrize('missing', ['optimizer', 'param_schedulers', 'message_hub', 'meta'])
@pytest.mark.parametrize('how', [(), (NAMED,)], ids=['latest', 'named'])
def test_a_run_does_not_go_on_without_a_part_of_its_state(content, refused, missing, how):
    del content[missing]
    sentence = refused(content, '--work-dir', 'run', '--resume', *SIX, *how)
    assert sentence.startswith(f'run/iter_4.pth has no {missing}, so no training can go on from it')
    assert ADVICE in sentence


def test_a_run_does_not_go_on_from_weights_alone(content, refused):
    for weights in (dict(state_dict=content['state_dict']), content['state_dict']):
        sentence = refused(weights, '--work-dir', 'run', '--resume', *SIX, NAMED)
        assert 'has no meta, no message_hub, no optimizer' in sentence and ADVICE in sentence


def test_the_advice_for_weights_alone_works(content, tool, toy_config):
    torch.save(dict(state_dict=content['state_dict']), 'weights.pth')
    tool('train', toy_config, '--work-dir', 'new', *ENDLESS, 'train_cfg.max_iters=2', 'load_from=weights.pth')
    assert load_checkpoint_file('new/iter_2.pth')['meta']['iter'] == 2


@pytest.mark.parametrize('recorded', [True, False])
@pytest.mark.parametrize(
    'options, ours',
    [
        (('type=AdamW', 'lr=0.1'), "optim_wrapper.optimizer.type='AdamW' of this config has lr, betas"),
        (('type=mmpretrain.LARS', 'lr=0.1'), "optim_wrapper.optimizer.type='LARS' of this config has lr, momentum"),
    ],
)
def test_the_state_of_another_optimizer(content, refused, recorded, options, ours):
    if not recorded:
        content['meta'].pop('cfg')
    options = [f'optim_wrapper.optimizer.{option}' for option in ('_delete_=True', *options)]
    sentence = refused(content, '--work-dir', 'run', '--resume', *SIX, *options)
    kind = 'SGD' if recorded else 'one'
    assert f'has the state of another optimizer: {kind} with lr, momentum, dampening' in sentence
    assert ours in sentence and ADVICE in sentence


def test_the_state_of_other_groups_of_parameters(content, refused):
    option = 'optim_wrapper.paramwise_cfg.bias_lr_mult=2.0'
    sentence = refused(content, '--work-dir', 'run', '--resume', *SIX, option)
    assert 'of 2 parameters in 1 groups, while the SGD of this config has 2 in 2' in sentence and ADVICE in sentence


def test_the_state_of_other_schedules(content, refused, toy_config):
    for schedules in (
        "param_scheduler=[dict(type='CosineAnnealingLR',T_max=8,by_epoch=False)]",
        "param_scheduler=[dict(type='PolyLR',end=4,by_epoch=False),dict(type='PolyLR',begin=4,by_epoch=False)]",
    ):
        config = toy_config.with_name('schedules.py')
        config.write_text(f'{toy_config.read_text()}{schedules}\n')
        sentence = refused(content, '--work-dir', 'run', '--resume', *SIX, config=config)
        assert 'has the state of 1 schedule (eta_min, power, total_iters), while param_scheduler' in sentence


@pytest.mark.parametrize('value', ['[]', 'None'])
def test_schedules_that_were_taken_out_are_warned_of(content, tool, toy_config, said, value):
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX, f'param_scheduler={value}')
    rate = content['optimizer']['param_groups'][0]['lr']
    assert len(said) == 1 and said[0].startswith(
        'run/iter_4.pth and this config differ: param_scheduler 1 schedule there and none here; '
        f'lr {rate} there and 0.01 here.'
    )
    assert load_checkpoint_file('run/iter_6.pth')['optimizer']['param_groups'][0]['lr'] == 0.01


def test_another_batch_size_is_warned_of(content, tool, toy_config, said):
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX, 'train_dataloader.batch_size=4')
    assert len(said) == 1
    assert 'run/iter_4.pth was trained with train_dataloader.batch_size=2, and this config has 4' in said[0]


@pytest.mark.parametrize(
    'before, now, processes, sides',
    [
        (None, 4, 1, ['batch_size=1,', 'this config has 4']),
        (4, None, 1, ['batch_size=4,', 'this config has 1']),
        (None, None, 2, ['batch_size=1 in 2 processes, 2 images a step', 'has 1 in 1 process, 1 image a step']),
        (None, None, 1, []),
        (1, None, 1, []),
    ],
)
def test_a_batch_size_that_is_not_given_is_one(content, tool, toy_config, said, before, now, processes, sides):
    text, size = toy_config.read_text(), 'batch_size=2, '
    assert text.replace('\n', '').replace('    ', '').count(size) > 1
    content['meta'].update(num_processes=processes)
    content['meta']['cfg'] = re.sub(size, f'batch_size={before}, ' if before else '', content['meta']['cfg'])
    content['meta']['cfg'] = content['meta']['cfg'].replace('batch_size=2', f'batch_size={before}' if before else 'x=0')
    torch.save(content, 'run/iter_4.pth')
    toy_config.write_text(re.sub(size, f'batch_size={now}, ' if now else '', text))
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX)
    told = [line for line in said if 'was trained with' in line]
    assert len(told) == bool(sides) and all(side in told[0] for side in sides)


def test_the_learning_rate_is_scaled_to_the_batch_size_that_is_not_given(toy_config):
    toy_config.write_text(toy_config.read_text().replace('batch_size=2, ', ''))
    cfg = Config.fromfile(toy_config)
    use_auto_scale_lr(cfg)
    assert cfg.train_dataloader.batch_size == 1


@pytest.mark.parametrize('before, size, processes, warned', [(2, 4, 1, False), (2, 2, 1, True), (None, 2, 1, False)])
def test_images_of_a_step_are_compared_over_all_processes(
    content, tool, toy_config, said, before, size, processes, warned
):
    """2 x 2 images then 1 x 4 are as many; an older checkpoint does not say how many processes there were."""
    content['meta']['num_processes'] = before
    torch.save(content, 'run/iter_4.pth')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX, f'train_dataloader.batch_size={size}')
    assert len(said) == warned
    if warned:
        sides = 'batch_size=2 in 2 processes, 4 images a step, and this config has 2 in 1 process, 2 images a step'
        assert sides in said[0]


@pytest.mark.parametrize(
    'before, size, now, warned',
    [
        (2, 4, 1, []),
        (4, 2, 4, []),
        (
            1,
            2,
            2,
            ['batch_size=2 in 1 process with accumulative_counts=1, 2 images a step', 'counts=2, 4 images a step'],
        ),
        (
            4,
            4,
            1,
            ['with accumulative_counts=4, 8 images a step, and this config has 4 in 1 process', '4 images a step'],
        ),
    ],
)
def test_images_of_a_step_are_compared_with_those_of_accumulated_gradients(
    content, tool, toy_config, said, before, size, now, warned
):
    setting = 'optim_wrapper.accumulative_counts'
    content['meta']['cfg'] += f'optim_wrapper = dict(accumulative_counts={before})\n'
    torch.save(content, 'run/iter_4.pth')
    options = (f'train_dataloader.batch_size={size}', f'{setting}={now}')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX, *options)
    told = [line for line in said if 'was trained with' in line]
    assert len(told) == bool(warned) and all(part in told[0] for part in warned)
    assert any(f'{setting} {before} there and {now} here' in line for line in said) == (before != now)


def test_an_older_checkpoint_tells_the_number_of_processes_by_its_queues(content, tool, toy_config, said):
    del content['meta']['num_processes']
    queues = dict(queue=torch.zeros(2, 3, 4), progress=torch.zeros(2, 3, dtype=torch.int64))
    torch.save({**content, 'region_queues': queues}, 'run/iter_4.pth')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX)
    assert len(said) == 1 and 'batch_size=2 in 2 processes' in said[0]


def test_a_run_that_goes_on_as_it_was_is_not_warned(content, tool, toy_config, said):
    tool('train', toy_config, '--work-dir', 'run', '--resume', *SIX)
    assert said == []


@pytest.mark.parametrize('steps', [3, 4])
def test_that_nothing_is_left_to_do_is_said(content, tool, toy_config, said, steps):
    tool('train', toy_config, '--work-dir', 'run', '--resume', *ENDLESS, f'train_cfg.max_iters={steps}')
    assert said == [
        f'Nothing is left to do: run/iter_4.pth was saved after iter 4, and train_cfg.max_iters is {steps}. Raise '
        'it to train on.'
    ]


STRANGE = {
    'state_dict': [5, [1, 2], None],
    'meta': ['hello', None, 3],
    'meta.iter': ['a', -5, None, 1.5, True],
    'meta.epoch': ['a', -1],
    'meta.seed': ['x', -1, 2**32],
    'meta.dataset_meta': ['x', dict(classes=5)],
    'message_hub': ['abc', None, dict(log_scalars=5), {}],
    'message_hub.runtime_info': [5, {1: 2}, dict(best_score='high')],
    'message_hub.log_scalars': [{'train/loss': HistoryBuffer([1.0], [1])}],
    'optimizer': [3, None, {}, dict(state={}, param_groups=[]), dict(state={0: 5}, param_groups=[dict(params=[0])])],
    'param_schedulers': [5, None, [5], dict(a=5)],
    'process_state': [[1], 5],
    'region_queues': [[1], 5],
}


@pytest.mark.parametrize(
    'place, value',
    [(place, value) for place, values in STRANGE.items() for value in values],
    ids=lambda part: repr(part)[:30],
)
def test_what_is_no_checkpoint_within_is_told_in_one_sentence(content, refused, place, value):
    if isinstance(value, dict) and 'train/loss' in value:
        value['train/loss']._log_history = np.zeros((2, 2))
    sentence = refused(changed(content, place, value), '--work-dir', 'run', '--resume', *SIX)
    assert '\n' not in sentence
    names = (place.rpartition('.')[2], 'best_score', 'train/loss', 'classes')
    assert any(name in sentence for name in names), sentence


@pytest.mark.parametrize(
    'whole', [[1, 2], torch.zeros(3), 'text', {5: torch.zeros(3)}], ids=['list', 'tensor', 'text', 'key']
)
@pytest.mark.parametrize('how', ['resume', 'load_from', 'test'])
def test_what_is_no_checkpoint_at_all_is_told_in_one_sentence(content, refused, whole, how):
    arguments = dict(
        resume=('--work-dir', 'run', '--resume', *SIX),
        load_from=('--work-dir', 'new', *SIX, NAMED),
        test=('run/iter_4.pth',),
    )
    sentence = refused(whole, *arguments[how], name='test' if how == 'test' else 'train')
    assert sentence.startswith('run/iter_4.pth holds a') and 'is expected' in sentence and '\n' not in sentence


@pytest.mark.parametrize('how', ['load_from', 'test'])
@pytest.mark.parametrize('place', ['state_dict', 'meta'])
def test_other_readers_check_too(content, refused, how, place):
    arguments = ('--work-dir', 'new', *SIX, NAMED) if how == 'load_from' else ('run/iter_4.pth',)
    sentence = refused(changed(content, place, 5), *arguments, name='test' if how == 'test' else 'train')
    assert sentence == f"run/iter_4.pth holds an int (5) as '{place}', where a dict is expected"


def test_a_number_in_the_place_of_a_weight(content, refused):
    sentence = refused(changed(content, 'state_dict', {**content['state_dict'], 'line.weight': 5}), 'run', name='test')
    assert 'line.weight: int in the checkpoint, (1, 2) in the model' in sentence
