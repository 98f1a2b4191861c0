"""Reading ``configs/paper.yml``: which rows a table has, which configs make them, and what the paper says."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .tables import DELTA, TRAIN_TIME, Figure, Paper, Pictures, Plot, Result, Row, Table, template_fields

KEY = re.compile(r'(table|figure)-\d+[\w-]*')
TEXT, NUMBER, YES_NO, MAPPING, LIST = (str,), (int, float), (bool,), (dict,), (list,)
TABLE_KEYS = dict(title=TEXT, note=TEXT, columns=LIST, rows=LIST, plot=MAPPING, pictures=LIST)
PLOT_KEYS = dict(x=TEXT, y=TEXT, series=TEXT, xscale=TEXT)
ROW_KEYS = dict(
    name=TEXT,
    group=TEXT,
    quoted=YES_NO,
    paper=MAPPING,
    pretrain=TEXT,
    baseline=TEXT,
    curve=YES_NO,
    x=NUMBER,
    results=LIST,
)
RESULT_KEYS = dict(
    pretrain=(str, type(None)),
    probe=TEXT,
    options=MAPPING,
    paper=MAPPING,
    metrics=MAPPING,
    source=TEXT,
    command=TEXT,
    before=LIST,
)
PICTURES_KEYS = dict(pretrain=TEXT, probe=TEXT, options=MAPPING, commands=LIST)


def read_paper(path: str | Path) -> Paper:
    """Read the file; configs are looked for in its folder.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not what it should be; the message says where and why.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not valid YAML: {error}') from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f'{path} must map names such as table-1 to tables')
    tables = {}
    for key, value in content.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise ValueError(f'{path}: tables are named like table-1, figure-4 or table-2-camvid, got {key!r}')
        tables[key] = _table(f'{path}: {key}', key, value)
    paper = Paper(tables, path.parent)
    missing = {
        config
        for table in tables.values()
        for part in [*table.rows, *table.pictures]
        for config in _configs(part)
        if not paper.file(config).is_file()
    }
    if missing:
        raise ValueError(f'{path} names configs that do not exist: {", ".join(sorted(missing))}')
    return paper


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.tag != 'tag:yaml.org,2002:merge' and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'{key.value!r} is given twice', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _configs(part: Row | Pictures) -> list[str]:
    uses = [part] if isinstance(part, Pictures) else part.results
    return [config for use in uses for config in (use.pretrain, use.probe) if config is not None]


def _fields(where: str, value: Any, known: Mapping[str, tuple], required: Sequence[str] = ()) -> dict[str, Any]:
    """Check the keys of a mapping and the types of its values."""
    if not isinstance(value, dict):
        raise ValueError(f'{where}: must be a mapping, got {value!r}')
    unknown = [key for key in value if key not in known]
    if unknown:
        raise ValueError(f'{where}: unknown key {unknown[0]!r}; known: {", ".join(known)}')
    for key, content in value.items():
        kinds = known[key]
        if not isinstance(content, kinds) or (isinstance(content, bool) and bool not in kinds):
            names = {
                'str': 'text',
                'NoneType': 'null',
                'dict': 'mapping',
                'bool': 'true or false',
                'int': 'number',
                'float': 'number',
            }
            wanted = ' or '.join(dict.fromkeys(names.get(kind.__name__, kind.__name__) for kind in kinds))
            raise ValueError(f'{where}: {key} must be a {wanted}, got {content!r}')
    for key in required:
        if key not in value:
            raise ValueError(f'{where}: {key} is missing')
    return value


def _texts(where: str, value: Sequence, fields: set[str] | None = None) -> tuple[str, ...]:
    """A list of strings; shell templates where ``fields`` says what may be in braces."""
    for text in value:
        if not isinstance(text, str):
            raise ValueError(f'{where}: must be a list of texts, got {text!r}')
        if fields is not None:
            _command(where, text, fields)
    return tuple(value)


def _command(where: str, text: str, fields: set[str]) -> None:
    """Check a template that is a shell command."""
    _template(where, text, fields)
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f'{where}: {text!r} is no shell command: {error}') from error


def _template(where: str, text: str, fields: set[str]) -> None:
    try:
        given = template_fields(text)
    except ValueError as error:
        raise ValueError(f'{where}: {text!r} is no template: {error}') from error
    unknown = sorted(given - fields)
    if unknown:
        raise ValueError(
            f'{where}: {{{unknown[0]}}} means nothing here; known: {", ".join(sorted(fields)) or "nothing"}'
        )


def _available(pretrain: str | None, probe: str | None) -> set[str]:
    """What templates may name: seed, folder of all runs, and config and folder of the pretraining and of the probe."""
    fields = {'seed', 'work_dirs', *(('config', 'run') if pretrain is not None else ())}
    return fields | ({'probe_config', 'probe_run'} if probe is not None else set())


def _figures(where: str, value: Mapping) -> dict[str, Figure]:
    for column, figure in value.items():
        if not isinstance(column, str):
            raise ValueError(f'{where}: columns are texts, got {column!r}')
        if figure is not None and (isinstance(figure, bool) or not isinstance(figure, (int, float, str))):
            raise ValueError(f'{where}: {column} must be a number, a text or null, got {figure!r}')
    return dict(value)


def _options(where: str, value: Mapping, fields: set[str]) -> dict[str, Any]:
    for key, setting in value.items():
        if not isinstance(key, str):
            raise ValueError(f'{where}: settings are named like model.decode_head.num_clusters, got {key!r}')
        if isinstance(setting, str):
            _template(f'{where}, {key}', setting, fields)
    return dict(value)


def _table(where: str, key: str, value: Any) -> Table:
    given = _fields(where, value, TABLE_KEYS, ['title'])
    if 'rows' not in given and 'pictures' not in given:
        raise ValueError(f'{where}: needs rows or pictures')
    rows = [_row(where, row) for row in given.get('rows', ())]
    names = [(row.group, row.name) for row in rows]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise ValueError(f'{where}: two rows are called {double[1]!r}' + (f' in {double[0]}' if double[0] else ''))
    own = list(dict.fromkeys(column for row in rows for column in row.paper))
    columns = _texts(f'{where}, columns', given.get('columns', own))
    for row in rows:
        stray = [column for column in row.paper if column not in columns]
        if stray:
            raise ValueError(f'{where}, row {row.name!r}: {stray[0]!r} is none of the columns {", ".join(columns)}')
    pictures = [_pictures(f'{where}, pictures {i}', each) for i, each in enumerate(given.get('pictures', ()))]
    plot = None if 'plot' not in given else _plot(f'{where}, plot', given['plot'], rows, columns)
    table = Table(key, given['title'], given.get('note'), columns, rows, plot, pictures)
    for row in rows:
        _require_baseline(f'{where}, row {row.name!r}', table, row)
    return table


def _require_baseline(where: str, table: Table, row: Row) -> None:
    """A difference needs a baseline row that has the column it is the difference of."""
    deltas = [column for result in row.results for column in result.paper if column.startswith(DELTA)]
    if bool(deltas) != (row.baseline is not None):
        raise ValueError(f'{where}: columns that start with {DELTA!r} and a baseline go together')
    for column in deltas:
        try:
            baseline = table.baseline_of(row)
        except KeyError:
            raise ValueError(f'{where}: there is no row {row.baseline!r} for its baseline') from None
        if baseline.result_of(column.removeprefix(DELTA)) is None:
            raise ValueError(
                f'{where}: its baseline {baseline.name!r} has no result for {column.removeprefix(DELTA)!r}'
            )


def _plot(where: str, value: Any, rows: Sequence[Row], columns: Sequence[str]) -> Plot:
    given = _fields(where, value, PLOT_KEYS, ['x', 'y'])
    plot = Plot(given['x'], given['y'], given.get('series', 'group'), given.get('xscale', 'linear'))
    for name, allowed in dict(series=('group', 'name'), xscale=('linear', 'log'), y=columns).items():
        if getattr(plot, name) not in allowed:
            raise ValueError(f'{where}: {name} must be one of {", ".join(allowed)}, got {getattr(plot, name)!r}')
    for row in rows:
        if row.curve and plot.x not in ('epoch', 'step'):
            raise ValueError(f"{where}: x of curves is 'epoch' or 'step', got {plot.x!r}")
        if not row.curve and row.x is None and not row.quoted:
            raise ValueError(f'{where}: row {row.name!r} needs x or curve: true')
    return plot


def _row(where: str, value: Any) -> Row:
    name = value.get('name') if isinstance(value, dict) else None
    where = f'{where}, row {name!r}'
    given = _fields(where, value, ROW_KEYS, ['name'])
    curve = given.get('curve', False)
    if given.get('quoted', False):
        extra = [key for key in ('pretrain', 'results', 'baseline', 'curve') if key in given]
        if extra or 'paper' not in given:
            raise ValueError(f'{where}: a quoted row has paper, and no {extra[0] if extra else "other source"}')
    elif 'paper' in given:
        raise ValueError(f"{where}: a row's own paper is for quoted rows; otherwise it is a part of results")
    elif not given.get('results'):
        raise ValueError(f'{where}: needs results, or quoted: true')
    results = [
        _result(f'{where}, result {i}', each, given.get('pretrain')) for i, each in enumerate(given.get('results', ()))
    ]
    if curve and any(result.pretrain is None or result.probe is None or result.source for result in results):
        raise ValueError(f'{where}: a curve is a pretraining with probes')
    columns = [column for result in results for column in result.paper]
    double = next((column for column in columns if columns.count(column) > 1), None)
    if double:
        raise ValueError(f'{where}: two results give {double!r}')
    quoted = _figures(f'{where}, paper', given['paper']) if given.get('quoted') else None
    return Row(name, given.get('group'), given.get('baseline'), curve, given.get('x'), quoted, results)


def _result(where: str, value: Any, of_row: str | None) -> Result:
    given = _fields(where, value, RESULT_KEYS)
    pretrain, probe, source = given.get('pretrain', of_row), given.get('probe'), given.get('source')
    if source is None and probe is None:
        raise ValueError(f'{where}: needs a probe or a source')
    if source == TRAIN_TIME and (probe is not None or pretrain is None):
        raise ValueError(f'{where}: {TRAIN_TIME} is that of a pretraining, without a probe')
    if source not in (None, TRAIN_TIME) and not source.endswith('.json'):
        raise ValueError(f'{where}: source must be {TRAIN_TIME} or a file *.json, got {source!r}')
    if source is not None and pretrain is None and probe is None:
        raise ValueError(f'{where}: a file needs a pretraining or a probe whose folder it is in')
    if 'command' in given and (source is None or source == TRAIN_TIME):
        raise ValueError(f'{where}: command is what writes a source that is a file')
    for key in ('options', 'before'):
        if key in given and probe is None:
            raise ValueError(f'{where}: {key} belongs to a probe')
    fields = _available(pretrain, probe)
    if 'command' in given:
        _command(f'{where}, command', given['command'], fields)
    paper = _figures(f'{where}, paper', given.get('paper', {}))
    metrics = dict(given.get('metrics', {}))
    _texts(f'{where}, metrics', [*metrics, *metrics.values()])
    paper = {**paper, **{column: None for column in metrics if column not in paper}}
    if not paper and source is not None:
        raise ValueError(f'{where}: names no column; say paper: {{mIoU: null}} where the paper gives no figure')
    metrics = {column: metrics.get(column, column.removeprefix(DELTA)) for column in paper}
    options = _options(f'{where}, options', given.get('options', {}), fields & {'run', 'seed'})
    before = _texts(f'{where}, before', given.get('before', ()), fields)
    return Result(paper, metrics, pretrain, probe, options, source, given.get('command'), before)


def _pictures(where: str, value: Any) -> Pictures:
    given = _fields(where, value, PICTURES_KEYS, ['pretrain', 'commands'])
    probe = given.get('probe')
    fields = _available(given['pretrain'], probe)
    options = _options(f'{where}, options', given.get('options', {}), fields & {'run', 'seed'})
    return Pictures(given['pretrain'], probe, options, _texts(f'{where}, commands', given['commands'], fields))
