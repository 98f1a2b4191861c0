"""Reading a file of experiments: everything in it is checked, and a mistake is told with its place."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .fields import NULL, checked, refuse, require_known
from .folders import run_name, slug
from .tables import DELTA, PRETRAINING, RATIO, Experiments, Needs, Pictures, Plot, Pretraining, Row, Size, Source, Table
from .tables import template_fields as fields_of

TEXT, NUMBER, WHOLE, YES_NO, MAPPING, LIST = (str,), (int, float), (int,), (bool,), (dict,), (list,)
FILE = dict(configs=TEXT, work_dirs=TEXT, sizes=MAPPING, splits=MAPPING, embedders=MAPPING, probes=MAPPING)
FILE |= dict(remove_weights=YES_NO, tables=MAPPING)
SIZE = dict(configs=TEXT, device=TEXT, amp=YES_NO, needs=MAPPING)
NEEDS = dict(cores=NUMBER, gpu_gib=NUMBER, gpu_minutes=NUMBER)
TABLE = dict(title=TEXT, note=TEXT, columns=LIST, each=MAPPING, rows=LIST, plot=MAPPING, pictures=LIST)
TABLE |= dict(differences=LIST, classes=TEXT)
EACH = dict(group=TEXT, pretrain=(str, NULL), options=MAPPING, run=TEXT, labelled=YES_NO, embedder=TEXT, step=WHOLE)
EACH |= dict(seeds=WHOLE, baseline=(str, NULL), curve=(bool, int), results=LIST)
ROW = dict(name=TEXT, title=TEXT, x=NUMBER, paper=MAPPING, **EACH)
RESULT = dict(pretrain=(str, NULL), probe=TEXT, options=MAPPING, metrics=(list, dict), source=TEXT, command=TEXT)
RESULT |= dict(before=LIST)
PLOT = dict(x=TEXT, y=TEXT, series=TEXT, xscale=TEXT, lines=LIST)
PICTURES = dict(pretrain=TEXT, probe=TEXT, options=MAPPING, rows=LIST, commands=LIST)
OF_QUOTED = ('name', 'title', 'group', 'x', 'paper', 'baseline')
TRAINED_BY = ('pretrain', 'options', 'results')
"""Keys of which a row with figures of a paper needs one to be trained, too; without them it is quoted."""


def read_experiments(path: str | Path) -> Experiments:
    """Read the file; configs are looked for in the folder that it names, by default its own.

    Raises:
        OSError: If there is no such file; the message says what to give.
        ValueError: If the file is not what it should be; the message says where and why.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} is not a file: give a YAML file of experiments, see configs/experiments/README.md'
        )
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not valid YAML: {error}') from error
    given = checked(str(path), content, FILE, ['tables'])
    sizes = {None: Size(None, _beside(path, given.get('configs', '.')))} if 'sizes' not in given else {}
    for name, value in given.get('sizes', {}).items():
        size = checked(f'{path}: size {name}', value, SIZE, ['configs'])
        require_known(f'{path}: size {name}', [size.get('device')], [None, 'cpu', 'cuda'], 'device')
        needs = checked(f'{path}: size {name}, needs', size.get('needs', {}), NEEDS)
        wrong = {f'{key} must be more than 0, got {need}': not need > 0 for key, need in needs.items()}
        refuse(f'{path}: size {name}, needs', wrong)
        own = dict(configs=_beside(path, size['configs']), needs=Needs(**needs))
        sizes[name] = Size(name, **{**size, **own})
    checked(f'{path}: embedders', given.get('embedders', {}), dict.fromkeys(given.get('embedders', {}), MAPPING))
    splits = checked(f'{path}: splits', given.get('splits', {}), dict.fromkeys(given.get('splits', {}), TEXT))
    reader = _Reader(str(path), given.get('probes', {}), given.get('embedders', {}))
    tables = {key: reader.table(key, value) for key, value in given['tables'].items()}
    sources = [source for table in tables.values() for row in table.rows for source in row.sources]
    sources += [each.source for table in tables.values() for each in table.pictures if each.source is not None]
    named = {source.probe for source in sources} | {s.pretraining.config for s in sources if s.pretraining is not None}
    files = [size.configs / f'{config}.py' for size in sizes.values() for config in sorted(named - {None})]
    missing = ', '.join(str(file) for file in files if not file.is_file())
    refuse(str(path), {f'names configs that do not exist: {missing}': missing})
    work_dirs = Path(given.get('work_dirs', 'work_dirs'))
    return Experiments(path, tables, work_dirs, sizes, splits, given.get('remove_weights', False))


def _beside(path: Path, folder: str) -> Path:
    return Path(os.path.normpath(path.parent / folder))


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.tag != 'tag:yaml.org,2002:merge' and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'{key.value!r} is given twice', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class _Reader:
    """Reads tables with the probes and embedders that the file names."""

    path: str
    probes: Mapping[str, Any]
    embedders: Mapping[str, Mapping[str, Any]]

    def table(self, key: str, value: Any) -> Table:
        where = f'{self.path}: {key}'
        given = checked(where, value, TABLE, ['title'])
        refuse(where, {'needs rows or pictures': not given.get('rows') and not given.get('pictures')})
        each = checked(f'{where}, each', given.get('each', {}), EACH)
        rows = [self.row(where, row, each) for row in given.get('rows', ())]
        names = [(row.group, row.name) for row in rows]
        refuse(
            where, {f'two rows are called {name!r} in {group}': names.count((group, name)) > 1 for group, name in names}
        )
        own = {row.name: [*(column for s in row.sources for column in s.columns), *row.paper] for row in rows}
        columns = given.get('columns', list(dict.fromkeys(column for of_row in own.values() for column in of_row)))
        for name, of_row in own.items():
            require_known(f'{where}, row {name!r}', of_row, _texts(f'{where}, columns', columns), 'column')
        pictures = [self.pictures(f'{where}, pictures {i}', p, rows) for i, p in enumerate(given.get('pictures', ()))]
        plot = _plot(f'{where}, plot', given['plot'], rows, columns) if 'plot' in given else None
        for pair in given.get('differences', ()):
            refuse(
                where, {f'differences are pairs of rows, got {pair!r}': not isinstance(pair, list) or len(pair) != 2}
            )
            require_known(f'{where}, differences', pair, list(own), 'row')
        require_known(f'{where}, classes', [given['classes']] if 'classes' in given else [], columns, 'column')
        differences, note = given.get('differences', ()), given.get('note', '').strip()
        table = Table(key, given['title'], note, columns, rows, plot, pictures, differences, given.get('classes'))
        for row in rows:
            _require_baseline(f'{where}, row {row.name!r}', table, row)
        return table

    def row(self, where: str, value: Any, each: Mapping[str, Any]) -> Row:
        where = f'{where}, row {value.get("name") if isinstance(value, dict) else value!r}'
        own = checked(where, value, ROW, ['name'])
        quoted = 'paper' in own and not any(key in own for key in TRAINED_BY)
        if quoted:
            each = {key: value for key, value in each.items() if key == 'group'}
        given = {'pretrain': None, 'seeds': 1, 'curve': False, 'embedder': None, **each, **own}
        pretrain, embedder, curve = given['pretrain'], given['embedder'], given['curve']
        unquoted = next((key for key in own if 'paper' in own and key not in OF_QUOTED), None)
        advice = f'leave {unquoted} out, or say {", ".join(TRAINED_BY[:2])} or {TRAINED_BY[2]} in this row to train it'
        without = [key for key in ('options', 'labelled', 'step', 'curve') if key in own and pretrain is None]
        least = dict(seeds=1, step=0)
        refuse(
            where,
            {
                f'a row that only quotes a paper is not trained: {advice}': quoted and unquoted,
                'paper must give a figure, got {}': own.get('paper') == {},
                **{
                    f'{key} must be at least {n}, got {own.get(key)}': given.get(key, n) < n for key, n in least.items()
                },
                f'curve must be true or at least 1, got {curve}': curve is not False and curve < 1,
                'needs results, or figures of a paper': not given.get('results') and 'paper' not in given,
                f'{"".join(without[:1])} belongs to a pretraining': without,
                f'{unquoted} is of a training, and this row has no results to measure: leave it out, or give results': (
                    unquoted and not given.get('results')
                ),
            },
        )
        require_known(where, [embedder], [None, *self.embedders], 'embedder')
        options = _options(f'{where}, options', given.get('options', {}), set())
        run = slug(given['run'].format(name=given['name'])) if 'run' in given else None
        own_run, labelled = run or (pretrain and run_name(pretrain, options)), given.get('labelled', False)
        pretraining = Pretraining(pretrain, own_run, options, labelled, given.get('step')) if pretrain else None
        sources = [
            self.source(f'{where}, result {i}', result, pretraining, run, embedder)
            for i, result in enumerate(given.get('results', ()))
        ]
        columns = [column for source in sources for column in source.columns]
        refuse(where, {f'two results give {column!r}': columns.count(column) > 1 for column in columns})
        refuse(where, {'a curve needs a probe of its pretraining': curve and not any(s.probe for s in sources)})
        paper = given.get('paper', {})
        checked(f'{where}, paper', paper, dict.fromkeys(paper, (int, float, str, NULL)))
        title, group, baseline = given.get('title', given['name']), given.get('group'), given.get('baseline')
        x = given.get('x')
        return Row(given['name'], title, group, pretraining, sources, given['seeds'], baseline, curve, x, paper)

    def source(
        self, where: str, value: Any, of_row: Pretraining | None, run: str | None, embedder: str | None
    ) -> Source:
        name = None
        if isinstance(value, str):
            require_known(where, [value], self.probes, 'probe')
            where, name = f'{where}, probe {value}', value
            value = checked(where, {'metrics': {name: ['mIoU', 'aAcc']}, **self.probes[name]}, RESULT, ['probe'])
        given = checked(where, value, RESULT)
        pretraining, probe, kind = of_row, given.get('probe'), given.get('source')
        if 'pretrain' in given and given['pretrain'] != (of_row and of_row.config):
            other = given['pretrain']
            pretraining = other and Pretraining(other, run_name(other, {}), {})
        file = None if kind == PRETRAINING else kind
        refuse(
            where,
            {
                f'needs a probe, or a source that is {PRETRAINING} or a file *.json': probe is None and kind is None,
                f'source must be {PRETRAINING} or a file *.json, got {kind!r}': file and not file.endswith('.json'),
                f'{PRETRAINING} as a source stands without a probe': probe is not None and kind == PRETRAINING,
                'a source needs a pretraining or a probe': probe is None and pretraining is None,
                'command is what writes a source that is a file': 'command' in given and file is None,
                'options and before belong to a probe': probe is None and ('options' in given or 'before' in given),
                'names no column; say metrics: [NAME]': kind is not None and not given.get('metrics'),
            },
        )
        places = _places(pretraining, probe)
        own = _options(f'{where}, options', given.get('options', {}), places & {'run', 'seed'})
        _commands(f'{where}, command', [given['command']] if 'command' in given else [], places)
        return Source(
            name=probe and (name or run_name(probe, own)),
            columns=_columns(f'{where}, metrics', given.get('metrics', {})),
            pretraining=pretraining,
            run=None if pretraining is not None else run,
            probe=probe,
            embedder=probe and embedder,
            options={**self.embedders.get(embedder, {}), **own},
            before=_commands(f'{where}, before', given.get('before', ()), places),
            file=file,
            command=given.get('command'),
        )

    def pictures(self, where: str, value: Any, rows: Sequence[Row]) -> Pictures:
        given = checked(where, value, PICTURES, ['commands'])
        probe, pretrain = given.get('probe'), given.get('pretrain')
        refuse(
            where, {'needs rows and a probe, or pretrain': pretrain is None and (not given.get('rows') or not probe)}
        )
        if pretrain is None:
            require_known(f'{where}, rows', given['rows'], {row.name for row in rows}, 'row')
            require_known(where, [probe], {source.name for row in rows for source in row.sources}, 'probe')
            commands = _commands(f'{where}, commands', given['commands'], {'models', 'work_dirs', 'out'})
            return Pictures(commands, rows=given['rows'], probe=probe)
        own = Pretraining(pretrain, run_name(pretrain, {}), {})
        places = _places(own, probe) | {'out'}
        options = _options(f'{where}, options', given.get('options', {}), places & {'run', 'seed'})
        source = Source(probe and run_name(probe, options), {}, own, probe=probe, options=options)
        return Pictures(_commands(f'{where}, commands', given['commands'], places), source)


def _texts(where: str, value: Sequence) -> Sequence[str]:
    refuse(where, {f'must be texts, got {text!r}': not isinstance(text, str) for text in value})
    return value


def _commands(where: str, value: Sequence, places: set[str]) -> Sequence[str]:
    """Shell templates, checked."""
    for text in _texts(where, value):
        _require_template(where, text, places)
        try:
            shlex.split(text)
        except ValueError as error:
            raise ValueError(f'{where}: {text!r} is no shell command: {error}') from error
    return value


def _require_template(where: str, text: str, places: set[str]) -> None:
    try:
        unknown = sorted(fields_of(text) - places)
    except ValueError as error:
        raise ValueError(f'{where}: {text!r} is no template: {error}') from error
    known = ', '.join(sorted(places)) or 'nothing'
    refuse(where, {f'{{{name}}} means nothing here; known: {known}': True for name in unknown})


def _places(pretraining: Pretraining | None, probe: str | None) -> set[str]:
    """What templates may name: seed, folder of all runs, and config and folder of the pretraining and of the probe."""
    names = {'seed', 'work_dirs'} | ({'config', 'run'} if pretraining is not None else set())
    return names | ({'probe_config', 'probe_run'} if probe is not None else set())


def _columns(where: str, value: Sequence | Mapping) -> dict[str, Sequence[str]]:
    """The metrics of every column; of a list, columns are called as their metrics."""
    named = value if isinstance(value, dict) else {name: [name] for name in _texts(where, value)}
    columns = {column: metrics if isinstance(metrics, list) else [metrics] for column, metrics in named.items()}
    _texts(where, [text for column, metrics in columns.items() for text in (column, *metrics)])
    return columns


def _options(where: str, value: Mapping, places: set[str]) -> dict[str, Any]:
    for key, setting in value.items():
        _texts(where, [key])
        _require_template(f'{where}, {key}', setting if isinstance(setting, str) else '', places)
    return dict(value)


def _require_baseline(where: str, table: Table, row: Row) -> None:
    """A difference or ratio needs a baseline row that has the column it is of."""
    names, derived = [other.name for other in table.rows], [c for c in table.columns if c.startswith((DELTA, RATIO))]
    require_known(f'{where}, baseline', [row.baseline], [None, *names], 'row')
    alone = derived and all(other.baseline is None for other in table.rows)
    refuse(where, {f'columns such as {"".join(derived[:1])!r} and a baseline go together': alone})
    for column in derived:
        plain, baseline = column[len(DELTA) :], table.baseline_of(row)
        lacks = baseline is not None and row.source_of(plain) is not None and baseline.source_of(plain) is None
        refuse(where, {f'has a figure for {column!r}, and no baseline': column in row.paper and baseline is None})
        refuse(where, {f'its baseline {row.baseline!r} has no result for {plain!r}': lacks})


def _plot(where: str, value: Any, rows: Sequence[Row], columns: Sequence[str]) -> Plot:
    plot = Plot(**checked(where, value, PLOT, ['x', 'y']))
    for name, allowed in dict(series=['group', 'name'], xscale=['linear', 'log'], y=columns).items():
        require_known(where, [getattr(plot, name)], allowed, name)
    require_known(f'{where}, lines', plot.lines, [row.name for row in rows], 'row')
    by_steps = plot.x in ('epoch', 'step')
    refuse(where, {f"x of curves is 'epoch' or 'step', got {plot.x!r}": not by_steps and any(r.curve for r in rows)})
    without = {f'row {r.name!r} needs x': not by_steps and r.x is None and bool(r.sources) for r in rows}
    refuse(where, {**without, 'no row has a curve': by_steps and not any(row.curve for row in rows)})
    return plot
