"""The pictures of tables: charts, and what the commands of their figures make."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from .chart import draw_chart
from .fields import require_known
from .jobs import Job
from .plan import Planner
from .results import Results
from .tables import Pictures, Table
from .templates import fill


def picture_lines(planner: Planner, table: Table, pictures: Pictures, out: Path | None = None) -> list[str]:
    """The commands of pictures, ready for the shell; ``out`` is for what has no folder of its own."""
    values = {'out': str(out or planner.work_dirs / 'pictures'), 'work_dirs': str(planner.work_dirs)}
    if pictures.source is not None:
        values |= planner.places(pictures.source, 0)
    else:
        shown = _shown_jobs(planner, table, pictures).items()
        words = [('--model', title, str(job.folder / job.config.name), str(job.folder)) for title, job in shown]
        values['models'] = ' '.join(map(shlex.join, words))
    return [fill(command, values) for command in pictures.commands]


def _shown_jobs(planner: Planner, table: Table, pictures: Pictures) -> dict[str, Job]:
    """The probe of seed 0 of each row that is shown: the chosen ones, or those that the file names."""
    rows = [table.row(name) for name in planner.rows or pictures.rows]
    for row in rows:
        require_known(f'row {row.name}', [pictures.probe], [source.name for source in row.sources], 'probe')
    return {r.title: planner.probe(next(s for s in r.sources if s.name == pictures.probe), 0) for r in rows}


def draw_pictures(
    planner: Planner, results: Results, tables: Sequence[Table], out: Path | None = None
) -> tuple[list[Path], list[str]]:
    """Draw the charts of tables, into ``out`` or a folder among the runs.

    Returns:
        tuple: The charts that were drawn, and the lines for the shell that make the other pictures.

    Raises:
        FileNotFoundError: If the weights of what is shown are not there.
    """
    charts, lines = [], []
    for table in tables:
        file = (out or planner.work_dirs / 'pictures') / f'{table.key}.png'
        if table.plot is not None and draw_chart(planner, results, table, file):
            charts.append(file)
        for pictures in table.pictures:
            shown = {} if pictures.source else _shown_jobs(planner, table, pictures)
            for job in [*planner.picture_jobs(pictures), *shown.values()]:
                if isinstance(results.of(job), str) or not any(job.folder.glob('*.pth')):
                    raise FileNotFoundError(
                        f'{job.folder} has no finished training with its weights: run {job.name}, or, if its result '
                        f'was kept from elsewhere, run it again without --kept'
                    )
            lines += picture_lines(planner, table, pictures, out)
    return charts, lines
