"""What there is to reproduce, as Markdown that reads well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from .numbers import paper_figure
from .tables import TRAIN_TIME, Result, Row, Table


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
        lines += [f'- pictures of `{pictures.pretrain}`']
        lines += [f'  - probe: `{pictures.probe}`{_settings(pictures.options)}'] if pictures.probe else []
        lines += [f'  - `{command}`' for command in pictures.commands]
    return [*lines, *(['', table.note.strip()] if table.note else []), '']


def _row(row: Row) -> list[str]:
    lines = [f'- **{row.name}**: {_figures(row.paper)}' + (' (quoted by the paper)' if row.quoted is not None else '')]
    for result in row.results:
        lines.append(f'  - {", ".join(result.paper) or "needed"}: {_source(result, row.curve)}')
    return lines


def _source(result: Result, curve: bool) -> str:
    runs = [f'`{result.probe}`{_settings(result.options)}'] if result.probe else []
    runs += [f'`{result.pretrain}`' + (', each of its checkpoints' if curve else '')] if result.pretrain else []
    if result.source is not None:
        runs.insert(0, 'training time' if result.source == TRAIN_TIME else f'`{result.source}`')
    return ' of '.join(runs)


def _settings(options: Mapping[str, Any]) -> str:
    return f' with {", ".join(f"`{key}={value}`" for key, value in options.items())}' if options else ''


def _figures(paper: Mapping[str, Any]) -> str:
    return ', '.join(f'{column} {paper_figure(column, figure)}' for column, figure in paper.items())
