"""Puts configs, tools and the model index into the package, as ``mmvice/.mim``; the rest is in setup.cfg."""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = ('configs', 'tools', 'model-index.yml')


def remove(path: Path) -> None:
    """Delete a file, a link (not what it points to) or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without its caches."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))
    else:
        shutil.copy2(source, target)


def link(source: Path, target: Path) -> None:
    """Link to a file or folder by its relative path; copy it where the system can't link."""
    try:
        target.symlink_to(os.path.relpath(source, target.parent), target_is_directory=source.is_dir())
    except OSError:
        copy(source, target)


class BuildWithMim(build_py):
    """Adds ``mmvice/.mim``: links in the source tree for an editable install, else copies in the build."""

    def run(self) -> None:
        """Build the modules, then lay ``.mim`` beside them."""
        super().run()
        package, put = (ROOT / 'mmvice', link) if self.editable_mode else (Path(self.build_lib, 'mmvice'), copy)
        mim = package / '.mim'
        remove(mim)
        mim.mkdir(parents=True)
        for name in CARRIED:
            if (ROOT / name).exists():
                put(ROOT / name, mim / name)


setup(cmdclass={'build_py': BuildWithMim})
