"""Each process gets its own state of a head again, and a head is told of every step."""

import uuid
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from test_visualization_hooks import CONFIG

from mmvice.apis import build_runner
from mmvice.engine import MethodStateHook
from mmvice.engine.hooks import method_state_hook
from mmvice.models import BaseMethodHead, DenseSwAVHead
from mmvice.models.utils.region_queue import filled_part
from mmvice.registry import HOOKS
from mmvice.utils.checkpoint import load_checkpoint_file


@pytest.mark.parametrize('length, other', [(4, 6), (4, 0), (0, 6)])
def test_one_process_leaves_a_checkpoint_of_one_as_it_is(length, other):
    """Also where lengths differ, for that is not for this hook to judge."""
    saved, head = DenseSwAVHead(6, 5, queue_length=length), DenseSwAVHead(6, 5, queue_length=other)
    state = {f'head.{name}': value for name, value in saved.state_dict().items()}
    checkpoint = dict(state_dict=dict(state))
    MethodStateHook().after_load_checkpoint(
        SimpleNamespace(model=SimpleNamespace(head=head), _resume=True, _load_from='run'), checkpoint
    )
    assert all(torch.equal(checkpoint['state_dict'][name], value) for name, value in state.items())


@pytest.mark.parametrize('saved_length, dims, length', [(4, 2, 0), (0, 2, 4), (4, 3, 4)])
def test_queues_that_cannot_be_dealt_are_left_to_be_complained_about(saved_length, dims, length):
    queues = torch.zeros(2, saved_length, dims)
    own = {'head.queue': queues[0], 'head.progress': torch.zeros(3, dtype=torch.int64)}
    saved = dict(queue=queues, progress=torch.zeros(2, 3, dtype=torch.int64))
    head = DenseSwAVHead(2, 5, queue_length=length)
    for checkpoint in (
        dict(state_dict=dict(own), region_queues=saved),
        dict(
            state_dict=dict(own),
            process_state=dict(queue=queues, queue_count=torch.zeros(2).long(), steps=torch.zeros(2).long()),
        ),
    ):
        MethodStateHook().after_load_checkpoint(
            SimpleNamespace(model=SimpleNamespace(head=head), _resume=True, _load_from='run'), checkpoint
        )
        assert checkpoint['state_dict']['head.queue'].shape == (saved_length, dims)


@pytest.mark.parametrize('problem', ['another head', 'another number of processes'])
def test_only_a_run_that_resumes_refuses_a_state_that_it_cannot_use(problem):
    class Counting(DenseSwAVHead):
        process_state = ('steps',)

        def deal_out(self, states, num_processes):
            return BaseMethodHead.deal_out(self, states, num_processes)

    def run(resume: bool) -> dict:
        head, names = Counting(2, 5), ['steps', 'memory' if problem == 'another head' else 'steps']
        state = {f'head.{name}': value for name, value in Counting(2, 5).state_dict().items()}
        checkpoint = dict(
            state_dict={**state, 'head.steps': torch.tensor(7)},
            process_state={name: torch.full((3,), 7) for name in names},
        )
        model = SimpleNamespace(head=head)
        runner = SimpleNamespace(model=model, _resume=resume, _load_from='iter_7.pth')
        hook = MethodStateHook()
        hook.after_load_checkpoint(runner, checkpoint)
        hook.before_train(runner)
        assert checkpoint['state_dict'].keys() == state.keys() and head.steps == 0
        return checkpoint['state_dict']

    assert run(resume=False)['head.steps'] == 0
    with pytest.raises(ValueError, match='iter_7.pth: '):
        run(resume=True)


@HOOKS.register_module()
class ExchangingHook(Hook):
    """Saves other weights in the place of the model's, and puts those back when a run goes on."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['own'] = [dict(weights=checkpoint['state_dict'])]
        checkpoint['state_dict'] = {name: torch.zeros_like(value) for name, value in checkpoint['state_dict'].items()}

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['state_dict'] = checkpoint['own'][0]['weights']


@HOOKS.register_module()
class ForeignWeightsHook(Hook):
    """Takes all weights from elsewhere, with a queue that is nobody's."""

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['state_dict'] = {
            name: torch.zeros_like(value) if name == 'head.queue' else value
            for name, value in checkpoint['state_dict'].items()
        }


HIGH, LATE = 'HIGHEST', 'LOWEST'
EXCHANGES = {
    'an average, first': dict(type='EMAHook', priority=HIGH, strict_load=True),
    'an average': dict(type='EMAHook', update_buffers=True),
    'an average, last': dict(type='EMAHook', update_buffers=True, priority=LATE),
    'other weights, first': dict(type='ExchangingHook', priority=HIGH),
    'other weights, last': dict(type='ExchangingHook', priority=LATE),
    'weights from elsewhere': dict(type='ForeignWeightsHook', priority=LATE),
}


def resumable(folder, hook, steps, resume=False, queue=16):
    cfg = Config(deepcopy(CONFIG))
    cfg.model.head.queue_length, cfg.train_cfg.max_iters, cfg.resume = queue, steps, resume
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
    cfg.update(work_dir=str(folder), custom_hooks=[hook], experiment_name=uuid.uuid4().hex, launcher='none')
    runner = build_runner(cfg)
    runner.train()
    return runner.model.head


@pytest.mark.parametrize(
    'exchange', [pytest.param(name, marks=pytest.mark.slow if ', ' in name else []) for name in EXCHANGES]
)
def test_each_process_gets_its_queue_whatever_hook_exchanges_the_weights(tmp_path, monkeypatch, exchange):
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    hook = EXCHANGES[exchange]
    trained = resumable(tmp_path, hook, 2)
    saved = load_checkpoint_file(tmp_path / 'iter_2.pth')
    assert torch.equal(saved['process_state']['queue'][0], trained.queue)
    again = resumable(tmp_path, hook, 2, resume=True)
    assert all(
        torch.equal(getattr(again, name), getattr(trained, name))
        for name in ('queue', 'queue_count', 'steps', 'concepts')
    )

    # one process goes on from two, with a queue of another length
    own = saved['process_state']
    both = {name: torch.cat([value, value.flip(2) if name == 'queue' else value]) for name, value in own.items()}
    torch.save({**saved, 'process_state': both}, tmp_path / 'iter_2.pth')
    dealt = resumable(tmp_path, hook, 2, resume=True, queue=20)
    filled = [filled_part(queue, int(count)) for queue, count in zip(both['queue'], both['queue_count'])]
    assert dealt.queue_count == min(sum(map(len, filled)), 20)
    assert {tuple(row) for row in dealt.queue.tolist()} <= {tuple(row) for row in torch.cat(filled).tolist()}

    # the second process of two takes its own, also from a checkpoint of mmvice 0.1
    counts = both['queue_count']
    progress = torch.stack([both['steps'], counts % 16, counts.clamp(max=16)], dim=1)
    monkeypatch.setattr(method_state_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(method_state_hook, 'get_rank', lambda: 1)
    for name, value in dict(process_state=both, region_queues=dict(queue=both['queue'], progress=progress)).items():
        old = {key: part for key, part in saved.items() if key != 'process_state'}
        torch.save({**old, name: value}, tmp_path / 'iter_2.pth')
        assert torch.equal(resumable(tmp_path, hook, 2, resume=True).queue, both['queue'][1])
