"""A config for the tools, and the tools themselves."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.runner import CheckpointLoader

from mmvice.engine.checks import resumed_settings, resumed_state, resumed_steps

TOOLS = Path(__file__).parents[2] / 'tools'

CONFIG = """
default_scope = 'mmvice'
custom_imports = dict(imports=['toy_task'], allow_failed_imports=False)
randomness = dict(seed=0)
model = dict(type='ToyModel')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = [dict(type='PolyLR', by_epoch=False, end=8)]
train_dataloader = dict(
    batch_size=2, dataset=dict(type='ToyPoints'), sampler=dict(type='DefaultSampler', shuffle=False)
)
test_dataloader = dict(batch_size=2, dataset=dict(type='ToyPoints'), sampler=dict(type='DefaultSampler', shuffle=False))
train_cfg = dict(by_epoch=False, max_iters=4)
test_cfg = dict()
test_evaluator = dict(type='ToyMetric')
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
auto_scale_lr = dict(base_batch_size=16)
"""


@pytest.fixture
def toy_config(tmp_path: Path) -> Path:
    """A config file that trains for four steps."""
    file = tmp_path / 'toy.py'
    file.write_text(CONFIG)
    return file


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Run a tool in this process, in an empty folder: ``tool('train', config, '--amp')``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)

    def run(name: str, *arguments: object) -> None:
        argv = [str(argument) for argument in arguments]
        runpy.run_path(str(TOOLS / f'{name}.py'))['main'](argv)

    return run


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What checks of a resumed run warn of."""
    texts = []
    for module in (resumed_settings, resumed_state, resumed_steps):
        monkeypatch.setattr(module, 'print_log', lambda text, **_: texts.append(text))
    return texts
