"""A checkpoint with code in it is refused wherever one is read, and its code is not run."""

import os
import pickle
import runpy
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local
from PIL import Image

from mmvice.apis import build_runner, init_model

ROOT = Path(__file__).resolve().parents[1]
VICE = ROOT / 'configs/vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
PROBE = ROOT / 'configs/linear_probe/vice_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'


class Payload:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, with MMEngine's own loaders registered, which unpickle what torch refuses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    schemes = {**CheckpointLoader._schemes, '': load_from_local}
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'image.png')
    return tmp_path


def zipped(content: dict, file: Path) -> None:
    torch.save(content, file)


def legacy(content: dict, file: Path) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def pickled(content: dict, file: Path) -> None:
    file.write_bytes(pickle.dumps(content))


def tool(name: str, *arguments: object) -> None:
    argv = [str(argument) for argument in arguments]
    runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))['main'](argv)


def small(config: Path, here: Path) -> Config:
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.launcher, cfg.log_level = str(here / 'run'), 'none', 'WARNING'
    cfg.experiment_name = uuid.uuid4().hex
    cfg.custom_hooks = []
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(loader) is not None and 'num_scenes' in cfg[loader].dataset:
            cfg[loader].dataset.num_scenes = 2
    return cfg


def options(*values: str) -> list[str]:
    return ['--cfg-options', f'experiment_name={uuid.uuid4().hex}', 'log_level=WARNING', *values]


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


PATHS = (
    *(resume, resume_named, load_from, pretrained, embedder, embedder_of_a_folder, measure, initial_weights_hook),
    *(backbone_of_a_runner, backbone_with_a_prefix, backbone_in_inference, inference, embeddings, compare, benchmark),
    *(to_vice, to_mmseg),
)
BY_CHECKSUM = (resume, resume_named, embedder_of_a_folder)  # files that are no archive end before they are unpickled


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
    if form is pickled:  # without PyTorch's frame it is not looked into
        refused = 'cannot be read as a checkpoint' in message
    assert refused or (path in BY_CHECKSUM and form is not zipped and 'is damaged' in message), message
    assert 'weights_only' not in message, "advice to use torch's unsafe loader"
    assert not (here / 'out.pth').exists()


def test_the_payload_does_run_where_nothing_guards(here):
    """Were it harmless, the test above could not fail."""
    zipped(dict(extra=Payload(here / 'made')), here / 'evil.pth')
    torch.load(here / 'evil.pth', weights_only=False)
    assert (here / 'made').is_dir()


def test_a_program_is_refused(here):
    module = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(module, here / 'program.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'program\.pth was not loaded: it is a TorchScript program'):
        init_model(VICE, here / 'program.pth')


def test_a_tar_archive_is_refused(here):
    """PyTorch's safe loader unpickled what is in these before version 2.6."""
    (here / 'pickle').write_bytes(pickle.dumps(Payload(here / 'made')))
    with tarfile.open(here / 'old.pth', 'w') as archive:
        for name in ('pickle', 'pickle'):
            archive.add(here / name, name)
    with pytest.raises(pickle.UnpicklingError, match=r'old\.pth was not loaded: it has the format of PyTorch 0\.1'):
        init_model(VICE, here / 'old.pth')
    assert not (here / 'made').exists()
