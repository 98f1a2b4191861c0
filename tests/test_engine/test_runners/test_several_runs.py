"""Several runs in one process, as in a notebook, each in its own folder."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch.utils.data import Dataset

from mmvice.apis import build_runner
from mmvice.experiments.quickstart import QuietRunner
from mmvice.registry import DATASETS, HOOKS, MODELS

CONFIG = """
default_scope = 'mmvice'
randomness = dict(seed=0)
model = dict(type='Scalar')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
train_dataloader = dict(
    batch_size=1, num_workers=0, dataset=dict(type='Ones'), sampler=dict(type='DefaultSampler', shuffle=False)
)
train_cfg = dict(by_epoch=False, max_iters=2)
custom_hooks = [dict(type='Sketch')]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1), checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2)
)
log_processor = dict(by_epoch=False)
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
level = 1.0
"""


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    for registry in (MODELS, DATASETS, HOOKS):
        monkeypatch.setattr(registry, '_module_dict', dict(registry.module_dict))

    @MODELS.register_module()
    class Scalar(BaseModel):
        def __init__(self, data_preprocessor=None):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x, mode):
            return dict(loss=(self.weight * x[0]).sum())

    @DATASETS.register_module()
    class Ones(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return dict(x=torch.ones(1))

    @HOOKS.register_module()
    class Sketch(Hook):
        """Logs and draws through whatever MMEngine calls current."""

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            name = Path(runner.work_dir).name
            print_log(f'step of {name}', logger='current')
            image = np.zeros((2, 2, 3), np.uint8)
            Visualizer.get_current_instance().add_image(f'of-{name}', image, runner.iter)
            MessageHub.get_current_instance().update_info('last', name)
            assert DefaultScope.get_current_instance() is runner.default_scope


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'tiny.py'
    file.write_text(CONFIG)

    def make(name: str, **changes) -> Config:
        cfg = Config.fromfile(file)
        cfg.work_dir = str(tmp_path / name)
        cfg.merge_from_dict(changes)
        return cfg

    return make


def written(folder: Path) -> dict[str, set]:
    """Which runs left pictures, lines and settings in a folder."""
    logs = ''.join(file.read_text() for file in folder.glob('*/*.log'))
    scalars = [json.loads(line) for file in folder.glob('*/vis_data/scalars.json') for line in file.open()]
    return dict(
        pictures={file.name.partition('_')[0].removeprefix('of-') for file in folder.glob('*/vis_data/vis_image/*')},
        lines={line.split()[-1] for line in logs.splitlines() if 'step of' in line},
        steps=[entry['step'] for entry in scalars if 'loss' in entry],
        configs={Config.fromfile(file).work_dir for file in folder.glob('*/vis_data/config.py')},
    )


def own(tmp_path: Path, name: str, steps: list[int]) -> dict[str, set]:
    return dict(pictures={name}, lines={name}, steps=steps, configs={str(tmp_path / name)})


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'experiment_name': 'same'},
        {'visualizer': None},
        {'visualizer': dict(type='mmengine.Visualizer', name='v', vis_backends=[dict(type='LocalVisBackend')])},
        {'runner_type': 'QuietRunner'},
    ],
    ids=['visualizer named', 'experiment named', 'no visualizer', 'another kind', 'another runner'],
)
def test_each_run_writes_into_its_own_folder_whatever_the_order(config, tmp_path, changes):
    first, second = (build_runner(config(name, **changes)) for name in ('a', 'b'))
    second.train()
    first.train()
    for name in ('a', 'b'):
        assert written(tmp_path / name) == own(tmp_path, name, [1, 2])
    assert (first.message_hub.get_info('last'), second.message_hub.get_info('last')) == ('a', 'b')
    assert MMLogger.get_current_instance() is first.logger
    if changes.get('runner_type'):
        assert isinstance(first, QuietRunner)


def test_the_name_of_a_visualizer_is_that_of_the_latest_run(config):
    for name in ('a', 'b'):
        runner = build_runner(config(name))
        assert Visualizer.get_instance('visualizer') is runner.visualizer


def test_two_runs_of_one_second_in_one_folder_have_a_log_each(config, tmp_path):
    folders = {build_runner(config('a')).log_dir for _ in range(3)}
    assert len(folders) == 3
    assert {Path(folder).parent for folder in folders} == {tmp_path / 'a'}


def test_a_plain_config_goes_to_the_folder_of_its_name_and_stays_as_it_is(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile('tiny.py')
    before = cfg.pretty_text
    build_runner(cfg).train()
    assert (tmp_path / 'work_dirs/tiny/iter_2.pth').is_file()
    assert cfg.pretty_text == before


def test_resuming_twice_from_one_config_takes_the_latest_checkpoint_each_time(config):
    cfg = config('a', resume=True)
    for steps in (2, 4, 5):
        cfg.train_cfg.max_iters = steps
        runner = build_runner(cfg)
        runner.train()
    assert runner.iter == 5
    assert 'iter_4.pth' in str(runner._load_from)


def test_a_config_of_no_file_needs_a_work_folder():
    with pytest.raises(ValueError, match='neither a file name nor a work_dir: set cfg.work_dir'):
        build_runner(Config(dict(model=dict(type='Scalar'))))


def test_logs_go_to_standard_error_without_what_is_mmengines_own(config, capsys):
    runner = build_runner(config('a'))
    runner.train()
    runner.logger.warning('of the user')
    runner.logger.log(logging.WARNING, 'The prefix is not set in metric class X.')
    captured = capsys.readouterr()
    assert captured.out == ''
    assert 'step of a' in captured.err and 'of the user' in captured.err
    assert 'prefix is not set' not in captured.err and 'FileClient' not in captured.err
    (log,) = Path(runner.work_dir).glob('*/*.log')
    assert 'prefix is not set' in log.read_text() and 'FileClient' in log.read_text()


def test_where_a_checkpoint_is_loaded_nothing_is_printed(config, capsys):
    build_runner(config('a')).train()
    runner = build_runner(config('b', load_from=str(Path(config('a').work_dir, 'iter_2.pth'))))
    runner.load_or_resume()
    captured = capsys.readouterr()
    assert captured.out == '' and 'Loads checkpoint by local backend' in captured.err
