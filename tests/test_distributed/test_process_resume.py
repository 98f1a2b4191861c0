"""Runs of several processes that resume: in as many, in another number, and against a run of one."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from processes import free_port, run_processes

from mmvice.apis import build_runner
from mmvice.utils.checkpoint import load_checkpoint_file

CONFIG = Path(__file__).parents[2] / 'configs' / 'vice' / 'vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
STEPS, BATCH = 4, 4  # the images of all processes together, and so is the length of the queues


def train(work_dir: Path, queue: int | None, port: int, start: str | None = None, stop: int = STEPS) -> None:
    """Train in this process, one of those that share batch and queue; go on from the checkpoint ``start``.

    Without a queue, another method is trained.
    """
    world_size = int(os.environ['WORLD_SIZE'])
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES='')
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir, cfg.log_level = str(work_dir), 'WARNING'
    cfg.launcher = 'pytorch' if world_size > 1 else 'none'
    cfg.resume, cfg.load_from = start is not None, start
    cfg.randomness.seed = 0
    cfg.model.backbone.update(base_channels=4, stem_channels=4)
    cfg.model.decoder.in_channels = [4, 8, 16, 32]
    if queue is None:
        cfg.model.head = dict(type='ODCHead', num_concepts=8, min_size=0.9)
    else:
        steps = dict(queue_start_iter=1, freeze_concepts_iters=1)
        cfg.model.head.update(num_concepts=8, queue_length=queue // world_size, **steps)
    cfg.train_dataloader.update(batch_size=BATCH // world_size, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.num_scenes = 7
    cfg.param_scheduler[0].end = STEPS  # also of a run that stops before
    # no Adam: it divides gradients by their own size, and enlarges rounding errors
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
    cfg.train_cfg.max_iters = stop
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1, save_best='score', rule='greater')
    cfg.custom_hooks = [
        dict(type='EMAHook', momentum=0.1),  # exchanges the state dicts of the model and of its average
        dict(type='CheckpointHook', interval=1, by_epoch=True),
    ]
    runner = build_runner(cfg)
    runner.train()
    for hook in runner.hooks:  # as after an epoch and its validation
        if isinstance(hook, CheckpointHook):
            hook.after_train_epoch(runner)
            hook.after_val_epoch(runner, dict(score=1.0))


def run(count: int, work_dir: Path, queue: int | None, start: Path | None = None, stop: int = STEPS) -> None:
    run_processes(train, count, work_dir, queue, free_port(), start and str(start), stop)


def flat(value: object, name: str = '') -> dict[str, object]:
    """Leaves of nested containers, by their path."""
    if isinstance(value, dict):
        return {k: v for key, entry in value.items() for k, v in flat(entry, f'{name}.{key}').items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, entry in enumerate(value) for k, v in flat(entry, f'{name}.{i}').items()}
    return {name: value}


def same(a: object, b: object) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def losses(saved: dict) -> torch.Tensor:
    return torch.tensor(saved['message_hub']['log_scalars']['train/loss']._log_history)


def test_two_processes_that_resume_equal_two_that_never_stopped(tmp_path):
    run(2, tmp_path / 'whole', queue=300)
    run(2, tmp_path / 'parts', queue=300, start=tmp_path / 'whole' / 'iter_2.pth')
    whole, parts = (load_checkpoint_file(tmp_path / name / f'iter_{STEPS}.pth') for name in ('whole', 'parts'))
    for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'process_state'):
        expected, given = flat(whole[part]), flat(parts[part])
        assert expected.keys() == given.keys()
        assert [name for name, value in expected.items() if not same(value, given[name])] == []
    assert torch.equal(losses(whole), losses(parts))

    queues, counts, steps = (whole['process_state'][name] for name in ('queue', 'queue_count', 'steps'))
    assert queues.shape == (2, 150, 64) and (counts > 150).all() and (steps == STEPS).all()
    assert not torch.equal(*queues) and torch.equal(queues[0], whole['state_dict']['head.queue'])
    for name in ('best_score_iter_4.pth', 'epoch_1.pth'):  # whoever asks for a checkpoint, it has the queues
        assert torch.equal(load_checkpoint_file(tmp_path / 'whole' / name)['process_state']['queue'], queues)


@pytest.mark.slow
def test_another_method_in_two_processes_resumes_and_equals_one(tmp_path):
    for name, count in (('one', 1), ('two', 2)):
        run(count, tmp_path / name, queue=None)
    run(2, tmp_path / 'parts', None, tmp_path / 'two' / 'iter_2.pth')
    one, two, parts = (load_checkpoint_file(tmp_path / name / f'iter_{STEPS}.pth') for name in ('one', 'two', 'parts'))
    for part in ('state_dict', 'optimizer'):
        expected, given = flat(two[part]), flat(parts[part])
        assert [name for name, value in expected.items() if not same(value, given[name])] == []
    torch.testing.assert_close(losses(two), losses(one), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        two['state_dict']['head.concepts'], one['state_dict']['head.concepts'], rtol=0, atol=1e-3
    )


@pytest.mark.slow
def test_processes_may_be_another_number_after_each_stop(tmp_path):
    """1, 2, 4 and 1 again: the run of one process but for rounding, as the queues never overflow."""
    run(1, tmp_path / 'one', queue=4000)
    start = tmp_path / 'one' / 'iter_1.pth'
    for step, count in enumerate([2, 4, 1], 2):
        run(count, tmp_path / f'by {count}', 4000, start, stop=step)
        start = tmp_path / f'by {count}' / f'iter_{step}.pth'
    one, several = load_checkpoint_file(tmp_path / 'one' / f'iter_{STEPS}.pth'), load_checkpoint_file(start)
    assert len(one['process_state']['queue']) == len(several['process_state']['queue']) == 1
    torch.testing.assert_close(losses(several), losses(one), rtol=1e-5, atol=0)
    for name in ('head.steps', 'head.queue_count'):
        assert several['state_dict'][name] == one['state_dict'][name]
    for name, value in one['state_dict'].items():
        given = several['state_dict'][name]
        if name == 'head.queue':  # the same embeddings in another order
            filled = int(one['state_dict']['head.queue_count'])
            distances = 1 - value[:filled] @ given[:filled].T
            assert filled > 400 and max(distances.amin(0).max(), distances.amin(1).max()) < 1e-5
        else:
            assert (given - value).double().norm() <= 1e-3 * value.double().norm(), name
