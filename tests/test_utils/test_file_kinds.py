"""Files that are no checkpoints are told by their kind, and not unpickled."""

import os
import pickle

import pytest
import torch
from hostile_files import Payload, archived, legacy, pickled, zipped

from mmvice.utils.checkpoint import load_checkpoint_file
from mmvice.utils.file_kinds import bare_pickle, is_of_pytorch_1_5, is_tar
from mmvice.utils.whole_checkpoint import DamagedCheckpointError, check_whole, latest_checkpoint

MKDIR = f'{os.mkdir.__module__}.mkdir'


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_a_pickle_refers_to(tmp_path, protocol):
    file = tmp_path / 'a.pth'
    file.write_bytes(pickle.dumps(dict(a=[1.5, 'text'], b=Payload(tmp_path / 'made')), protocol=protocol))
    assert bare_pickle(file) == MKDIR
    if protocol >= 2:
        file.write_bytes(file.read_bytes() + b'more')
        assert bare_pickle(file) == MKDIR
    file.write_bytes(pickle.dumps(dict(a=[1.5, 'text']), protocol=protocol))
    assert bare_pickle(file) == ''
    assert not (tmp_path / 'made').exists()


def test_what_is_no_pickle(tmp_path):
    file = tmp_path / 'a.pth'
    whole = pickle.dumps(dict(a=1, b='two'))
    for content in (b'', b'not a checkpoint', whole[:-1], bytes(1000), b'PK\3\4' + bytes(20), b'\x80\x04\xff'):
        file.write_bytes(content)
        assert bare_pickle(file) is None


def test_the_kinds_are_told_apart(tmp_path):
    kinds = {}
    for form in (zipped, legacy, pickled, archived):
        form(dict(state_dict=dict(weight=torch.zeros(2))), tmp_path / f'{form.__name__}.pth')
        file = tmp_path / f'{form.__name__}.pth'
        kinds[form.__name__] = is_of_pytorch_1_5(file), is_tar(file)
    assert kinds == dict(zipped=(False, False), legacy=(True, False), pickled=(False, False), archived=(False, True))


@pytest.mark.parametrize('read', [load_checkpoint_file, check_whole])
@pytest.mark.parametrize(
    'form, words',
    [(pickled, f'it is a bare pickle, which torch.save does not write, and refers to {MKDIR}'), (archived, '0.1')],
)
def test_what_cannot_be_a_checkpoint_is_refused_with_the_reason(tmp_path, read, form, words):
    form(dict(extra=Payload(tmp_path / 'made')), tmp_path / 'a.pth')
    with pytest.raises(pickle.UnpicklingError) as refused:
        read(tmp_path / 'a.pth')
    assert 'a.pth was not loaded' in str(refused.value) and words in str(refused.value)
    assert not isinstance(refused.value, DamagedCheckpointError) and '\n' not in str(refused.value)
    assert not (tmp_path / 'made').exists()


def test_an_old_format_is_no_damage(tmp_path):
    """It is read, but a run that looks for its latest checkpoint is not led past it."""
    for number in (1, 2):
        (legacy if number == 2 else zipped)(
            dict(state_dict=dict(weight=torch.ones(2))), tmp_path / f'iter_{number}.pth'
        )
    (tmp_path / 'last_checkpoint').write_text('iter_2.pth')
    with pytest.raises(
        pickle.UnpicklingError, match=r'iter_2\.pth has the format of PyTorch before version 1\.6'
    ) as told:
        latest_checkpoint(tmp_path)
    assert not isinstance(told.value, DamagedCheckpointError)
    assert torch.equal(load_checkpoint_file(tmp_path / 'iter_2.pth')['state_dict']['weight'], torch.ones(2))
    torch.save(load_checkpoint_file(tmp_path / 'iter_2.pth'), tmp_path / 'iter_2.pth')  # as it advises
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'iter_2.pth')


def test_a_torn_file_is_told_in_one_sentence(tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(999))), tmp_path / 'a.pth')
    whole = (tmp_path / 'a.pth').read_bytes()
    (tmp_path / 'a.pth').write_bytes(whole[:3000])
    with pytest.raises(DamagedCheckpointError) as torn:
        load_checkpoint_file(tmp_path / 'a.pth')
    assert str(torn.value) == (
        f'{tmp_path}/a.pth cannot be read as a checkpoint, is it complete? It has 3.0 kB (PytorchStreamReader failed '
        'reading zip archive: failed finding central directory)'
    )
