"""The recipes of CONTRIBUTING.md need nothing else: copied into a copy of the repository, they pass their checks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
NEW = re.findall(r'^```python\n# (\S+)\n(.*?)^```', TEXT, flags=re.MULTILINE | re.DOTALL)
CHANGED = re.findall(r'^```diff\n--- (\S+)\n(.*?)^```', TEXT, flags=re.MULTILINE | re.DOTALL)
CHECKS = re.findall(r'Check: `pytest (tests/[^`]*)`', TEXT)


def changed(text: str, diff: str) -> str:
    """Put each ``+`` line behind the line with a space before it; the first ones before the first such line."""
    lines, place, added = text.splitlines(), None, []
    for sign, line in ((entry[:1], entry[1:]) for entry in diff.splitlines()):
        if sign == '+':
            added.append(line)
            continue
        known = lines.index(line, place or 0)
        at = known if place is None else place
        lines[at:at] = added
        place, added = known + len(added) + 1, []
    lines[place:place] = added
    return '\n'.join(lines) + '\n'


def passes(*command: str, cwd: Path) -> None:
    """Run a module of this Python, in a folder whose mmvice comes first."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(cwd)}
    done = subprocess.run([sys.executable, '-m', *command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_recipes_are_complete(tmp_path):
    assert (len(NEW), len(CHANGED), len(CHECKS)) == (9, 5, 4)
    for name in ('mmvice', 'configs', 'tests', 'tools'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('.mim'))
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    for path, text in NEW:
        assert not (ROOT / path).exists(), path
        (tmp_path / path).write_text(text, encoding='utf-8')
    for path, diff in CHANGED:
        text = (ROOT / path).read_text(encoding='utf-8')
        (tmp_path / path).write_text(changed(text, diff), encoding='utf-8')
    passes('ruff', 'check', '--no-cache', *(path for path, _ in NEW + CHANGED), cwd=tmp_path)
    files = sorted({file for check in CHECKS for file in re.findall(r'tests/\S+', check)})
    named = re.findall(r'-k (?:"([^"]+)"|([\w-]+))', ' '.join(CHECKS))
    chosen = ' or '.join(quoted or word for quoted, word in named)
    passes('pytest', '-q', '-x', '--basetemp=made', *files, '-k', chosen, '-m', '', cwd=tmp_path)
