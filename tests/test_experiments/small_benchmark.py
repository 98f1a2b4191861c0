"""A benchmark of two rows with configs of a few lines, and results made by hand."""

from pathlib import Path

YAML = """
work_dirs: runs
remove_weights: true
sizes: {cpu: {configs: cpu, device: cpu}, gpu: {configs: gpu, device: cuda, amp: true}}
splits: {table: '', tune: _tune}
probes:
  linear-3: {probe: linear, options: {model.decode_head.num_filters: 3}}
  linear-8: {probe: linear, options: {model.decode_head.num_filters: 8}}
embedders:
  decoder: {}
  hypercolumns: {model.decoder._delete_: true, model.decoder.type: HypercolumnDecoder}
tables:
  bench:
    title: a benchmark
    columns: [linear-3, linear-8, × linear-3, × linear-8, end to end, pretraining, step]
    plot: {x: step, y: linear-8, series: name, lines: [random, supervised]}
    classes: linear-8
    each:
      run: '{name}'
      embedder: decoder
      pretrain: vice
      baseline: random
      results:
      - linear-3
      - linear-8
      - {source: pretraining, metrics: {end to end: [mIoU, aAcc], pretraining: seconds, step: step_time}}
    rows:
    - {name: random, title: nothing learned, pretrain: null, seeds: 2, results: [linear-3, linear-8]}
    - name: random-backbone
      title: nothing learned backbone
      run: random
      pretrain: null
      embedder: hypercolumns
      baseline: random-backbone
      results: [linear-3, linear-8]
    - {name: grid, title: on a grid, options: {train_dataloader.dataset.pipeline.Regions.size: 1}, seeds: 2}
    - {name: regions, title: on regions, seeds: 2, curve: 2}
    - name: regions-backbone
      title: on regions backbone
      run: regions
      embedder: hypercolumns
      baseline: random-backbone
    - {name: supervised, title: with labels, pretrain: supervised, labelled: true}
    differences: [[regions, grid]]
    pictures:
    - {rows: [random, regions], probe: linear-8, commands: ['compare.py {models} images --output-dir {out}']}
"""
TRAINING = """
model = dict(
    type='ProbeSegmentor',
    backbone=dict(depth=18),
    decoder=dict(type='LightFPN', embed_dims=4),
    decode_head=dict(num_filters=1),
    head=dict(k=2),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4)
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=[dict(type='Load'), dict(type='Regions', size=6)]))
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
    file = folder / 'bench.yml'
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
