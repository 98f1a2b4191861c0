"""Standard output is for results."""

import subprocess
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import mmseg.apis
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader, load_checkpoint

from mmvice.apis import init_model
from mmvice.utils.console import quiet_import

ROOT = Path(__file__).parents[2]
PROBE = dict(
    type='ProbeSegmentor',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
    decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
    decode_head=dict(type='LinearProbeHead', num_classes=3),
    data_preprocessor=dict(type='SegDataPreProcessor'),
)


def test_an_import_hides_known_lines_and_no_other(capsys):
    with quiet_import():
        sys.stdout.write('Could not import OneDL\n')
        sys.stdout.write('Could not import OneDL, says the user\n')
    assert capsys.readouterr().out == 'Could not import OneDL, says the user\n'


def test_what_a_failing_import_has_printed_is_shown(capsys):
    with pytest.raises(ImportError), quiet_import():
        sys.stdout.write('of the user\n')
        raise ImportError
    assert capsys.readouterr().out == 'of the user\n'


@pytest.mark.slow
def test_nothing_is_said_at_import_and_commands_are_a_shell_script(tmp_path):
    """In a program of its own, as imports happen once; it has all parts and a transform of MMPretrain."""
    code = (
        'import runpy, mmvice.apis, mmvice.registry; mmvice.registry.TRANSFORMS.get("mmpretrain.GaussianBlur"); '
        'main = runpy.run_path("tools/experiments.py")["main"]; '
        'main(["commands", "configs/experiments/paper.yml", "table-2-camvid"])'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('# table-2-camvid')
    assert 'OneDL' not in done.stdout + done.stderr and 'MultiScaleDeformableAttention' not in done.stderr
    subprocess.run(['bash', '-n'], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize('with_checkpoint', [False, True])
def test_a_model_in_a_program_of_ones_own_leaves_standard_output_alone(monkeypatch, tmp_path, capsys, with_checkpoint):
    """Where nothing has been logged yet, so that MMEngine makes its logger here, which writes to standard output."""
    config = Config(dict(default_scope='mmvice', model=PROBE))
    checkpoint = tmp_path / 'probe.pth' if with_checkpoint else None
    if with_checkpoint:
        torch.save(dict(state_dict=init_model(config).state_dict()), checkpoint)
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())
    capsys.readouterr()
    init_model(config, checkpoint)
    MMLogger.get_current_instance().info('of later')
    said = capsys.readouterr()
    assert said.out == ''
    assert 'of later' in said.err and ('Loaded ProbeSegmentor' in said.err) == with_checkpoint


@pytest.mark.parametrize('load', ['init_model', 'load_checkpoint', 'CheckpointLoader'])
def test_a_checkpoint_that_mmengine_loads_is_not_told_on_standard_output(monkeypatch, tmp_path, capsys, load):
    config, checkpoint = Config(dict(default_scope='mmvice', model=PROBE)), str(tmp_path / 'probe.pth')
    model = init_model(config)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta={})), checkpoint)
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())
    capsys.readouterr()
    if load == 'init_model':
        mmseg.apis.init_model(config, checkpoint, device='cpu')
    elif load == 'load_checkpoint':
        load_checkpoint(model, checkpoint)
    else:
        CheckpointLoader.load_checkpoint(checkpoint)
    said = capsys.readouterr()
    assert said.out == '' and 'Loads checkpoint by local backend' in said.err


def test_a_warning_of_a_default_that_configs_mean_is_hidden_and_no_other():
    """As an import leaves the filters: pytest sets its own for each test."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        with quiet_import():
            pass
        init_model(Config(dict(default_scope='mmvice', model=PROBE)))
        warnings.warn('avg_non_ignore of the user', stacklevel=1)
    said = [str(warning.message) for warning in seen]
    assert 'avg_non_ignore of the user' in said
    assert not [text for text in said if text.startswith('Default ``avg_non_ignore``')]


@pytest.mark.slow
def test_the_profiler_of_the_benchmarks_says_nothing():
    """In a program of its own, as the profiler reads its level once."""
    code = 'from benchmarks.harness import profile_text; import torch; print(profile_text(lambda: torch.ones(9).sum()))'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 'aten::sum' in done.stdout and 'rofiler' not in done.stderr
