"""What there is to run, as Markdown that reads well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from .numbers import paper_figure
from .tables import PRETRAINING, Row, Source, Table


def listing(tables: Sequence[Table]) -> str:
    """Every row of these tables with the paper's figures and the configs that make it."""
    return '\n'.join('\n'.join(_table(table)) for table in tables)


def _table(table: Table) -> list[str]:
    lines = [f'## {table.key}: {table.title}', '']
    group = None
    for row in table.rows:
        if row.group != group:
            group = row.group
            lines += ([''] if lines[-1] else []) + ([f'### {group}', ''] if group else [])
        lines += _row(row)
    for pictures in table.pictures:
        lines += [f'- pictures of `{pictures.title}`']
        probe = pictures.source and pictures.source.probe
        lines += [f'  - probe: `{probe}`{_settings(pictures.source.options)}'] if probe else []
        lines += [f'  - `{command}`' for command in pictures.commands]
    return [*lines, *(['', table.note] if table.note else []), '']


def _row(row: Row) -> list[str]:
    columns = dict.fromkeys([*(column for source in row.sources for column in source.columns), *row.paper])
    figures = ', '.join(f'{column} {paper_figure(column, row.paper.get(column))}' for column in columns)
    name = row.title if row.title == row.name else f'{row.name}, {row.title}'
    own = [f'  - {", ".join(s.columns) or "needed"}: {_source(s, bool(row.curve))}' for s in row.sources]
    return [f'- **{name}**: {figures}' + ('' if row.sources else ' (quoted)'), *own]


def _source(source: Source, curve: bool) -> str:
    own, runs = source.pretraining, []
    if source.probe is None or source.file is not None:
        runs.append(f'`{source.file}`' if source.file else PRETRAINING)
    runs += [f'`{source.probe}`{_settings(source.options)}'] if source.probe else []
    step = f' at step {own.step}' if own and own.step is not None else ''
    every = ', each of its checkpoints' if curve and source.probe else ''
    return ' of '.join([*runs, *([f'`{own.config}`{_settings(own.options)}{step}{every}'] if own else [])])


def _settings(options: Mapping[str, Any]) -> str:
    return f' with {", ".join(f"`{key}={value}`" for key, value in options.items())}' if options else ''
