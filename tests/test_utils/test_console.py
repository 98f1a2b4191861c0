"""Standard output is for results."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmvice.utils.console import quiet_import

ROOT = Path(__file__).parents[2]


def test_an_import_hides_known_lines_and_no_other(capsys):
    with quiet_import():
        sys.stdout.write('Could not import OneDL\n')
        sys.stdout.write('Could not import OneDL, says the user\n')
    assert capsys.readouterr().out == 'Could not import OneDL, says the user\n'


def test_what_a_failing_import_has_printed_is_shown(capsys):
    with pytest.raises(ImportError), quiet_import():
        sys.stdout.write('of the user\n')
        raise ImportError
    assert capsys.readouterr().out == 'of the user\n'


def test_nothing_is_said_at_import_and_commands_are_a_shell_script(tmp_path):
    """In a program of its own, as imports happen once; it has all parts and a transform of MMPretrain."""
    code = (
        'import runpy, mmvice.apis, mmvice.registry; mmvice.registry.TRANSFORMS.get("mmpretrain.GaussianBlur"); '
        'runpy.run_path("tools/analysis_tools/paper.py")["main"](["commands", "table-2-camvid"])'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('# table-2-camvid')
    assert 'OneDL' not in done.stdout + done.stderr and 'MultiScaleDeformableAttention' not in done.stderr
    subprocess.run(['bash', '-n'], input=done.stdout, text=True, check=True)
