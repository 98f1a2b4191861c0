"""What is installed: the wheel's contents, the versions it asks for, and what an import says when they are wrong."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path
from types import ModuleType

import pytest

import mmvice

ROOT = Path(__file__).parents[1]
PARTS = ['setup.py', 'setup.cfg', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml']
FOLDERS = ['mmvice', 'configs', 'tools', 'requirements']


def files(folder: Path) -> set[str]:
    """All files under a folder, less caches, by their path from its parent."""
    found = (file for file in folder.rglob('*') if file.is_file() and '__pycache__' not in file.parts)
    return {file.relative_to(folder.parent).as_posix() for file in found}


def build(what: str, source: Path, target: Path) -> Path:
    """Build an sdist, a wheel or an editable wheel as pip does, in this environment."""
    call = f'from setuptools import build_meta; print(build_meta.build_{what}({str(target)!r}))'
    run = subprocess.run([sys.executable, '-c', call], cwd=source, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return target / run.stdout.split()[-1]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the source tree, with what an editable install before leaves in it."""
    copy = tmp_path / 'source'
    copy.mkdir()
    for name in PARTS:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    (copy / 'mmvice/.mim').mkdir()
    (copy / 'mmvice/.mim/stale.py').touch()
    return copy


def test_wheel_by_way_of_the_sdist_carries_configs_and_tools(source, tmp_path):
    with tarfile.open(build('sdist', source, tmp_path)) as archive:
        archive.extractall(tmp_path / 'unpacked')
    [unpacked] = (tmp_path / 'unpacked').iterdir()
    with zipfile.ZipFile(build('wheel', unpacked, tmp_path)) as wheel:
        names = set(wheel.namelist())
        [metadata] = [message_from_bytes(wheel.read(name)) for name in names if name.endswith('/METADATA')]

    expected = {f'mmvice/.mim/{name}' for folder in ('configs', 'tools') for name in files(ROOT / folder)}
    if (ROOT / 'model-index.yml').exists():
        expected.add('mmvice/.mim/model-index.yml')
    assert {name for name in names if name.startswith('mmvice/.mim/')} == expected
    assert {'mmvice/.mim/tools/train.py', 'mmvice/py.typed'} <= names
    modules = {name for name in files(ROOT / 'mmvice') if not name.startswith('mmvice/.mim/')}
    assert modules <= names
    assert {name.split('/')[0] for name in names} == {'mmvice', f'mmvice-{mmvice.__version__}.dist-info'}

    assert metadata['Version'] == mmvice.__version__
    assert metadata['Requires-Python'] == '>=3.10'
    always = {re.match('[a-z0-9-]+', line)[0] for line in metadata.get_all('Requires-Dist') if 'extra ==' not in line}
    assert 'torch' in always
    assert not [name for name in always if name.startswith(('faiss', 'mm', 'onedl'))]


@pytest.mark.skipif(os.name != 'posix', reason='links')
def test_editable_install_links_to_configs_and_tools(source, tmp_path):
    build('editable', source, tmp_path)
    for name in ('configs', 'tools'):
        link = source / 'mmvice/.mim' / name
        assert link.is_symlink()
        assert link.resolve() == (source / name).resolve()
        assert not link.readlink().is_absolute()
    assert not (source / 'mmvice/.mim/stale.py').exists()


def test_every_requirement_is_pinned_in_the_tested_combination():
    def names(file: Path) -> set[str]:
        lines = (re.match(r'[A-Za-z0-9_.-]+', line) for line in file.read_text().splitlines())
        return {line[0].lower() for line in lines if line}

    pinned = names(ROOT / 'requirements/tested.txt')
    for file in ('mminstall', 'runtime', 'cpu', 'gpu', 'encoders', 'tests'):
        assert names(ROOT / f'requirements/{file}.txt') <= pinned


def test_import_is_light():
    code = (
        'import sys, mmvice\n'
        'assert not {"mmpretrain", "faiss", "numba"} & set(sys.modules)\n'
        'assert {name for name in sys.modules if name.startswith("mmvice")} == {"mmvice", "mmvice.version"}'
    )
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)


@pytest.mark.parametrize('module', mmvice.MINIMUM_VERSIONS)
def test_missing_package_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{module} cannot be imported.*pip install -r requirements/mminstall\.txt'):
        mmvice._check_dependencies()


def test_package_too_old_says_what_to_install(monkeypatch):
    old = ModuleType('mmseg')
    old.__version__ = '0.30.0'
    monkeypatch.setitem(sys.modules, 'mmseg', old)
    with pytest.raises(ImportError, match=r'found mmseg 0\.30\.0: .*requirements/mminstall\.txt'):
        mmvice._check_dependencies()


def test_packages_that_refuse_each_other_say_what_to_install(monkeypatch, tmp_path):
    package = tmp_path / 'mmseg'
    package.mkdir()
    (package / '__init__.py').write_text('assert False, "MMCV==2.3.6 is used but incompatible."')
    monkeypatch.delitem(sys.modules, 'mmseg', raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r'mmseg cannot be imported \(MMCV==2\.3\.6 is used.*mminstall\.txt'):
        mmvice._check_dependencies()


@pytest.mark.parametrize('version', ['1.0.0', '1.2.2', '1.4.2rc1'])
def test_original_and_maintained_versions_are_allowed(monkeypatch, version):
    original = ModuleType('mmseg')
    original.__version__ = version
    monkeypatch.setitem(sys.modules, 'mmseg', original)
    mmvice._check_dependencies()
