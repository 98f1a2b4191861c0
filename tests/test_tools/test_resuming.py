"""What ``tools/train.py --resume`` makes of the files that it finds."""

import errno
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import line
from hostile_files import Payload

from mmvice.cli.errors import explain
from mmvice.utils import files, whole_checkpoint
from mmvice.utils.checkpoint import load_checkpoint_file
from mmvice.utils.files import NoSpaceError
from mmvice.utils.whole_checkpoint import DamagedCheckpointError

TRAIN = Path(__file__).parents[2] / 'tools' / 'train.py'
ENDLESS = ('--cfg-options', 'train_dataloader.sampler.type=InfiniteSampler')  # MMEngine pauses after other epochs
SIX, EIGHT = (*ENDLESS, 'train_cfg.max_iters=6'), (*ENDLESS, 'train_cfg.max_iters=8')

DAMAGES = {
    'truncated': lambda content: content[: len(content) // 2],
    'without its last byte': lambda content: content[:-1],
    'empty': lambda content: b'',
    'zeros': lambda content: bytes(len(content)),
    'other bytes': lambda content: os.urandom(len(content)),
    'a page of zeros inside': lambda content: content[:1024] + bytes(512) + content[1536:],
}


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """A folder for what the first test trains, and the others copy."""
    return tmp_path_factory.mktemp('trained') / 'folder'


@pytest.fixture
def run(tool, toy_config, tmp_path, trained, monkeypatch) -> Path:
    """The work folder of six steps, with checkpoints after 2, 4 and 6, and of eight in ``whole``."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)  # which starts compilers to ask for their versions
    if not trained.exists():
        tool('train', toy_config, '--work-dir', 'whole', *EIGHT)
        tool('train', toy_config, '--work-dir', 'run', *SIX)
        shutil.copytree(tmp_path, trained)
    else:
        shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / 'run'


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What is logged of damaged files; the loggers of earlier runs in this process write to where those wrote."""
    texts = []
    monkeypatch.setattr(whole_checkpoint, 'print_log', lambda text, **_: texts.append(text))
    return texts


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_torn_checkpoint_is_named_and_passed_over(run, tool, toy_config, tmp_path, damage, said):
    torn = run / 'iter_6.pth'
    torn.write_bytes(DAMAGES[damage](torn.read_bytes()))
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert len(said) == 1
    assert said[0].startswith('run/iter_6.pth is damaged: ')
    assert said[0].endswith('Resuming from run/iter_4.pth.')
    assert torch.equal(line(run / 'iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'))
    assert load_checkpoint_file(torn)['meta']['iter'] == 6


@pytest.mark.parametrize(
    'record', [None, b'', b'\0\0\0\0', b'\xff\xfe\x00', b'iter_6.pth\niter_4.pth', b'x' * 300, b'/gone/iter_7.pth']
)
def test_a_torn_last_checkpoint_costs_nothing(run, tool, toy_config, tmp_path, record, capsys):
    if record is None:
        (run / 'last_checkpoint').unlink()
    else:
        (run / 'last_checkpoint').write_bytes(record)
    (tmp_path / 'run/iter_2.pth').unlink()
    capsys.readouterr()
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    captured = capsys.readouterr()
    assert 'resumed epoch: 0, iter: 6' in captured.out + captured.err
    assert torch.equal(line(run / 'iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'))
    assert Path((run / 'last_checkpoint').read_text()).name == 'iter_8.pth'


def test_checkpoints_of_a_longer_run_are_not_gone_on_from(run, tool, toy_config, tmp_path, capsys):
    """Of a run that was started anew in the folder of an older one."""
    (run / 'last_checkpoint').write_text(str(run / 'iter_4.pth'))
    (run / 'iter_4.pth').write_bytes(b'')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert 'resumed epoch: 0, iter: 2' in capsys.readouterr().err


def test_none_whole_is_an_error_and_no_new_start(run, tool, toy_config):
    for path in run.glob('*.pth'):
        path.write_bytes(b'torn')
    with pytest.raises(DamagedCheckpointError, match=r'iter_6\.pth is damaged.*iter_2\.pth is damaged.*start anew'):
        tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert {path.read_bytes() for path in run.glob('*.pth')} == {b'torn'}


def test_a_named_checkpoint_that_is_torn_is_not_replaced_by_another(run, tool, toy_config):
    torn = run / 'iter_6.pth'
    torn.write_bytes(torn.read_bytes()[:1000])
    with pytest.raises(DamagedCheckpointError, match=r'iter_6\.pth is damaged'):
        tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT, 'load_from=run/iter_6.pth')


def test_resume_in_a_config_is_the_same(run, tool, toy_config, tmp_path):
    (run / 'iter_6.pth').write_bytes(b'')
    tool('train', toy_config, '--work-dir', 'run', *EIGHT, 'resume=True')
    assert torch.equal(line(run / 'iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'))


def test_a_moved_run_goes_on_from_its_own_checkpoint(run, tool, toy_config, tmp_path):
    run.rename(tmp_path / 'moved')
    tool('train', toy_config, '--work-dir', 'moved', '--resume', *EIGHT)
    assert torch.equal(line(tmp_path / 'moved/iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'))
    assert not run.exists()


def test_the_test_tool_passes_over_a_torn_checkpoint_of_a_folder(run, tool, toy_config, said, capsys):
    (run / 'iter_6.pth').write_bytes(b'')
    capsys.readouterr()
    tool('test', toy_config, 'run')
    assert said[0].startswith('run/iter_6.pth is damaged: ')
    assert 'Load checkpoint from run/iter_4.pth' in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed(run, tool, toy_config):
    left = [run / name for name in ('.iter_8.pth.77.part', '.best_mIoU_iter_8.pth.77.part', '.last_checkpoint.77.part')]
    others = [run / name for name in ('.iter_8.pth.77', 'iter_8.part', '.other.77.part')]
    for path in [*left, *others]:
        path.write_bytes(b'half')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert [path for path in left if path.exists()] == []
    assert all(path.read_bytes() == b'half' for path in others)


def test_a_config_in_a_checkpoint_is_not_run(run, tool, toy_config, tmp_path):
    """MMEngine makes a config of this text when it resumes, which runs it."""
    content = load_checkpoint_file(run / 'iter_6.pth')
    content['meta']['config'] = f'import os\nos.mkdir({str(tmp_path / "made")!r})\n'
    torch.save(content, run / 'iter_6.pth')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert not (tmp_path / 'made').exists()
    assert torch.equal(line(run / 'iter_8.pth'), line(tmp_path / 'whole/iter_8.pth'))


@pytest.mark.parametrize('settings', ["save_best='mIoU'", "save_best=['mIoU','aAcc']"])
def test_a_checkpoint_cannot_have_other_files_removed(run, tool, toy_config, tmp_path, settings):
    """MMEngine removes the best checkpoint so far by the path that a checkpoint says, and old ones by their number."""
    validation = "val_dataloader = test_dataloader\nval_evaluator = test_evaluator\nval_cfg = dict(type='ValLoop')\n"
    with toy_config.open('a') as config:
        config.write(f'{validation}train_cfg.update(val_interval=2)\n')
        config.write(f"default_hooks['checkpoint'].update({settings}, rule='greater', max_keep_ckpts=1)\n")
    shutil.rmtree(run)
    tool('train', toy_config, '--work-dir', 'run')
    mine, folder = tmp_path / 'best_of_mine.txt', tmp_path / 'best_folder'
    mine.write_text('keep')
    folder.mkdir()
    (folder / 'file').write_text('keep')
    content = load_checkpoint_file(tmp_path / 'run/iter_4.pth')
    info = content['message_hub']['runtime_info']
    for name in [name for name in info if name.startswith('best_ckpt')]:
        info[name] = str(mine) if name.endswith('t') else str(folder)
        info[name.replace('ckpt', 'score')] = -1.0
    numbered = tmp_path / 'numbered.pth'
    numbered.write_text('keep')
    (tmp_path / 'run/iter_x').mkdir()
    info['keep_ckpt_ids'] = ['2', 'x/../../numbered', '4']
    content['message_hub']['resumed_keys'] = dict.fromkeys(content['message_hub']['resumed_keys'], True)
    torch.save(content, tmp_path / 'run/iter_4.pth')
    tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert (mine.read_text(), (folder / 'file').read_text(), numbered.read_text()) == ('keep', 'keep', 'keep')
    assert len([*(tmp_path / 'run').glob('best_mIoU_*.pth')]) >= 1


def test_a_full_disk_ends_in_one_sentence(run, tool, toy_config, tmp_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}

    class FullDisk:
        """A file on a disk that has room for a hundred bytes more."""

        def __init__(self, path: str, mode: str) -> None:
            self.file = open(path, mode)

        def __enter__(self) -> 'FullDisk':
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def write(self, content: bytes) -> None:
            self.file.write(content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, 'open', FullDisk, raising=False)
    with pytest.raises(NoSpaceError) as stop:
        tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    sentence = explain(stop.value)
    for part in ('run/iter_8.pth could not be written', 'the disk is full', 'it needs', 'kB', 'are free', '--resume'):
        assert part in sentence
    assert '\n' not in sentence
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert {name: after[name] for name in before if name != 'toy.py'} == {
        name: content for name, content in before.items() if name != 'toy.py'
    }
    assert [name for name in after if name.endswith('.part')] == []


@pytest.mark.slow
def test_a_limit_of_the_system_ends_in_one_sentence(toy_config, tmp_path):
    """The system's own error, from a process that may not write files as large as a checkpoint."""
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent), OMP_NUM_THREADS='1')
    run = subprocess.run(
        [sys.executable, TRAIN, toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'log_level=ERROR'],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ') and 'iter_2.pth could not be written, the limit on the size of a file' in last
    assert 'Traceback' not in run.stderr
    assert [path.name for path in (tmp_path / 'run').iterdir() if 'iter' in path.name] == []


def test_a_refused_checkpoint_is_not_passed_over(run, tool, toy_config, tmp_path):
    """One with code in it is whole: a run does not quietly go on from the one before."""
    content = load_checkpoint_file(run / 'iter_6.pth')
    torch.save(dict(content, extra=Payload(tmp_path / 'made')), run / 'iter_6.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'iter_6\.pth was not loaded: it refers to'):
        tool('train', toy_config, '--work-dir', 'run', '--resume', *EIGHT)
    assert not (tmp_path / 'made').exists()
