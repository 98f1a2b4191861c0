"""Initial weights: all of them but those that are meant to be learned anew."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmvice.engine import InitialWeightsHook


class Model(BaseModel):
    def __init__(self):
        super().__init__(init_cfg=dict(type='Normal', layer='Linear', std=0.01))
        self.body = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=0 * self.head(self.body(torch.zeros(3))).sum())


@pytest.fixture
def runner(tmp_path):
    """A Runner about to train."""
    runner = Runner(
        Model(),
        str(tmp_path / 'run'),
        train_dataloader=dict(
            dataset=[dict(inputs=number) for number in range(4)], sampler=dict(type='DefaultSampler'), batch_size=2
        ),
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        experiment_name=tmp_path.name,
        default_scope='mmvice',
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
    InitialWeightsHook(file, learned_anew=['head.']).before_train(runner)
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
        hook.before_train(runner)
    assert torch.equal(runner.model.body.weight, before)


def test_initialisation_does_not_undo_it_and_a_resumed_run_keeps_its_own(runner, tmp_path):
    """MMEngine initialises a model's weights after the hooks' before_run."""
    given = {'body.weight': torch.full((4, 3), 7.0), 'body.bias': torch.full((4,), 7.0)}
    runner.register_hook(InitialWeightsHook(save(tmp_path / 'weights.pth', given), learned_anew=['head.']))
    runner.train()
    assert torch.equal(runner.model.body.weight, given['body.weight'])
    assert runner.model.head.weight.abs().max() < 1  # initialised, and learned anew
    runner.train_loop._iter = 1
    nn.init.zeros_(runner.model.body.weight)
    runner.call_hook('before_train')
    assert (runner.model.body.weight == 0).all()


def test_no_file_is_needed_for_a_test(tmp_path):
    runner = Runner(Model(), str(tmp_path / 'run'), experiment_name=f'{tmp_path.name}-test', default_scope='mmvice')
    runner.register_hook(InitialWeightsHook(str(tmp_path / 'gone.pth')))
    runner.call_hook('before_run')
    runner.call_hook('before_test')
