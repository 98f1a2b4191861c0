"""The origin of a checkpoint: versions, and the revision of mmvice."""

import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

import mmvice

MODULES = ('mmvice', 'torch', 'mmengine', 'mmcv', 'mmseg', 'numpy', 'cv2')
DISTRIBUTIONS = ('torchvision', 'onedl-mmpretrain', 'mmpretrain', 'numba', 'pillow')
"""Packages whose versions are read without importing them; MMPretrain has two names, of which one is installed."""
_GIT_SECONDS = 20


@cache
def provenance() -> dict[str, dict[str, str] | str | None]:
    """Entries of a checkpoint's meta data besides MMEngine's config and seed.

    Returns:
        dict: ``versions`` by module, with ``python``, and ``cuda`` if torch was built for it, and ``git_revision``, see
            :func:`git_revision`.
    """
    versions = {name: str(import_module(name).__version__) for name in MODULES}
    for name in DISTRIBUTIONS:
        with suppress(metadata.PackageNotFoundError):
            versions[name.removeprefix('onedl-')] = metadata.version(name)
    versions['python'] = platform.python_version()
    cuda = import_module('torch').version.cuda
    if cuda is not None:
        versions['cuda'] = cuda
    return dict(versions=versions, git_revision=git_revision(Path(mmvice.__file__).parents[1]))


def git_revision(checkout: Path) -> str | None:
    """The commit of a git checkout, with '-dirty' if tracked files are changed.

    Returns:
        str or None: None if the folder is not a checkout itself (installed, or inside another project's), or if git is
            missing or fails.
    """
    top = _git(checkout, 'rev-parse', '--show-toplevel')
    if not top or Path(top).resolve() != checkout.resolve():
        return None
    revision = _git(checkout, 'rev-parse', 'HEAD')
    changes = _git(checkout, 'status', '--porcelain', '--untracked-files=no')
    if not revision or changes is None:
        return None
    return f'{revision}-dirty' if changes else revision


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git; None if it fails."""
    # a run that is started by a git hook has variables that name that hook's repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}
    command = ['git', '--no-optional-locks', '-C', str(folder), *arguments]
    try:
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors='replace', timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()
