"""Reading and comparing what trainings have saved."""

from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer

from mmvice.utils.checkpoint import load_checkpoint_file

TIMES = ('train/time', 'train/data_time')


def line(path: Path) -> torch.Tensor:
    """The weights that a toy task has trained."""
    return load_checkpoint_file(path)['state_dict']['line.weight']


def assert_same_training(a: dict, b: dict) -> None:
    """Weights, optimizer, schedules and logged curves of two checkpoints are the same, bit for bit."""
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(a[key], b[key], key)
    curves = [checkpoint['message_hub']['log_scalars'] for checkpoint in (a, b)]
    assert curves[0].keys() == curves[1].keys()
    for name in curves[0].keys() - set(TIMES):
        assert_same(curves[0][name], curves[1][name], name)


def assert_same(a: object, b: object, where: str = '') -> None:
    """Two nests of containers and tensors are equal."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, pair in enumerate(zip(a, b)):
            assert_same(*pair, f'{where}[{i}]')
    elif isinstance(a, HistoryBuffer):
        assert_same([part.tolist() for part in a.data], [part.tolist() for part in b.data], where)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where
