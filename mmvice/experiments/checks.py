"""Do the rows of tables make sense: does a probe read what its pretraining has learned?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmvice.utils.config_types import type_name

from .configs import is_template, load, reads_embedder, setting
from .jobs import Job
from .plan import Planner
from .scaling import base_batch_size
from .tables import Source, Table

PARTS = ('backbone', 'decoder')
NO_WEIGHTS = ('init_cfg', 'pretrained', 'out_indices')
"""Settings of a backbone that may differ between pretraining and probe: initial weights, and which stages are read."""


def check(planner: Planner, tables: Sequence[Table]) -> list[str]:
    """What is wrong with the configs of these tables, a line each; empty if nothing is."""
    problems: list[str] = []
    for table in tables:
        uses = [(f'row {row.name!r}', row.curve is True, s) for row in planner.rows_of(table) for s in row.sources]
        uses += [('pictures', False, pictures.source) for pictures in table.pictures if pictures.source is not None]
        by_epochs = table.plot is not None and table.plot.x == 'epoch'
        for where, curve, source in uses:
            try:
                found = list(_problems(planner, source, curve, by_epochs))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                found = [str(error)]
            problems += [f'{table.key}, {where}: {problem}' for problem in found]
    return list(dict.fromkeys(problems))


def _problems(planner: Planner, source: Source, curve: bool, by_epochs: bool) -> Iterator[str]:
    own = None if source.pretraining is None else planner.pretraining(source.pretraining, 0)
    if own is not None:
        cfg, name = own.cfg, _name(own)
        base, batch = base_batch_size(cfg), cfg.train_dataloader.batch_size
        keep = cfg.get('default_hooks', {}).get('checkpoint', {}).get('max_keep_ckpts', -1)
        if base % batch:
            yield f'{name}: auto_scale_lr.base_batch_size={base} is no multiple of batch_size={batch}'
        if curve and keep > 0:
            yield f'{name} keeps its last {keep} checkpoints, and a curve needs all (max_keep_ckpts=-1)'
        if curve and by_epochs and 'max_epochs' not in cfg.train_cfg:
            yield f'{name} has no train_cfg.max_epochs to count epochs by'
    job = None if source.probe is None else planner.probe(source, 0)
    for key, value in [(key, value) for each in (own, job) if each for key, value in each.options.items()]:
        setting(key, value)
    if job is None:
        return
    original = load(job.config)
    for key in source.options:
        if key.partition('.')[0] not in original:
            yield f'{source.probe} has no {key.partition(".")[0]!r} that the option {key} could set'
    if own is None:
        if job.cfg.model.get('embedder_checkpoint') is not None:
            yield f'{source.probe} reads an embedder, and the row has no pretrain'
    elif reads_embedder(original):
        models = (_name(own), own.cfg.model, source.probe, job.cfg.model)
        yield from differences(*models, [part for part in PARTS if f'model.{part}._delete_' not in source.options])
    elif not any(is_template(value) for value in source.options.values()):
        yield f'{source.probe} reads no embedder and has no option with {{run}}: the pretraining would go unused'


def differences(own: str, trained: Mapping, probe: str, probed: Mapping, parts: Sequence[str] = PARTS) -> Iterator[str]:
    """What differs between backbone and decoder of a pretraining and of a probe, models of configs of these names."""
    for part in parts:
        one, other = (dict(_leaves(part, model.get(part) or {})) for model in (trained, probed))
        for key in dict.fromkeys([*one, *other]):
            if one.get(key, 'unset') != other.get(key, 'unset'):
                yield f'model.{key} is {one.get(key, "unset")} in {own} and {other.get(key, "unset")} in {probe}'


def _name(job: Job) -> str:
    return f'{job.config.parent.name}/{job.config.stem}'


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Settings by their full name; lists and tuples alike."""
    if not isinstance(value, (Mapping, list, tuple)):
        yield name, value
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        if key not in NO_WEIGHTS:
            yield from _leaves(f'{name}.{key}', type_name(value) if key == 'type' else item)
