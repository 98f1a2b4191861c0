"""Reading a benchmark's file: the rows of its table, the probes, and what they are put on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NEW = '_delete_'


@dataclass(frozen=True)
class Probe:
    """A probe: its config's name, and what it changes in it."""

    name: str
    config: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: Its name, and by default that of its run.
        title: What the table calls it.
        pretrain: Name of the pretraining's config; None where nothing is trained.
        run: The pretraining that is probed; several rows may share one.
        embedder: What the probes are put on, a name in ``embedders``.
        options: What the row changes in the pretraining's config.
        labelled: The training reads labels, so that there is one for each split; its own metrics count too.
        seeds: Number of seeds, from 0.
        curve: Checkpoints of seed 0 that are probed; None for the last one alone.
        step: The step whose checkpoint is probed, 0 for the initial weights; None for the last one.
    """

    name: str
    title: str
    pretrain: str | None
    run: str
    embedder: str
    options: Mapping[str, Any]
    labelled: bool
    seeds: int
    curve: int | None
    step: int | None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, and the folder of its file, under which its configs lie in one folder for each size.

    Attributes:
        baselines: For embedders, those of pretrained rows at least, the row that has learned nothing.
        comparisons: Pairs of rows whose difference is asked for.
        curve_probe: The probe of the curves and of the pictures.
    """

    folder: Path
    probes: Mapping[str, Probe]
    embedders: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Row]
    baselines: Mapping[str, str]
    comparisons: Sequence[tuple[str, str]]
    curve_probe: str

    def config(self, size: str, name: str) -> Path:
        """Where a config of a size is."""
        return self.folder / size / f'{name}.py'

    def select(self, names: Sequence[str] | None) -> list[Row]:
        """The rows of these names; all where there is none given.

        Raises:
            ValueError: If a name is none of them; the message lists all.
        """
        return [self.rows[name] for name in _known(names, self.rows, 'row')]

    def select_probes(self, names: Sequence[str] | None) -> list[Probe]:
        """The probes of these names; all where there is none given.

        Raises:
            ValueError: If a name is none of them; the message lists all.
        """
        return [self.probes[name] for name in _known(names, self.probes, 'probe')]

    def owner(self, row: Row) -> Row:
        """The row whose pretraining a row is of."""
        return self.rows.get(row.run, row)

    def is_pretrained(self, row: Row) -> bool:
        """Whether a row has learned without labels."""
        owner = self.owner(row)
        return owner.pretrain is not None and not owner.labelled and row.step != 0


def read_benchmark(path: str | Path) -> Benchmark:
    """Read the file of a benchmark.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not what it should be; the message says where and why.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}, which --benchmark names')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not valid YAML: {error}') from error
    known = {'probes', 'embedders', 'rows', 'baselines', 'comparisons', 'curve_probe'}
    _check_keys(str(path), content, known, known)
    for name in ('probes', 'embedders', 'rows', 'baselines'):
        if not isinstance(content[name], dict):
            raise ValueError(f'{path}: {name} must be a mapping, got {content[name]!r}')
    probes = {}
    for name, value in content['probes'].items():
        where = f'{path}: probe {name}'
        _check_keys(where, value, {'config', 'options'}, {'config'})
        _check_type(where, 'config', value['config'], str)
        probes[name] = Probe(name, value['config'], _options(where, value))
    rows = {name: _row(f'{path}: row {name}', name, value) for name, value in content['rows'].items()}
    for name, value in content['embedders'].items():
        _check_type(str(path), f'embedder {name}', value, dict)
    pairs = content['comparisons']
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise ValueError(f'{path}: comparisons must be a list of pairs of rows, got {pairs!r}')
    benchmark = Benchmark(
        path.parent,
        probes,
        content['embedders'],
        rows,
        content['baselines'],
        [tuple(pair) for pair in pairs],
        content['curve_probe'],
    )
    _check(path, benchmark)
    return benchmark


def _row(where: str, name: str, value: Any) -> Row:
    known = {'title', 'pretrain', 'run', 'embedder', 'options', 'labelled', 'seeds', 'curve', 'step'}
    _check_keys(where, value, known, {'title'})
    for key in ('title', 'pretrain', 'run', 'embedder'):
        _check_type(where, key, value.get(key, ''), str)
    _check_type(where, 'labelled', value.get('labelled', False), bool)
    for key, least in dict(seeds=1, curve=1, step=0).items():
        number = value.get(key, least)
        if type(number) is not int or number < least:
            raise ValueError(f'{where}: {key} must be a whole number, at least {least}, got {number!r}')
    return Row(
        name,
        value['title'],
        value.get('pretrain'),
        value.get('run', name),
        value.get('embedder', 'decoder'),
        _options(where, value),
        value.get('labelled', False),
        value.get('seeds', 1),
        value.get('curve'),
        value.get('step'),
    )


def _check(path: Path, benchmark: Benchmark) -> None:
    rows, embedders = benchmark.rows, benchmark.embedders
    for row in rows.values():
        owner = rows.get(row.run)
        if row.embedder not in embedders:
            raise ValueError(
                f'{path}: row {row.name} has the embedder {row.embedder}, there are {", ".join(embedders)}'
            )
        if owner is not row and row.pretrain is None and (owner is None or owner.run != owner.name):
            raise ValueError(f'{path}: row {row.name} is of the run {row.run}, but no row has that run of its own')
    for name in benchmark.baselines.values():
        _check_type(str(path), 'a baseline', name, str)
    _check_type(str(path), 'curve_probe', benchmark.curve_probe, str)
    used = [*benchmark.baselines.values(), *(name for pair in benchmark.comparisons for name in pair)]
    unknown = [name for name in used if name not in rows]
    if unknown:
        raise ValueError(f'{path}: baselines and comparisons name {unknown[0]}, which is no row')
    without = [name for name in benchmark.baselines if name not in embedders]
    if without:
        raise ValueError(f'{path}: baselines are of embedders, {", ".join(embedders)}, got {without[0]}')
    compared = [row for row in rows.values() if row.curve or benchmark.is_pretrained(row)]
    without = [row.name for row in compared if row.embedder not in benchmark.baselines]
    if without:
        raise ValueError(f'{path}: row {without[0]} is pretrained, so that its embedder needs one of the baselines')
    if benchmark.curve_probe not in benchmark.probes:
        raise ValueError(f'{path}: curve_probe is {benchmark.curve_probe}, there are {", ".join(benchmark.probes)}')


def _options(where: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    options = value.get('options', {})
    _check_type(where, 'options', options, dict)
    return options


def _check_type(where: str, key: str, value: Any, wanted: type) -> None:
    if not isinstance(value, wanted):
        name = {str: 'a text', dict: 'a mapping', bool: 'true or false'}[wanted]
        raise ValueError(f'{where}: {key} must be {name}, got {value!r}')


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _check_keys(where: str, value: Any, known: set[str], required: set[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f'{where}: must be a mapping, got {value!r}')
    unknown, missing = [key for key in value if key not in known], [key for key in required if key not in value]
    if unknown:
        raise ValueError(f'{where}: unknown key {unknown[0]!r}; known: {", ".join(sorted(known))}')
    if missing:
        raise ValueError(f'{where}: has no {", ".join(sorted(missing))}')


def _known(names: Sequence[str] | None, there: Mapping[str, Any], what: str) -> list[str]:
    if names is None:
        return list(there)
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ValueError(f'there is no {what} {unknown[0]}; there are {", ".join(there)}')
    return list(dict.fromkeys(names))
