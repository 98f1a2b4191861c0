"""A benchmark of two rows with configs of a few lines, and results made by hand."""

from pathlib import Path

YAML = """
probes:
  linear-3: {config: linear, options: {model.decode_head.num_filters: 3}}
  linear-8: {config: linear, options: {model.decode_head.num_filters: 8}}
embedders:
  decoder: {}
  hypercolumns: {model.decoder._delete_: true, model.decoder.type: HypercolumnDecoder}
rows:
  random: {title: nothing learned, seeds: 2}
  random-backbone: {title: nothing learned backbone, run: random, embedder: hypercolumns}
  grid:
    title: on a grid
    pretrain: vice
    options: {train_dataloader.dataset.pipeline.Regions.size: 1}
    seeds: 2
  regions: {title: on regions, pretrain: vice, seeds: 2, curve: 2}
  regions-backbone: {title: on regions backbone, run: regions, embedder: hypercolumns}
  supervised: {title: with labels, pretrain: supervised, labelled: true}
curve_probe: linear-8
baselines: {decoder: random, hypercolumns: random-backbone}
comparisons: [[regions, grid]]
"""
TRAINING = """
model = dict(
    backbone=dict(depth=18),
    decoder=dict(type='LightFPN', embed_dims=4),
    decode_head=dict(num_filters=1),
    head=dict(k=2),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4)
train_dataloader = dict(dataset=dict(pipeline=[dict(type='Load'), dict(type='Regions', size=6)]))
default_hooks = dict(checkpoint=dict(interval=4, max_keep_ckpts=1))
"""


def write_benchmark(folder: Path) -> Path:
    """Write its file and its configs; both splits and sizes have the same."""
    for size in ('cpu', 'gpu'):
        (folder / size).mkdir(parents=True)
        for name in ('vice', 'supervised', 'supervised_tune'):
            (folder / size / f'{name}.py').write_text(TRAINING)
        for name in ('linear', 'linear_tune'):
            (folder / size / f'{name}.py').write_text(TRAINING + 'val_cfg = dict(type="ValLoop")\n')
    file = folder / 'benchmark.yml'
    file.write_text(YAML)
    return file


def result(run, probe=None, seed=0, miou=None, acc=60.0, **changes):
    """A result as a training leaves it."""
    metrics = {}
    if miou is not None:
        classes = {'road': dict(IoU=miou + 30, Acc=90.0), 'sign': dict(IoU=None, Acc=None)}
        metrics = dict(mIoU=miou, aAcc=acc, mAcc=miou + 5, classes=classes)
    return {
        'size': 'cpu',
        'split': None if probe is None else 'table',
        'run': run,
        'variant': None,
        'seed': seed,
        'probe': probe,
        'embedder': None if probe is None else 'decoder',
        'step': None,
        'options': {},
        'variant_options': {},
        'fingerprint': 'f',
        'steps': 4,
        'processor_seconds': 1200.0,
        'wall_seconds': 1300.0,
        **metrics,
        **changes,
    }
