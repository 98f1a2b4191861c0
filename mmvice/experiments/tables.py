"""What a file of experiments is made of; configs/experiments/README.md says what the names mean."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DELTA, RATIO = 'Δ ', '× '
"""How columns begin that are a difference from the row's baseline, or a ratio to it."""
PRETRAINING = 'pretraining'
Figure = float | int | str | None


@dataclass(frozen=True)
class Pretraining:
    """The training of an embedder; its ``run`` names the folder, and rows that share a run share the training."""

    config: str
    run: str
    options: Mapping[str, Any]
    labelled: bool = False
    step: int | None = None


@dataclass(frozen=True)
class Source:
    """What gives some columns of a row: a probe, the pretraining itself, or a file that a command writes.

    Attributes:
        name: Name of a probe, by which its folder and its results go.
        columns: Metrics of every column, of which the first one is compared. Without any, another source needs it.
        run: Folder of a probe without pretraining; None for one of its own.
        options: Settings of the probe, those of the embedder among them.
        file: JSON file in the folder of the probe, or of the pretraining where there is no probe.
    """

    name: str | None
    columns: Mapping[str, Sequence[str]]
    pretraining: Pretraining | None
    run: str | None = None
    probe: str | None = None
    embedder: str | None = None
    options: Mapping[str, Any] | None = None
    before: Sequence[str] = ()
    file: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table, or a point or curve of a figure.

    ``curve`` is how many checkpoints of seed 0 are probed, or True for all that the config keeps, of all seeds;
    ``paper`` are figures that are quoted.
    """

    name: str
    title: str
    group: str | None
    pretraining: Pretraining | None
    sources: Sequence[Source]
    seeds: int
    baseline: str | None
    curve: bool | int
    x: float | None
    paper: Mapping[str, Figure]

    def source_of(self, column: str) -> Source | None:
        """What gives a column."""
        return next((source for source in self.sources if column in source.columns), None)

    @property
    def pretrained(self) -> bool:
        """Whether it has learned without labels."""
        own = self.pretraining
        return own is not None and not own.labelled and own.step != 0


@dataclass(frozen=True)
class Plot:
    """Axes of a chart; ``series`` is 'group' or 'name', ``lines`` are rows that are drawn as horizontal lines."""

    x: str
    y: str
    series: str = 'group'
    xscale: str = 'linear'
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Pictures:
    """Shell templates of pictures, of a source or of a probe of several rows."""

    commands: Sequence[str]
    source: Source | None = None
    rows: Sequence[str] = ()
    probe: str | None = None

    @property
    def title(self) -> str:
        """What they are of, in words."""
        return ', '.join(self.rows) if self.source is None else self.source.pretraining.config


@dataclass(frozen=True)
class Table:
    """A table or figure; ``differences`` are pairs of rows, ``classes`` is the column whose classes are shown."""

    key: str
    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Row]
    plot: Plot | None
    pictures: Sequence[Pictures]
    differences: Sequence[Sequence[str]]
    classes: str | None

    def row(self, name: str, group: str | None = None) -> Row:
        """The row of a name, of that group if there is one."""
        named = [row for row in self.rows if row.name == name]
        return next((row for row in named if row.group == group), named[0])

    def baseline_of(self, row: Row) -> Row | None:
        """The row that another one is compared with."""
        return None if row.baseline is None else self.row(row.baseline, row.group)


@dataclass(frozen=True)
class Needs:
    """What a training takes while others run beside it: cores, GiB of the GPU, and minutes of it; 0 is not counted."""

    cores: float = 0
    gpu_gib: float = 0
    gpu_minutes: float = 0


@dataclass(frozen=True)
class Size:
    """A folder of configs, and how they are run: on 'cpu', 'cuda' or (None) what there is, and in which precision."""

    name: str | None
    configs: Path
    device: str | None = None
    amp: bool = False
    needs: Needs = Needs()


@dataclass(frozen=True)
class Experiments:
    """A file of experiments; ``splits`` are what each adds to the names of configs, the first one that of tables."""

    path: Path
    tables: Mapping[str, Table]
    work_dirs: Path
    sizes: Mapping[str | None, Size]
    splits: Mapping[str, str]
    remove_weights: bool

    def curve_of(self, run: str) -> int:
        """How many checkpoints of a pretraining are asked for; 0 where that is left to its config."""
        rows = [row for table in self.tables.values() for row in table.rows if row.curve is not True]
        return max((row.curve for row in rows if row.pretraining is not None and row.pretraining.run == run), default=0)

    @property
    def pictured(self) -> set[str | None]:
        """Names of the probes that pictures show."""
        entries = [pictures for table in self.tables.values() for pictures in table.pictures]
        return {each.probe if each.source is None else each.source.name for each in entries}


def select(experiments: Experiments, names: Sequence[str]) -> list[Table]:
    """The tables of these names, each once: ``table-1``, ``1`` for ``table-1``, or ``all``; without names all.

    Raises:
        ValueError: If a name is none of them; the message lists all.
    """
    tables, chosen = experiments.tables, {}
    for name in names or ['all']:
        key = name.lower() if f'table-{name.lower()}' not in tables else f'table-{name.lower()}'
        if key != 'all' and key not in tables:
            raise ValueError(f'there is no table {name}; there are {", ".join(tables)}, or all')
        chosen.update(tables if key == 'all' else {key: tables[key]})
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
