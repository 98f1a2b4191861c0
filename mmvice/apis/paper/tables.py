"""What the paper's tables and figures are made of."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DELTA = 'Δ '
TRAIN_TIME = 'train_time'
Figure = float | int | str | None


@dataclass(frozen=True)
class Result:
    """Some columns of a row, and where they come from: a probe, a file, or the pretraining's own log.

    A probe without columns is one that another result needs.

    Attributes:
        paper: The paper's figure of every column; None where it gives none.
        metrics: The logged name of every column.
        pretrain: Config of the pretraining, by default the row's; None where there is none.
        probe: Config of the probe.
        options: Settings that differ from that config.
        source: ``'train_time'``, a JSON file in the run's folder, or None for the probe's own metrics.
        command: Shell template that writes the file.
        before: Shell templates to run before the probe.
    """

    paper: Mapping[str, Figure]
    metrics: Mapping[str, str]
    pretrain: str | None
    probe: str | None
    options: Mapping[str, Any]
    source: str | None
    command: str | None
    before: Sequence[str]


@dataclass(frozen=True)
class Row:
    """A row of a table, or a point or curve of a figure; a quoted one has the paper's figures only."""

    name: str
    group: str | None
    baseline: str | None
    curve: bool
    x: float | None
    quoted: Mapping[str, Figure] | None
    results: Sequence[Result]

    @property
    def paper(self) -> dict[str, Figure]:
        """The paper's figure of every column that the row has."""
        own = [result.paper for result in self.results]
        return {column: figure for part in [self.quoted or {}, *own] for column, figure in part.items()}

    def result_of(self, column: str) -> Result | None:
        """The result that gives a column."""
        return next((result for result in self.results if column in result.paper), None)


@dataclass(frozen=True)
class Plot:
    """Axes of a chart: ``series`` is 'group' or 'name'."""

    x: str
    y: str
    series: str
    xscale: str


@dataclass(frozen=True)
class Pictures:
    """Pictures of a figure: shell templates over a pretraining and a probe; or just these, for others."""

    pretrain: str
    probe: str | None
    options: Mapping[str, Any]
    commands: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table or figure of the paper."""

    key: str
    title: str
    note: str | None
    columns: Sequence[str]
    rows: Sequence[Row]
    plot: Plot | None
    pictures: Sequence[Pictures]

    def baseline_of(self, row: Row) -> Row:
        """The row that a row's differences are relative to, of the same group if there is one of that name.

        Raises:
            KeyError: If there is none.
        """
        named = [other for other in self.rows if other.name == row.baseline]
        if not named:
            raise KeyError(row.baseline)
        return next((other for other in named if other.group == row.group), named[0])


@dataclass(frozen=True)
class Paper:
    """All of it, and the folder that the configs are in."""

    tables: Mapping[str, Table]
    configs: Path

    def file(self, config: str) -> Path:
        """Where a config is."""
        return self.configs / f'{config}.py'


def select(paper: Paper, names: Sequence[str]) -> list[Table]:
    """The tables of these names, each once: ``table-1``, ``figure-4``, ``1`` for ``table-1``, or ``all``.

    Raises:
        ValueError: If a name is none of them; the message lists all.
    """
    chosen: dict[str, Table] = {}
    for name in names:
        key = name.lower() if f'table-{name.lower()}' not in paper.tables else f'table-{name.lower()}'
        if key == 'all':
            chosen.update(paper.tables)
        elif key in paper.tables:
            chosen[key] = paper.tables[key]
        else:
            raise ValueError(f'there is no {name}; there are {", ".join(paper.tables)}, or all')
    return list(chosen.values())


def template_fields(template: str) -> set[str]:
    """Names in braces in a template.

    Raises:
        ValueError: If the braces do not match.

    Example:
        >>> sorted(template_fields('convert {run} {run}/mmseg.pth {config}'))
        ['config', 'run']
    """
    return {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
