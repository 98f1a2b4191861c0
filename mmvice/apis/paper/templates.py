"""Shell templates of the paper's file, filled in for a run."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from .folders import pretraining_run, probe_run
from .tables import Pictures, Result

PICTURE_FOLDERS = ('--output-dir', '--show-dir')
OUTPUTS = ('--out', *PICTURE_FOLDERS)


def picture_commands(work_dirs: Path, pictures: Pictures) -> list[str]:
    """The commands of a figure's pictures, ready for the shell."""
    return [fill(command, places(work_dirs, pictures, 0)) for command in pictures.commands]


def output_folder(command: str) -> Path | None:
    """The folder that a command writes to, by ``--output-dir`` or ``--show-dir``; None where it has neither."""
    words = shlex.split(command)
    found = [Path(value) for name, value in zip(words, words[1:]) if name in PICTURE_FOLDERS]
    return found[0] if found else None


def places(work_dirs: Path, result: Result | Pictures, seed: int) -> dict[str, str]:
    """What the names in braces of a template stand for."""
    found = {'seed': str(seed), 'work_dirs': str(work_dirs)}
    if result.pretrain is not None:
        run = pretraining_run(work_dirs, result.pretrain, seed)
        found.update(config=config_path(result.pretrain), run=str(run))
    if result.probe is not None:
        run = probe_run(work_dirs, result, seed)
        found.update(probe_config=config_path(result.probe), probe_run=str(run))
    return found


def fill(template: str, values: Mapping[str, str]) -> str:
    """A shell template with its names replaced."""
    return template.format(**{name: shlex.quote(value) for name, value in values.items()})


def config_path(config: str) -> str:
    """A config as the commands name it."""
    return f'configs/{config}.py'
