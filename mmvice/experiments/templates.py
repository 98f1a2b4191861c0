"""Shell templates, filled in for a run."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from .tables import Source

PICTURE_FOLDERS = ('--output-dir', '--show-dir')


def fill(template: str, values: Mapping[str, str]) -> str:
    """A shell template with its names replaced; models are words of the shell already."""
    return template.format(
        **{name: value if name == 'models' else shlex.quote(value) for name, value in values.items()}
    )


def needs_pretraining(source: Source, templates: Sequence[str] = ()) -> bool:
    """Whether anything is read from the pretraining's folder; a place to write to is not."""
    if source.pretraining is None or source.probe is not None:
        return source.pretraining is not None
    lines = [shlex.split(template) for template in (*templates, *([source.command] if source.command else []))]
    read = [
        word for line in lines for before, word in zip(['', *line], line) if before not in ('--out', *PICTURE_FOLDERS)
    ]
    return not lines or any('{run}' in word for word in read)


def output_folder(line: str) -> Path | None:
    """The folder that a command writes pictures to, by ``--output-dir`` or ``--show-dir``; None without either."""
    words = shlex.split(line)
    return next((Path(value) for name, value in zip(words, words[1:]) if name in PICTURE_FOLDERS), None)
