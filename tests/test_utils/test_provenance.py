"""What a checkpoint says of the versions and the revision that wrote it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import mmvice
from mmvice.utils.provenance import git_revision, provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ('-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'init.defaultBranch=main')
    run = subprocess.run(['git', '-C', folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A git repository with one file."""
    folder = tmp_path / 'checkout'
    folder.mkdir()
    git(folder, 'init', '--quiet')
    (folder / 'file').write_text('a')
    git(folder, 'add', 'file')
    git(folder, 'commit', '--quiet', '-m', 'first')
    return folder


def test_revision_of_a_checkout_and_whether_it_is_changed(checkout, tmp_path, monkeypatch):
    revision = git(checkout, 'rev-parse', 'HEAD')
    assert git_revision(checkout) == revision
    (checkout / 'untracked').touch()
    assert git_revision(checkout) == revision
    monkeypatch.setenv('GIT_DIR', str(tmp_path / 'another'))  # as in a process that a git hook starts
    assert git_revision(checkout) == revision
    (checkout / 'file').write_text('b')
    assert git_revision(checkout) == f'{revision}-dirty'


def test_no_revision_where_there_is_none(checkout, tmp_path, monkeypatch):
    inside = checkout / 'site-packages'
    inside.mkdir()
    assert git_revision(inside) is None, 'installed inside the checkout of another project'
    assert git_revision(tmp_path) is None, 'no checkout'
    assert git_revision(tmp_path / 'nothing') is None
    (checkout / '.git' / 'HEAD').write_text('nonsense')
    assert git_revision(checkout) is None, 'a broken one'
    (tmp_path / 'bin').mkdir()
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    assert shutil.which('git') is None
    assert git_revision(Path(mmvice.__file__).parents[1]) is None, 'no git'


def test_a_git_that_fails_or_is_not_executable_is_none(checkout, tmp_path, monkeypatch):
    program = tmp_path / 'bin' / 'git'
    program.parent.mkdir()
    monkeypatch.setenv('PATH', str(program.parent))
    program.write_text('#!/bin/sh\nexit 3\n')
    program.chmod(0o755)
    assert git_revision(checkout) is None
    program.write_bytes(os.urandom(64))
    assert git_revision(checkout) is None


def test_versions_are_those_that_run():
    found = provenance()
    versions = found['versions']
    assert versions['mmvice'] == mmvice.__version__
    assert versions['torch'] == torch.__version__
    assert versions['numpy'] == np.__version__
    needed = {'mmvice', 'torch', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'numpy', 'python'}
    assert needed <= versions.keys()
    assert all(type(version) is str for version in versions.values()), 'plain values, which every loader allows'
    assert found['git_revision'] is None or type(found['git_revision']) is str
