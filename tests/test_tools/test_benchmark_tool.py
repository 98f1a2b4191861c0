"""tools/analysis_tools/benchmark.py from the command line to table and JSON."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmvice.apis import init_model

CONFIGS = Path(__file__).parents[2] / 'configs'
PRETRAIN = CONFIGS / 'vice/vice_r18-w32_light-fpn_adamw-400_synthetic-64x64.py'
LINEAR = CONFIGS / 'linear_probe/random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py'
TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'benchmark.py'


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Run the benchmark in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)
    main = runpy.run_path(str(TOOL))['main']
    return lambda *argv: main([str(argument) for argument in argv])


def test_train_times_are_printed_and_written(tool, capsys):
    options = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    argv = ['--steps', 2, '--warmup', 0, '--batch-size', 1, '--out', 'sub/times.json', '--device', 'cpu']
    tool('train', PRETRAIN, *argv, '--cfg-options', *options, 'train_dataloader.dataset.num_scenes=2')
    result = json.loads(Path('sub/times.json').read_text())
    assert {'milliseconds', 'device', 'torch', 'config', 'images', 'views', 'steps'} <= set(result)
    assert (result['images'], result['steps'], result['workers']) == (1, 2, 0)
    out = capsys.readouterr().out
    assert all(f' {name} ' in out for name in ('Forward', 'Loss comp.', 'Backward', 'Optimization', 'Tot.', 'Data'))
    assert f'{result["milliseconds"]["Tot."]:.2f}' in out


def test_inference_times_of_a_checkpoint_and_of_random_weights(tool, capsys):
    torch.save(dict(state_dict=init_model(LINEAR).state_dict(), meta={}), 'probe.pth')
    common = ['--images', 2, '--warmup', 0, '--device', 'cpu']
    tool('inference', *common, '--out', 'a.json', '--linear', LINEAR, 'probe.pth')
    result = json.loads(Path('a.json').read_text())
    assert list(result['milliseconds']) == ['Segmentation model', 'Linear model']
    assert result['checkpoints'] == ['probe.pth'] and result['untrained'] == []
    cluster = CONFIGS / 'cluster_probe/random-init_r18-w32_light-fpn_cluster-64_synthetic-96x128.py'
    capsys.readouterr()
    tool('inference', *common, '--random', '--cluster', cluster)
    assert 'the centroids of the cluster model are random unit vectors' in capsys.readouterr().out
    torch.save(dict(state_dict=init_model(cluster).state_dict(), meta={}), 'unfitted.pth')
    with pytest.raises(SystemExit, match='error: this ClusterProbeHead has not been fitted'):
        tool('inference', *common, '--cluster', cluster, 'unfitted.pth')


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['train', 'gone.py'], 'no such file: gone.py'),
        (['inference'], 'give --linear, --cluster or both'),
        (['inference', '--linear', LINEAR], '--linear takes CONFIG CHECKPOINT'),
        (['inference', '--random', '--linear', LINEAR, 'x.pth'], '--linear takes CONFIG alone'),
        (['inference', '--linear', LINEAR, 'gone.pth'], 'no such file or folder: gone.pth'),
        (['inference', '--images', 0], 'must be at least 1'),
    ],
)
def test_wrong_command_lines_are_refused(tool, capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        tool(*argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_wrong_configs_are_told_in_one_line(tool):
    with pytest.raises(SystemExit, match='^error: .*training steps are timed for pretraining'):
        tool('train', LINEAR, '--steps', 1)
