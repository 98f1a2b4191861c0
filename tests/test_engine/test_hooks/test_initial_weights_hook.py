"""Initial weights: all of them but those that are meant to be learned anew."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmvice.engine import InitialWeightsHook


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)


@pytest.fixture
def runner(tmp_path):
    """A Runner about to train."""
    runner = Runner(
        Model(),
        str(tmp_path / 'run'),
        train_dataloader=dict(dataset=list(range(4)), sampler=dict(type='DefaultSampler'), batch_size=2),
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        experiment_name=tmp_path.name,
        cfg=Config(dict(default_scope='mmvice')),
    )
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    return runner


def save(path, state):
    torch.save(dict(state_dict=state), path)
    return str(path)


def test_takes_everything_but_the_head(runner, tmp_path):
    given, head = Model().body.state_dict(prefix='body.'), runner.model.head.weight.clone()
    file = save(tmp_path / 'weights.pth', given)
    InitialWeightsHook(file, learned_anew=['head.']).before_run(runner)
    assert torch.equal(runner.model.body.weight, given['body.weight'])
    assert torch.equal(runner.model.head.weight, head)


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        ({'body.weight': torch.zeros(4, 3)}, 'missing: body.bias'),
        ({**Model().body.state_dict(prefix='body.'), 'decoder.x': torch.zeros(1)}, 'unexpected: decoder.x'),
        (nn.Linear(3, 5).state_dict(prefix='body.'), r'body.weight: \(5, 3\) in the checkpoint, \(4, 3\) in the model'),
    ],
)
def test_anything_else_is_refused_before_it_is_loaded(runner, tmp_path, state, message):
    before = runner.model.body.weight.clone()
    hook = InitialWeightsHook(save(tmp_path / 'weights.pth', state), learned_anew=['head.'])
    with pytest.raises(ValueError, match=f'(?s)to_mmseg.py.*{message}'):
        hook.before_run(runner)
    assert torch.equal(runner.model.body.weight, before)


def test_no_file_is_needed_for_a_test(tmp_path):
    runner = Runner(Model(), str(tmp_path / 'run'), experiment_name=f'{tmp_path.name}-test')
    InitialWeightsHook(str(tmp_path / 'gone.pth')).before_run(runner)
