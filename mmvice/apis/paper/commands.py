"""The shell commands that make the rows of a table."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .configs import load, reads_embedder, setting
from .folders import checkpoints, curve_run, pretraining_run, probe_name, probe_run, source_folder
from .logs import read_pretraining, read_probe
from .scaling import scale
from .tables import TRAIN_TIME, Paper, Pictures, Result, Row, Table
from .templates import OUTPUTS, config_path, fill, output_folder, picture_commands, places


@dataclass(frozen=True)
class Launch:
    """How the runs are to be started.

    Attributes:
        gpus: GPUs of a pretraining; None for as many as its config is made for.
        images_per_gpu: Images of a step on each; None for the config's own number.
        seeds: Number of seeds, from 0.
        missing: Leave out what has finished.
        amp: Pretrain in mixed precision.
        work_dirs: Folder of all runs.
    """

    gpus: int | None = None
    images_per_gpu: int | None = None
    seeds: int = 1
    missing: bool = False
    amp: bool = False
    work_dirs: Path = Path('work_dirs')


def commands(paper: Paper, tables: Sequence[Table], launch: Launch) -> list[str]:
    """Shell lines that run these tables, to be run from the repository's root.

    A comment names the row, and each command stands once, with the first row that needs it.
    """
    lines: list[str] = []
    printed: set[str] = set()
    for table in tables:
        lines += [*([''] if lines else []), f'# {table.key}: {table.title}']
        for comment, own in _parts(paper, table, launch):
            new = [line for line in dict.fromkeys(own) if line not in printed]
            printed.update(new)
            done = [] if new else ['# nothing left to run' if not own else '# the same runs as above']
            lines += [f'# {comment}', *new, *done]
    return lines


def _parts(paper: Paper, table: Table, launch: Launch) -> Iterator[tuple[str, list[str]]]:
    for row in table.rows:
        if row.quoted is None:
            comment = ', '.join(' '.join(text.split()) for text in (row.group, row.name) if text)
            lines = [line for seed in range(launch.seeds) for line in _row_lines(paper, row, seed, launch)]
            yield comment, lines
    for pictures in table.pictures:
        yield f'pictures of {pictures.pretrain}', list(_picture_lines(paper, pictures, launch))


def _row_lines(paper: Paper, row: Row, seed: int, launch: Launch) -> Iterator[str]:
    for result in row.results:
        if _needs_pretraining(result, [result.command] if result.command else []):
            yield from _pretraining_lines(paper, result.pretrain, seed, launch)
        if row.curve:
            yield from _curve_lines(paper, result, seed, launch)
        elif result.probe is not None:
            yield from _probe_lines(paper, result, seed, launch)
        if result.source not in (None, TRAIN_TIME) and result.command is not None:
            file = source_folder(launch.work_dirs, result, seed) / result.source
            if not (launch.missing and file.is_file()):
                yield fill(result.command, places(launch.work_dirs, result, seed))


def _picture_lines(paper: Paper, pictures: Pictures, launch: Launch) -> Iterator[str]:
    if _needs_pretraining(pictures, pictures.commands):
        yield from _pretraining_lines(paper, pictures.pretrain, 0, launch)
    if pictures.probe is not None:
        yield from _probe_lines(paper, pictures, 0, launch)
    for command in picture_commands(launch.work_dirs, pictures):
        folder = output_folder(command)
        if not (launch.missing and folder is not None and folder.is_dir()):
            yield command


def _needs_pretraining(result: Result | Pictures, templates: Sequence[str]) -> bool:
    """Whether anything is read from the pretraining's folder; a place to write to is not."""
    if result.pretrain is None:
        return False
    words = [shlex.split(template) for template in templates]
    read = [word for line in words for before, word in zip(['', *line], line) if before not in OUTPUTS]
    return result.probe is not None or not templates or any('{run}' in word for word in read)


def _pretraining_lines(paper: Paper, config: str, seed: int, launch: Launch) -> list[str]:
    cfg, run = load(paper, config), pretraining_run(launch.work_dirs, config, seed)
    state = read_pretraining(run, cfg) if launch.missing else None
    if state is not None and state.finished:
        return []
    gpus, scaled, options = scale(cfg, launch.gpus, launch.images_per_gpu)
    start = ['python', 'tools/train.py', config_path(config)]
    if gpus > 1:
        start = ['bash', 'tools/dist_train.sh', config_path(config), str(gpus)]
    notes = []
    if scaled and 'max_iters' in cfg.train_cfg:
        notes = [f'# {config} makes {cfg.train_cfg.max_iters} steps, of another number of images here']
    return [
        *notes,
        _line(
            [*start, '--work-dir', str(run), '--resume', *(['--amp'] * launch.amp), *(['--auto-scale-lr'] * scaled)],
            options,
            seed,
        ),
    ]


def _probe_lines(paper: Paper, result: Result | Pictures, seed: int, launch: Launch) -> Iterator[str]:
    run = probe_run(launch.work_dirs, result, seed)
    cfg = load(paper, result.probe, result.options)
    state = read_probe(run, cfg) if launch.missing else None
    if state is not None and state.finished:
        return
    values = places(launch.work_dirs, result, seed)
    for command in getattr(result, 'before', ()):
        yield fill(command, values)
    start = ['python', 'tools/train.py', config_path(result.probe), '--work-dir', str(run), '--resume']
    embedder = {}
    if result.pretrain is not None and reads_embedder(cfg):
        embedder = {'model.embedder_checkpoint': values['run']}
    yield _line(start, {**embedder, **_probe_options(paper, result, values)}, seed)


def _probe_options(paper: Paper, result: Result | Pictures, values: Mapping[str, str]) -> dict[str, Any]:
    """Settings of a probe: D of its pretraining, and those of the row."""
    options = {}
    probe = load(paper, result.probe, result.options)
    if result.pretrain is not None and reads_embedder(probe):
        trained = load(paper, result.pretrain).model.decoder.embed_dims
        if trained != probe.model.decoder.embed_dims:
            options['model.decoder.embed_dims'] = trained
    filled = {key: value.format(**values) if isinstance(value, str) else value for key, value in result.options.items()}
    return {**options, **filled}


def _curve_lines(paper: Paper, result: Result, seed: int, launch: Launch) -> Iterator[str]:
    """A loop over the checkpoints of a pretraining, with a probe on each."""
    run = pretraining_run(launch.work_dirs, result.pretrain, seed)
    files = f'{shlex.quote(str(run))}/iter_*.pth'
    state = read_pretraining(run, load(paper, result.pretrain)) if launch.missing else None
    if state is not None and state.finished:
        cfg = load(paper, result.probe, result.options)
        probes = {step: curve_run(launch.work_dirs, result, seed, step) for step in checkpoints(run)}
        states = {step: read_probe(folder, cfg) for step, folder in probes.items()}
        left = [step for step, probe in states.items() if probe is None or not probe.finished]
        if not left:
            return
        files = ' '.join(shlex.quote(str(checkpoints(run)[step])) for step in left)
    values = places(launch.work_dirs, result, seed)
    body = [fill(command, values) for command in result.before]
    name = shlex.quote(str(run / probe_name(result.probe, result.options)))
    start = f'python tools/train.py {config_path(result.probe)} --work-dir {name}_iter-"$step" --resume'
    options = _settings(_probe_options(paper, result, values), seed)
    body.append(' '.join([start, '--cfg-options model.embedder_checkpoint="$file"', *options]))
    yield f'for file in {files}; do step=$(basename "${{file##*iter_}}" .pth); {"; ".join(body)}; done'


def _line(start: Sequence[str], options: Mapping[str, Any], seed: int) -> str:
    settings = _settings(options, seed)
    return ' '.join([shlex.join(start), *(['--cfg-options', *settings] if settings else [])])


def _settings(options: Mapping[str, Any], seed: int) -> list[str]:
    return [
        shlex.quote(setting(key, value))
        for key, value in {**options, **({'randomness.seed': seed} if seed else {})}.items()
    ]
