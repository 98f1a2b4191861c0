"""Do the rows of the paper's tables make sense: does a probe read what its pretraining has learned?"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvice.utils.config_types import type_name

from .configs import is_template, load, reads_embedder, setting
from .folders import pretraining_run, probe_run
from .scaling import base_batch_size
from .tables import Paper, Pictures, Plot, Result, Table

INITIAL_WEIGHTS = ('init_cfg', 'pretrained')


def check(paper: Paper, tables: Sequence[Table] | None = None) -> list[str]:
    """What is wrong with the configs of these tables (default: of all), a line each; empty if nothing is."""
    tables = list(paper.tables.values()) if tables is None else tables
    problems = []
    for table in tables:
        for row in table.rows:
            where = f'{table.key}, row {row.name!r}'
            found = []
            for result in row.results:
                found += [*_pretraining_problems(paper, result.pretrain), *_probe_problems(paper, result)]
                if row.curve:
                    found += _curve_problems(paper, result.pretrain, table.plot)
            problems += [f'{where}: {problem}' for problem in found]
        for pictures in table.pictures:
            problems += [f'{table.key}, pictures: {p}' for p in _probe_problems(paper, pictures)]
    return list(dict.fromkeys([*problems, *_shared_folders(tables)]))


def _pretraining_problems(paper: Paper, config: str | None) -> Iterator[str]:
    if config is not None:
        cfg = load(paper, config)
        base, batch = base_batch_size(cfg), cfg.train_dataloader.batch_size
        if base % batch:
            yield f'{config}: auto_scale_lr.base_batch_size={base} is no multiple of batch_size={batch}'


def _curve_problems(paper: Paper, config: str, plot: Plot | None) -> Iterator[str]:
    cfg = load(paper, config)
    keep = cfg.get('default_hooks', {}).get('checkpoint', {}).get('max_keep_ckpts', -1)
    if keep > 0:
        yield f'{config} keeps its last {keep} checkpoints, and a curve needs all (max_keep_ckpts=-1)'
    if plot is not None and plot.x == 'epoch' and 'max_epochs' not in cfg.train_cfg:
        yield f'{config} has no train_cfg.max_epochs to count epochs by'


def _probe_problems(paper: Paper, result: Result | Pictures) -> Iterator[str]:
    if result.probe is None:
        return
    pretrain = result.pretrain
    original = load(paper, result.probe)
    for key, value in result.options.items():
        if key.partition('.')[0] not in original:
            yield f'{result.probe} has no {key.partition(".")[0]!r} that the option {key} could set'
        try:
            setting(key, value)
        except ValueError as error:
            yield str(error)
    try:
        probe = load(paper, result.probe, result.options)
    except (KeyError, TypeError, IndexError) as error:
        yield f'{result.probe} cannot take the options {dict(result.options)}: {error}'
        return
    if pretrain is None:
        if probe.model.get('embedder_checkpoint') is not None:
            yield f'{result.probe} reads an embedder, and the row has no pretrain'
    elif not reads_embedder(probe):
        if not any(is_template(value) for value in result.options.values()):
            yield f'{result.probe} reads no embedder and has no option with {{run}}: the pretraining would go unused'
    else:
        yield from _differences(pretrain, load(paper, pretrain).model, result.probe, probe.model)


def _differences(pretrain: str, trained: Mapping, probe: str, probed: Mapping) -> Iterator[str]:
    """Differences of backbone and decoder, but for initial weights and D, which the command sets."""
    for part in ('backbone', 'decoder'):
        one, other = (dict(_leaves(part, model.get(part) or {})) for model in (trained, probed))
        for key in dict.fromkeys([*one, *other]):
            if key == 'decoder.embed_dims':
                continue
            if one.get(key, 'unset') != other.get(key, 'unset'):
                yield (f'model.{key} is {one.get(key, "unset")} in {pretrain} and {other.get(key, "unset")} in {probe}')


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Settings by their full name; lists and tuples alike."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in INITIAL_WEIGHTS:
                yield from _leaves(f'{name}.{key}', type_name(value) if key == 'type' else item)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _leaves(f'{name}.{i}', item)
    else:
        yield name, value


def _shared_folders(tables: Sequence[Table]) -> Iterator[str]:
    """Different runs that would write into one folder."""
    owners: dict[Path, str] = {}
    for table in tables:
        for result in [*(result for row in table.rows for result in row.results), *table.pictures]:
            runs = []
            if result.pretrain is not None:
                runs.append((pretraining_run(Path(), result.pretrain, 0), result.pretrain))
            if result.probe is not None:
                name = f'{result.probe} with {dict(result.options)} on {result.pretrain}'
                runs.append((probe_run(Path(), result, 0), name))
            for folder, run in runs:
                if owners.setdefault(folder, run) != run:
                    yield f'{table.key}: {run} and {owners[folder]} would share the folder {folder}'
