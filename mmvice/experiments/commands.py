"""The shell commands that make the rows of a table."""

import shlex
from collections.abc import Iterator, Sequence

from .configs import setting
from .jobs import Job
from .pictures import picture_lines
from .plan import Planner
from .results import Results
from .tables import Pictures, Row, Source, Table
from .templates import fill, needs_pretraining, output_folder


def commands(planner: Planner, tables: Sequence[Table], results: Results | None = None) -> list[str]:
    """Shell lines that run these tables, to be run from the repository's root.

    A comment names the row, and each command stands once, with the first row that needs it. What ``results`` has is
    left out.
    """
    lines: list[str] = []
    printed: set[str] = set()
    for table in tables:
        lines += [*([''] if lines else []), f'# {table.key}: {table.title}']
        for comment, own in _parts(planner, table, results):
            new = [line for line in dict.fromkeys(own) if line not in printed]
            printed.update(new)
            done = [] if new else ['# nothing left to run' if not own else '# the same runs as above']
            lines += [f'# {comment}', *new, *done]
    return lines


def _parts(planner: Planner, table: Table, results: Results | None) -> Iterator[tuple[str, list[str]]]:
    for row in (row for row in planner.rows_of(table) if row.sources):
        own = [line for seed in planner.seeds_of(row) for line in _row_lines(planner, table, row, seed, results)]
        yield ', '.join(' '.join(text.split()) for text in (row.group, row.title) if text), own
    for pictures in table.pictures if planner.rows is None and planner.probes is None else ():
        yield f'pictures of {pictures.title}', list(_picture_lines(planner, table, pictures, results))


def _row_lines(planner: Planner, table: Table, row: Row, seed: int, results: Results | None) -> Iterator[str]:
    for source in planner.sources_of(row):
        if needs_pretraining(source):
            yield from _job_lines(planner.pretraining(source.pretraining, seed), results)
        if source.probe is not None:
            steps = planner.curve_steps(table, row, source, seed)
            for step in (*(steps or ()), None):
                yield from _job_lines(planner.probe(source, seed, step), results)
            if steps is None:
                yield _curve_line(planner, source, seed)
        yield from file_lines(planner, source, seed, results is not None)


def file_lines(planner: Planner, source: Source, seed: int, missing: bool) -> Iterator[str]:
    """The command that writes the file of a source, if it has one; if ``missing``, where the file is not there."""
    if source.command is not None:
        file = planner.source_folder(source, seed) / source.file
        if not (missing and file.is_file()):
            yield fill(source.command, planner.places(source, seed))


def _picture_lines(planner: Planner, table: Table, pictures: Pictures, results: Results | None) -> Iterator[str]:
    for job in planner.picture_jobs(pictures):
        yield from _job_lines(job, results)
    for line in picture_lines(planner, table, pictures):
        folder = output_folder(line)
        if not (results is not None and folder is not None and folder.is_dir()):
            yield line


def _job_lines(job: Job, results: Results | None) -> Iterator[str]:
    if results is None or isinstance(results.of(job), str):
        steps = job.cfg.train_cfg.get('max_iters')
        if job.scaling.scaled and steps is not None:
            yield f'# {job.config.stem} makes {steps} steps, of another number of images here'
        yield from job.before
        yield shlex.join(job.command())


def _curve_line(planner: Planner, source: Source, seed: int) -> str:
    """A loop over the checkpoints of a pretraining but the last, with a probe on each."""
    job = planner.probe(source, seed)
    run, name = shlex.quote(str(job.needs.folder)), shlex.quote(str(job.folder))
    options = {key: value for key, value in job.options.items() if key != 'model.embedder_checkpoint'}
    settings = ' '.join(shlex.quote(setting(key, value)) for key, value in options.items())
    train = f'python tools/train.py {job.command()[2]} --work-dir {name}_iter-"$step" --resume'
    body = '; '.join([*job.before, f'{train} --cfg-options model.embedder_checkpoint="$file" {settings}'])
    last = f'[ "$file" -ef "$(cat {run}/last_checkpoint)" ]'
    return f'for file in {run}/iter_*.pth; do step=$(basename "${{file##*iter_}}" .pth); {last} || {{ {body}; }}; done'
