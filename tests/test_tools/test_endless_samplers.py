"""Samplers without an end under loops that wait for it."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader, Sampler

from mmvice.cli.errors import explain
from mmvice.datasets.samplers import SeededInfiniteSampler
from mmvice.engine import ClusterFitLoop
from mmvice.engine.checks import check_samplers_end
from mmvice.registry import DATA_SAMPLERS

EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=4)


@DATA_SAMPLERS.register_module()
class UnknownEndlessSampler(Sampler):
    """One of another project, of which nobody knows that it has no end."""

    def __init__(self, dataset, **_) -> None:
        self.size = len(dataset)

    def __len__(self) -> int:
        return self.size

    def __iter__(self):
        while True:
            yield from range(self.size)


@pytest.fixture
def run(tool, toy_config, monkeypatch):
    """Run a tool with a sampler in one of the toy config's loaders."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)

    def start(name: str, loader: str, sampler: str, *arguments: str, train_cfg: dict | None = None) -> None:
        cfg = Config.fromfile(toy_config)
        cfg[loader].sampler = dict(type=sampler)
        if loader == 'val_dataloader' or 'val_dataloader' in cfg:
            cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
        if train_cfg is not None:
            cfg.pop('train_cfg')
            cfg.train_cfg = train_cfg
        cfg.dump(toy_config.with_name('changed.py'))
        tool(name, toy_config.with_name('changed.py'), *arguments)

    return start


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The steps that a training has taken."""
    taken = []
    monkeypatch.setattr('mmengine.runner.loops.EpochBasedTrainLoop.run_iter', lambda loop, idx, _: taken.append(idx))
    monkeypatch.setattr('mmengine.runner.loops.IterBasedTrainLoop.run_iter', lambda loop, _: taken.append(loop.iter))
    return taken


@pytest.mark.parametrize('sampler', ['SeededInfiniteSampler', 'InfiniteSampler'])
def test_epochs_without_an_end(run, steps, sampler):
    with pytest.raises(ValueError) as error:
        run('train', 'train_dataloader', sampler, '--work-dir', 'run', train_cfg=EPOCHS)
    sentence = explain(error.value)
    assert sentence.startswith(f'{sampler} never ends, and EpochBasedTrainLoop waits for the end of train_dataloader')
    assert "sampler=dict(type='DefaultSampler', shuffle=True)" in sentence and 'max_epochs=4' in sentence
    assert steps == []


def test_a_validation_without_an_end_is_told_before_training(run, steps, toy_config):
    with toy_config.open('a') as config:
        config.write('val_dataloader = test_dataloader\nval_evaluator = test_evaluator\nval_cfg = dict()\n')
    with pytest.raises(ValueError, match='never ends, and ValLoop waits for the end of val_dataloader'):
        run('train', 'val_dataloader', 'SeededInfiniteSampler', '--work-dir', 'run')
    assert steps == []


def test_other_loops_that_wait(run, tool, toy_config):
    tool('train', toy_config, '--work-dir', 'run', '--cfg-options', 'train_dataloader.sampler.type=InfiniteSampler')
    with pytest.raises(ValueError, match='never ends, and TestLoop waits for the end of test_dataloader'):
        run('test', 'test_dataloader', 'InfiniteSampler', 'run/iter_4.pth')


def test_the_fit_of_clusters_waits_too():
    loop = object.__new__(ClusterFitLoop)
    loop.dataloader = DataLoader(range(8), sampler=SeededInfiniteSampler(range(8), seed=0))
    with pytest.raises(ValueError, match='SeededInfiniteSampler never ends, and ClusterFitLoop waits'):
        check_samplers_end(SimpleNamespace(_train_loop=loop, _val_loop=None, _test_loop=None))


@pytest.mark.parametrize('name, loader', [('train', 'train_dataloader'), ('test', 'test_dataloader')])
def test_an_unknown_endless_sampler_is_noticed_after_the_batches_that_it_announces(run, tool, toy_config, name, loader):
    if name == 'test':
        tool('train', toy_config, '--work-dir', 'run', '--cfg-options', 'train_dataloader.sampler.type=InfiniteSampler')
    arguments = ('run/iter_4.pth',) if name == 'test' else ('--work-dir', 'run')
    with pytest.raises(ValueError, match='UnknownEndlessSampler gives more than the 4 batches that it announces'):
        run(name, loader, 'UnknownEndlessSampler', *arguments, train_cfg=EPOCHS)


@pytest.mark.parametrize('announced', [8, 10**9, None])
def test_the_fit_of_clusters_takes_no_more_indices_than_there_are_images(announced):
    loop = object.__new__(ClusterFitLoop)
    sampler = UnknownEndlessSampler(range(8))
    if announced is not None:
        sampler.size = 8
    loop.dataloader = DataLoader(range(8), batch_size=2, sampler=sampler)
    sampler.size = announced or 3
    with pytest.raises(ValueError, match='UnknownEndlessSampler gives more than the 8 images of the dataset'):
        loop._indices()
    loop.dataloader = DataLoader(range(8), batch_size=3)
    assert loop._indices() == list(range(8))


def test_a_loop_that_does_not_wait_is_left_alone():
    runner = SimpleNamespace(_train_loop=None, _val_loop=dict(), _test_loop=None)
    check_samplers_end(runner)
