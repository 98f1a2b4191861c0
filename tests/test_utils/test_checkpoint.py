"""Checkpoints are read in full, and never run."""

import errno
import pickle
import re
import zipfile
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hostile_files import Payload, legacy, zipped
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_checkpoint

from mmvice.utils.checkpoint import load_checkpoint_file, register_safe_checkpoint_loading


class Reached:
    """Asks, when unpickled, for an attribute of an allowed class that leads on to everything else."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


class Large:
    """Unpickled, it asks for a terabyte."""

    def __reduce__(self):
        return bytes, (1 << 40,)


@pytest.fixture
def safe_loading(monkeypatch):
    """Safe loading in MMEngine, for one test."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    register_safe_checkpoint_loading()


@pytest.fixture
def checkpoint() -> dict:
    """What a Runner saves beside weights: curves, NumPy arrays and scalars of several types, counters."""
    curve = HistoryBuffer([1.0, 3.0], [1, 1])
    return dict(
        state_dict=dict(weight=torch.arange(4.0), steps=torch.tensor(3)),
        message_hub=dict(log_scalars={'train/loss': curve}, runtime_info={'best': np.float32(0.5), 'iter': 7}),
        meta=dict(
            palette=np.eye(3, dtype=np.uint8),
            mask=np.array([True, False]),
            half=np.ones(2, np.float16),
            none=np.zeros(0),
        ),
    )


def assert_as_saved(loaded: dict) -> None:
    """Compare with the fixture."""
    torch.testing.assert_close(loaded['state_dict']['weight'], torch.arange(4.0), rtol=0, atol=0)
    curve = loaded['message_hub']['log_scalars']['train/loss']
    assert curve.mean() == 2
    assert curve.current() == 3
    assert curve.statistics('max') == 3
    assert loaded['message_hub']['runtime_info'] == {'best': np.float32(0.5), 'iter': 7}
    np.testing.assert_array_equal(loaded['meta']['palette'], np.eye(3, dtype=np.uint8))
    np.testing.assert_array_equal(loaded['meta']['mask'], [True, False])
    assert loaded['meta']['half'].dtype == np.float16
    assert loaded['meta']['none'].shape == (0,) and loaded['meta']['none'].dtype == np.float64


def test_everything_in_a_checkpoint_comes_back(tmp_path, checkpoint):
    torch.save(checkpoint, tmp_path / 'a.pth')
    assert_as_saved(load_checkpoint_file(tmp_path / 'a.pth'))
    assert_as_saved(load_checkpoint_file(str(tmp_path / 'a.pth'), map_location=None))


@pytest.mark.parametrize('core', ['core', '_core'])
def test_files_of_both_numpy_majors_are_read(tmp_path, checkpoint, core):
    torch.save(checkpoint, tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as source, zipfile.ZipFile(tmp_path / 'b.pth', 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith('/data.pkl'):
                content = content.replace(b'numpy._core.', b'numpy.core.').replace(
                    b'numpy.core.', f'numpy.{core}.'.encode()
                )
            target.writestr(name, content)
    assert_as_saved(load_checkpoint_file(tmp_path / 'b.pth'))


def test_a_payload_is_refused_by_name_and_not_run(tmp_path):
    file = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, meta=Payload(tmp_path / 'made')), file)
    with pytest.raises(pickle.UnpicklingError, match=r'evil\.pth was not loaded: it refers to \w+\.mkdir'):
        load_checkpoint_file(file)
    assert not (tmp_path / 'made').exists()


def test_getattr_reaches_nothing_but_statistics(tmp_path):
    torch.save(dict(meta=Reached()), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'refers to HistoryBuffer\.__init__'):
        load_checkpoint_file(tmp_path / 'evil.pth')


def test_bytes_are_made_of_nothing_but_arrays_without_values(tmp_path):
    torch.save(dict(meta=Large()), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'refers to builtins\.bytes'):
        load_checkpoint_file(tmp_path / 'evil.pth')


def test_mmengine_loads_safely_once_registered(tmp_path, safe_loading, checkpoint):
    model = torch.nn.Linear(2, 1)
    torch.save(dict(checkpoint, state_dict=model.state_dict()), tmp_path / 'good.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=Payload(tmp_path / 'made')), tmp_path / 'evil.pth')
    load_checkpoint(model, str(tmp_path / 'good.pth'), map_location='cpu', strict=True)
    with pytest.raises(pickle.UnpicklingError, match='was not loaded'):
        load_checkpoint(model, str(tmp_path / 'evil.pth'), map_location='cpu')
    with pytest.raises(pickle.UnpicklingError):  # what a loader for URLs does after the download
        torch.load(tmp_path / 'evil.pth', weights_only=False)
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize('form', [zipped, legacy], ids=lambda form: form.__name__)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_damage_of_any_kind_is_told_with_the_name(tmp_path, checkpoint, form):
    """Cut off anywhere, or with bytes overwritten: without checksums of its own a file may still be read, not crash."""
    file, rng = tmp_path / 'broken.pth', np.random.default_rng(0)
    form(checkpoint, file)
    whole = file.read_bytes()
    load_checkpoint_file(file)
    cut = [whole[:size] for size in range(0, len(whole), len(whole) // 100)]
    overwritten = []
    for _ in range(300):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(len(whole), size=rng.choice([1, 3, 20]))
        content[places] = rng.integers(256, size=len(places))
        overwritten.append(content.tobytes())
    for content in (*cut, *overwritten):
        file.write_bytes(content)
        try:
            load_checkpoint_file(file)
        except pickle.UnpicklingError as error:
            assert re.search(r'broken\.pth (cannot be read as a checkpoint|was not loaded: it refers to)', str(error))
        else:
            assert content in overwritten


def test_errors_that_are_not_of_the_file_are_passed_on(tmp_path, checkpoint, monkeypatch):
    torch.save(checkpoint, tmp_path / 'a.pth')
    for error in (
        torch.OutOfMemoryError('CUDA out of memory'),
        OSError(errno.EIO, 'Input/output error'),
        MemoryError(),
    ):
        monkeypatch.setattr(torch, 'load', Mock(side_effect=error))
        with pytest.raises(type(error)) as raised:
            load_checkpoint_file(tmp_path / 'a.pth')
        assert raised.value is error and error.__cause__ is None


def test_missing_and_broken_files_are_named(tmp_path, checkpoint):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint file at .*nothing\.pth'):
        load_checkpoint_file(tmp_path / 'nothing.pth')
    torch.save(checkpoint, tmp_path / 'whole.pth')
    whole = (tmp_path / 'whole.pth').read_bytes()
    for content in (b'', b'not a checkpoint', whole[: len(whole) // 2]):
        (tmp_path / 'broken.pth').write_bytes(content)
        with pytest.raises(pickle.UnpicklingError, match=r'broken\.pth cannot be read as a checkpoint'):
            load_checkpoint_file(tmp_path / 'broken.pth')


@pytest.fixture
def nothing_allowed():
    """torch's safe loader as a new process has it."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


def test_what_the_docs_say_of_torch_load(checkpoint, tmp_path, monkeypatch, nothing_allowed):
    """Their lines read a checkpoint that torch's loader refuses as it is, and still refuse one that would run code."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / 'docs' / 'weights.md'
    [lines] = [
        block for block in re.findall(r'```python\n(.+?)```', page.read_text(), re.DOTALL) if 'torch.load' in block
    ]
    file = tmp_path / re.search(r"torch\.load\('(.+?)'", lines)[1]
    file.parent.mkdir(parents=True)
    torch.save(checkpoint, file)
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        torch.load(file, weights_only=True)
    names = {}
    exec(lines, names)
    assert_as_saved(names['checkpoint'])
    assert names['weights'].keys() == checkpoint['state_dict'].keys()
    assert_as_saved(load_checkpoint(torch.nn.Module(), str(file), strict=False))
    for evil in (Reached(), Payload(tmp_path / 'run')):
        torch.save(dict(state_dict={}, evil=evil), file)
        with pytest.raises(pickle.UnpicklingError):
            exec(lines, {})
    assert not (tmp_path / 'run').exists()
