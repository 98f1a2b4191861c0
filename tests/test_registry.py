"""Names resolve from mmvice's registries in a process that has imported nothing else."""

import subprocess
import sys

import pytest

# Wrappers first: nothing has imported the models by then.
NAMES = {
    'MODEL_WRAPPERS': ['FrozenModelWrapper'],
    'OPTIM_WRAPPERS': ['BFloat16OptimWrapper', 'OptimWrapper'],
    'MODELS': ['ViCE', 'DenseSwAVHead', 'LinearProbeHead', 'FPN', 'ResNet', 'mmpretrain.ConvNeXt'],
    'TRANSFORMS': ['SuperpixelSLIC', 'MutualRegions', 'PackSegInputs', 'LoadImageFromFile'],
    'DATASETS': ['UnlabeledImageDataset', 'CamVidDataset', 'SyntheticScenesDataset', 'CityscapesDataset'],
    'DATA_SAMPLERS': ['SeededInfiniteSampler', 'DefaultSampler'],
    'HOOKS': ['EmbeddingVisualizationHook', 'SegVisualizationHook', 'CheckpointHook'],
    'LOOPS': ['ClusterFitLoop', 'IterBasedTrainLoop'],
    'OPTIMIZERS': ['mmpretrain.LARS', 'AdamW'],
    'METRICS': ['IoUMetric'],
    'VISUALIZERS': ['SegLocalVisualizer'],
    'FUNCTIONS': ['pseudo_collate'],
}


@pytest.mark.slow
def test_names_resolve():
    code = (
        'from mmvice import registry\n'
        f'for name, entries in {NAMES!r}.items():\n'
        '    found = getattr(registry, name)\n'
        '    scope = "mmengine" if name == "FUNCTIONS" else "mmseg"\n'
        '    assert (found.scope, found.parent.scope) == ("mmvice", scope), name\n'
        '    missing = [entry for entry in entries if found.get(entry) is None]\n'
        '    assert not missing, (name, missing)\n'
    )
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
