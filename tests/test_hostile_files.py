"""A checkpoint with code in it is refused wherever one is read, and its code is not run."""

import json
import os
import pickle
import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from hostile_files import Payload, archived, continued, legacy, pickled, zipped
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local
from mmengine.utils.dl_utils import load_url
from PIL import Image

from mmvice.apis import build_runner, init_model
from mmvice.utils.weight_formats import read_weights

ROOT = Path(__file__).resolve().parents[1]
VICE = ROOT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBE = ROOT / 'configs/linear_probe/vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, with MMEngine's own loaders registered, which unpickle what torch refuses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    schemes = {**CheckpointLoader._schemes, '': load_from_local}
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    monkeypatch.setattr('mmengine.runner.checkpoint.load_url', load_url)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'image.png')
    return tmp_path


def tool(name: str, *arguments: object) -> None:
    argv = [str(argument) for argument in arguments]
    runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))['main'](argv)


def small(config: Path, here: Path) -> Config:
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.launcher, cfg.log_level = str(here / 'run'), 'none', 'WARNING'
    cfg.custom_hooks = []
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader) is not None and 'num_scenes' in cfg[loader].dataset:
            cfg[loader].dataset.num_scenes = 2
    return cfg


def options(*values: str) -> list[str]:
    return ['--cfg-options', 'log_level=WARNING', *values]


def resume(file: Path, here: Path) -> None:
    (here / 'run').mkdir()
    file.rename(here / 'run/iter_3.pth')
    (here / 'run/last_checkpoint').write_text(str(here / 'run/iter_3.pth'))
    tool('train', VICE, '--work-dir', 'run', '--resume', *options())


def resume_named(file: Path, here: Path) -> None:
    tool('train', VICE, '--work-dir', 'run', '--resume', *options(f'load_from={file}'))


def load_from(file: Path, here: Path) -> None:
    tool('train', VICE, '--work-dir', 'run', *options(f'load_from={file}'))


def pretrained(file: Path, here: Path) -> None:
    tool('train', VICE, '--work-dir', 'run', *options(f'model.pretrained={file}'))


def embedder(file: Path, here: Path) -> None:
    tool('train', PROBE, '--work-dir', 'run', *options(f'model.embedder_checkpoint={file}'))


def embedder_of_a_folder(file: Path, here: Path) -> None:
    (here / 'vice').mkdir()
    file.rename(here / 'vice/iter_3.pth')
    (here / 'vice/last_checkpoint').write_text('/moved/iter_3.pth')
    tool('train', PROBE, '--work-dir', 'run', *options('model.embedder_checkpoint=vice'))


def measure(file: Path, here: Path) -> None:
    tool('test', PROBE, file, '--work-dir', 'run', *options('model.embedder_checkpoint=None'))


def initial_weights_hook(file: Path, here: Path) -> None:
    cfg = small(VICE, here)
    cfg.custom_hooks = [dict(type='InitialWeightsHook', checkpoint=str(file))]
    build_runner(cfg).train()


def backbone_of_a_runner(file: Path, here: Path) -> None:
    cfg = small(VICE, here)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file))
    build_runner(cfg).train()


def backbone_with_a_prefix(file: Path, here: Path) -> None:
    cfg = small(VICE, here)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    build_runner(cfg).train()


def backbone_in_inference(file: Path, here: Path) -> None:
    init_model(VICE, cfg_options={'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=str(file))})


def inference(file: Path, here: Path) -> None:
    init_model(VICE, file)


def embeddings(file: Path, here: Path) -> None:
    tool('visualization/embeddings', VICE, file, 'image.png')


def compare(file: Path, here: Path) -> None:
    tool('visualization/compare', 'image.png', '--model', 'vice', VICE, file)


def benchmark(file: Path, here: Path) -> None:
    tool('analysis_tools/benchmark', 'inference', '--linear', PROBE, file)


def to_vice(file: Path, here: Path) -> None:
    tool('model_converters/to_vice', file, 'out.pth')


def to_mmseg(file: Path, here: Path) -> None:
    tool('model_converters/to_mmseg', file, 'out.pth')


def to_timm(file: Path, here: Path) -> None:
    tool('model_converters/to_timm', file, 'out.pth')


PATHS = (
    *(resume, resume_named, load_from, pretrained, embedder, embedder_of_a_folder, measure, initial_weights_hook),
    *(backbone_of_a_runner, backbone_with_a_prefix, backbone_in_inference, inference, embeddings, compare, benchmark),
    *(to_vice, to_mmseg, to_timm),
)
BY_CHECKSUM = (resume, resume_named, embedder_of_a_folder)  # files that have none end before they are unpickled
MKDIR = f'{os.mkdir.__module__}.mkdir'


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.__name__)
@pytest.mark.parametrize('form', [zipped, legacy, pickled], ids=lambda form: form.__name__)
def test_code_is_refused_and_not_run(here, path: Callable, form: Callable, capsys):
    file = here / 'evil.pth'
    weights = {'backbone.conv1.weight': torch.zeros(64, 3, 7, 7)}
    form(dict(state_dict=weights, meta=dict(epoch=0, iter=3), extra=Payload(here / 'made')), file)
    capsys.readouterr()
    with pytest.raises((pickle.UnpicklingError, SystemExit)) as stop:
        path(file, here)
    message = str(stop.value)
    if isinstance(stop.value, SystemExit) and stop.value.code == 2:
        message = capsys.readouterr().err
    assert not (here / 'made').exists(), 'the payload ran'
    refused = 'was not loaded: it refers to' in message
    if form is pickled:
        refused = (
            f'was not loaded: it is a bare pickle, which torch.save does not write, and refers to {MKDIR}' in message
        )
    if form is legacy and path in BY_CHECKSUM:
        refused = 'has the format of PyTorch before version 1.6' in message
    assert refused, message
    assert 'weights_only' not in message, "advice to use torch's unsafe loader"
    assert not (here / 'out.pth').exists()


def resume_a_url(url: str, here: Path) -> None:
    (here / 'run').mkdir()
    (here / 'run/last_checkpoint').write_text(url)
    tool('train', VICE, '--work-dir', 'run', '--resume', *options())


def embedder_of_a_folder_with_a_url(url: str, here: Path) -> None:
    (here / 'vice').mkdir()
    (here / 'vice/last_checkpoint').write_text(url)
    tool('train', PROBE, '--work-dir', 'run', *options('model.embedder_checkpoint=vice'))


def name_of_torchvision(url: str, here: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.runner.checkpoint.get_torchvision_models', lambda: {'resnet18': url})
        pretrained('torchvision://resnet18', here)


def name_of_openmmlab(url: str, here: Path) -> None:
    (here / 'home').mkdir()
    (here / 'home/open_mmlab.json').write_text(json.dumps({'mine': url}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMENGINE_HOME', str(here / 'home'))
        backbone_of_a_runner('open-mmlab://mine', here)


OF_FILES = (resume, embedder_of_a_folder, initial_weights_hook, inference, embeddings, compare, benchmark)
OF_URLS = (resume_a_url, embedder_of_a_folder_with_a_url, name_of_torchvision, name_of_openmmlab)
DOWNLOADS = (*(path for path in PATHS if path not in OF_FILES), *OF_URLS)


@pytest.fixture
def address(here, monkeypatch) -> Iterator[str]:
    """Of a server on this machine that offers what lies in the folder ``served``."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    (here / 'served').mkdir()
    monkeypatch.setenv('TORCH_HOME', str(here / 'cache'))
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, '127.0.0.1')
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=here / 'served')) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.mark.parametrize(
    'path, form',
    [*((path, zipped) for path in DOWNLOADS), *((pretrained, form) for form in (legacy, pickled, archived))],
    ids=lambda part: part.__name__,
)
def test_code_in_a_download_is_refused_and_not_run(here, address, path: Callable, form: Callable, capsys):
    weights = {'backbone.conv1.weight': torch.zeros(64, 3, 7, 7)}
    content = dict(state_dict=weights, meta=dict(epoch=0, iter=3), extra=Payload(here / 'made'))
    form(content, here / 'served/evil.pth')
    with pytest.raises((pickle.UnpicklingError, SystemExit)) as stop:
        path(f'{address}/evil.pth', here)
    assert not (here / 'made').exists(), 'the payload ran'
    assert (here / 'cache/hub/checkpoints/evil.pth').is_file(), 'it was not downloaded'
    message = str(stop.value)
    assert 'evil.pth was not loaded: ' in message
    assert 'weights_only' not in message, "advice to use torch's unsafe loader"
    assert not (here / 'out.pth').exists()


def test_weights_are_downloaded_once(here, address):
    state = torch.nn.Linear(2, 3).state_dict(prefix='backbone.')
    torch.save(dict(state_dict=state), here / 'served/good.pth')
    for _ in range(2):
        weights = read_weights(f'{address}/good.pth').weights
        assert weights.keys() == state.keys() and all(torch.equal(weights[name], state[name]) for name in state)
        (here / 'served/good.pth').unlink(missing_ok=True)


def test_what_cannot_be_downloaded_is_told(here, address):
    with pytest.raises(ConnectionError, match=rf'^{address}/gone\.pth could not be downloaded \(HTTP Error 404'):
        read_weights(f'{address}/gone.pth')
    with pytest.raises(ValueError, match=f'^{address}/ names no file to download'):
        read_weights(f'{address}/')
    torch.save(dict(state_dict={'weight': torch.zeros(999)}), here / 'served/cut.pth')
    (here / 'served/cut.pth').write_bytes((here / 'served/cut.pth').read_bytes()[:-99])
    message = rf'cut\.pth cannot be read as a checkpoint.*; it is from {address}/cut\.pth: remove it to have it'
    with pytest.raises(pickle.UnpicklingError, match=message):
        read_weights(f'{address}/cut.pth')


@pytest.fixture
def object_store(here, monkeypatch) -> None:
    """MMEngine's loader for object stores, with this folder in the place of one."""
    store = LocalBackend()
    monkeypatch.setattr(store, 'get', lambda name: (here / name.rpartition('/')[2]).read_bytes())
    monkeypatch.setattr('mmengine.runner.checkpoint.get_file_backend', lambda *args, **kwargs: store)


@pytest.mark.parametrize('path', [load_from, measure, backbone_of_a_runner], ids=lambda path: path.__name__)
def test_code_in_an_object_store_is_refused_and_not_run(here, object_store, path):
    """By torch's own switch, as MMEngine reads these by itself."""
    continued(dict(state_dict={}, extra=Payload(here / 'made')), here / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError):
        path('s3://bucket/evil.pth', here)
    assert not (here / 'made').exists(), 'the payload ran'


def test_mmengine_alone_runs_code_of_an_object_store(here, object_store):
    continued(dict(state_dict={}, extra=Payload(here / 'made')), here / 'evil.pth')
    with suppress(Exception):  # which comes after the payload, as what follows is no checkpoint
        CheckpointLoader.load_checkpoint('s3://bucket/evil.pth')
    assert (here / 'made').is_dir()


def test_the_payload_does_run_where_nothing_guards(here, address):
    """Were it harmless, the tests above could not fail."""
    zipped(dict(extra=Payload(here / 'made')), here / 'served/evil.pth')
    torch.load(here / 'served/evil.pth', weights_only=False)
    assert (here / 'made').is_dir()
    (here / 'made').rmdir()
    CheckpointLoader.load_checkpoint(f'{address}/evil.pth')
    assert (here / 'made').is_dir()


def test_a_program_is_refused(here):
    module = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(module, here / 'program.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'program\.pth was not loaded: it is a TorchScript program'):
        init_model(VICE, here / 'program.pth')


def test_a_tar_archive_is_refused(here):
    archived(dict(extra=Payload(here / 'made')), here / 'old.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'old\.pth was not loaded: it has the format of PyTorch 0\.1'):
        init_model(VICE, here / 'old.pth')
    assert not (here / 'made').exists()


@pytest.mark.parametrize('path', [load_from, inference], ids=lambda path: path.__name__)
def test_an_array_of_objects_is_refused_with_the_reason(here, path):
    objects = np.array([Payload(here / 'made')], dtype=object)
    torch.save(dict(state_dict={}, meta=dict(extra=objects)), here / 'evil.pth')
    with pytest.raises(
        pickle.UnpicklingError, match=r'evil\.pth was not loaded: it refers to numpy\.dtypes?\S*[oO]bject'
    ):
        path(here / 'evil.pth', here)
    assert not (here / 'made').exists()
