"""A small paper with its configs, and runs in MMEngine's format."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmvice.experiments.reader import read_experiments
from mmvice.experiments.tables import Experiments

EMBEDDER = """
    backbone=dict(type='ResNet', depth=18, strides=(1, 2, 2, 2){weights}),
    decoder=dict(type='LightFPN', in_channels=[64, 128], embed_dims={dims}),"""
PRETRAIN = """model = dict(
    type='ViCE',{embedder}
    head=dict(type='DenseSwAVHead', queue_length=5000, queue_start_iter=313, freeze_concepts_iters=313),
)
train_dataloader = dict(batch_size={batch})
train_cfg = dict({length})
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=100))
auto_scale_lr = dict(base_batch_size={base})
"""
PROBE = """model = dict(
    type='ProbeSegmentor',{embedder}
    embedder_checkpoint={checkpoint!r},
    decode_head=dict(type='Head', num_filters=256),
)
train_cfg = dict({length})
"""
EPOCHS, STEPS = "type='EpochCountedTrainLoop', max_epochs=4", "type='IterBasedTrainLoop', max_iters={}"
TRAINED, PLAIN = (
    EMBEDDER.format(weights=w, dims=d) for w, d in ((", init_cfg=dict(type='Pretrained')", 64), ('', 128))
)
CONFIGS = {
    'vice/pre': PRETRAIN.format(embedder=TRAINED, batch=4, length=EPOCHS, base=128),
    'vice/small': PRETRAIN.format(embedder=TRAINED, batch=8, length=STEPS.format(500), base=8),
    'probe/linear': PROBE.format(embedder=PLAIN, checkpoint='given.pth', length=STEPS.format(1000)),
    'probe/cluster': PROBE.format(embedder=PLAIN, checkpoint='given.pth', length="type='ClusterFitLoop'"),
    'probe/random': PROBE.format(embedder=PLAIN, checkpoint=None, length=STEPS.format(1000)),
    'finetune/fine': "model = dict(type='EncoderDecoder')\n"
    "custom_hooks = [dict(type='InitialWeightsHook', checkpoint='mmseg.pth')]\n"
    f'train_cfg = dict({STEPS.format(20)})\ndataset = dict()\n',
}
PAPER = """
tables:
  table-1:
    title: Low resolution
    note: a note
    columns: [mIoU, aAcc, Time]
    rows:
    - {name: PiCIE, group: COCO, paper: {mIoU: 13.84, aAcc: null}}
    - name: ViCE (L)
      group: COCO
      pretrain: vice/pre
      results:
      - {probe: probe/linear, options: {model.decode_head.num_filters: 45}, metrics: [mIoU, aAcc]}
      - {source: pretraining, metrics: {Time: train_time}}
      paper: {mIoU: 24.09, aAcc: 62.26, Time: 5h 31min}
    - {name: random, group: none, results: [{probe: probe/random, metrics: [mIoU]}], paper: {mIoU: 7.5}}
  table-2:
    title: Changes
    columns: [mIoU, Δ mIoU]
    each: {results: [{probe: probe/linear, metrics: [mIoU]}]}
    rows:
    - {name: baseline, pretrain: vice/small}
    - {name: changed, pretrain: vice/pre, baseline: baseline, paper: {Δ mIoU: 2.34}}
  table-3:
    title: Files
    each: {pretrain: vice/pre}
    rows:
    - name: step
      results:
      - source: benchmark_train.json
        command: python bench.py {config} --out {run}/benchmark_train.json
        metrics: [Forward]
      paper: {Forward: 429}
    - name: fine-tuned
      results:
      - probe: finetune/fine
        options: {dataset.ann_file: lists/half.txt, custom_hooks.0.checkpoint: '{run}/mmseg.pth'}
        before: ['python convert.py {run} {run}/mmseg.pth']
        metrics: {ViCE: mIoU}
      - probe: finetune/fine
        pretrain: null
        options: {dataset.ann_file: lists/half.txt}
        metrics: {Supervised: mIoU}
      paper: {Supervised: 55.68}
  figure-4:
    title: Sizes
    plot: {x: Base size, y: mIoU, series: group, xscale: log}
    rows:
    - name: grid 20
      group: grid
      x: 20
      pretrain: vice/pre
      results: [{probe: probe/linear, metrics: [mIoU]}]
      paper: {mIoU: 21.5}
    - name: grid 5
      group: grid
      x: 5
      pretrain: vice/small
      results: [{probe: probe/cluster, metrics: [mIoU]}]
      paper: {mIoU: 20.5}
  figure-5:
    title: Colours
    pictures:
    - {pretrain: vice/small, commands: ['python views.py {config} --output-dir {run}/figure-5']}
    - pretrain: vice/pre
      probe: probe/cluster
      commands: ['python look.py {probe_config} {probe_run} images --output-dir {run}/figure-5']
  figure-7:
    title: From scratch
    plot: {x: epoch, y: mIoU, series: name}
    rows:
    - name: Cityscapes
      pretrain: vice/pre
      curve: true
      results: [{probe: probe/linear, metrics: [mIoU]}]
      paper: {mIoU: 26.05}
"""


def write_example(root: Path, text: str = PAPER) -> Experiments:
    """Write the configs and the file into ``root/configs``, and read it."""
    for name, content in CONFIGS.items():
        file = root / 'configs' / f'{name}.py'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (root / 'configs' / 'paper.yml').write_text(text)
    return read_experiments(root / 'configs' / 'paper.yml')


def write_session(
    run: Path,
    config: str,
    trained: Mapping[int, float],
    total: int,
    metrics: Mapping[int, Mapping[str, float]] | None = None,
    start: str = '20260101_000000',
    saved: Sequence[int] = (),
) -> Path:
    """One start of a run as MMEngine leaves it; returns ``scalars.json``.

    Args:
        run: Work folder.
        config: Content of its config.
        trained: Seconds of a step at each logged step.
        total: Steps that the log says there are.
        metrics: Measured at each validated step.
        start: Name of the session.
        saved: Steps of checkpoints.
    """
    data = run / start / 'vis_data'
    data.mkdir(parents=True)
    (data / 'config.py').write_text(config)
    (run / 'config.py').write_text(config)
    lines = [dict(lr=0.1, data_time=0.01, loss=1.0, time=time, iter=step, step=step) for step, time in trained.items()]
    lines += [dict(values, data_time=0.01, time=0.1, step=step) for step, values in (metrics or {}).items()]
    for name in ('scalars.json', f'{start}.json'):
        (data / name).write_text(''.join(json.dumps(line) + '\n' for line in lines))
    prefix = '2026/01/01 00:00:00 - mmengine - INFO - Iter(train)'
    log = [f'{prefix} [{str(step).rjust(len(str(total)))}/{total}]  lr: 1.0e-01  loss: 1.0000' for step in trained]
    (run / start / f'{start}.log').write_text('\n'.join(log) + '\n')
    for step in saved:
        (run / f'iter_{step}.pth').touch()
    return data / 'scalars.json'


def write_pretraining(run: Path, total: int = 100, saved: Sequence[int] = (100,)) -> None:
    """A finished pretraining of ``vice/pre``."""
    write_session(run, CONFIGS['vice/pre'], {total: 0.5}, total, saved=saved)


def write_probe(run: Path, config: str = 'probe/linear', **metrics: float) -> None:
    """A finished probe."""
    total = 1 if config == 'probe/cluster' else 1000
    trained = {} if config == 'probe/cluster' else {total: 0.1}
    write_session(run, CONFIGS[config], trained, total, {total: metrics})
