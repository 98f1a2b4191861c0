"""Which errors are the user's."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmvice.cli import errors
from mmvice.cli.errors import explain
from mmvice.datasets.transforms import ContextualViewCrop
from mmvice.ops import sinkhorn_knopp
from mmvice.registry import MODELS, TRANSFORMS


def caught(function):
    with pytest.raises(Exception) as error:
        function()
    return error.value


def test_what_mmvice_raises_is():
    assert explain(caught(lambda: sinkhorn_knopp(torch.zeros(2)))).startswith('scores must be (n, K)')


def test_what_happens_to_code_is_not():
    assert explain(caught(lambda: sinkhorn_knopp(None))) is None  # an AttributeError in mmvice
    assert explain(caught(lambda: torch.zeros(2) @ torch.zeros(3))) is None
    assert explain(caught(lambda: int('a'))) is None
    assert explain(ValueError('never raised')) is None


def test_a_bug_within_an_object_of_a_config_is_not(monkeypatch):
    def broken(self):
        return [].missing

    monkeypatch.setattr(ContextualViewCrop, '__init__', broken)
    assert explain(caught(lambda: TRANSFORMS.build(dict(type='mmvice.ContextualViewCrop')))) is None


@pytest.mark.parametrize('kind', [TypeError, ValueError, AssertionError])
def test_a_value_that_an_object_of_a_config_cannot_be_built_with_is(monkeypatch, kind):
    def picky(self, num_views):
        raise kind()

    monkeypatch.setattr(ContextualViewCrop, '__init__', picky)
    error = caught(lambda: TRANSFORMS.build(dict(type='mmvice.ContextualViewCrop', num_views='a')))
    assert explain(error).startswith("ContextualViewCrop cannot be built with num_views='a': ")


def test_types_and_arguments_of_a_config_are():
    assert 'Nothing is not in the mmvice::model registry' in explain(caught(lambda: MODELS.build(dict(type='Nothing'))))
    config = dict(type='mmvice.LightFPN', in_channels=[1], embed_dim=3)
    message = explain(caught(lambda: MODELS.build(config)))
    assert "argument 'embed_dim'" in message and 'it takes in_channels, embed_dims' in message
    assert 'missing 1 required' in explain(caught(lambda: MODELS.build(dict(type='mmvice.LightFPN'))))


def test_a_cause_counts_where_the_last_error_is_another_ones():
    def wrapped():
        try:
            sinkhorn_knopp(torch.zeros(2))
        except ValueError as error:
            raise RuntimeError('in passing') from error

    assert explain(caught(wrapped)).startswith('scores must be (n, K)')


def test_a_key_error_has_no_quotes_around_it():
    assert explain(caught(lambda: ContextualViewCrop().transform({}))).startswith("ContextualViewCrop needs 'img'")


SHAPES = """
def several_lines(value):
    raise ValueError(
        f'several '
        f'lines: {value}'
    )

def one_line(value):
    if value: raise ValueError(f'one line: {value}')

def by_another_name(value):
    error = ValueError(f'a name: {value}')
    raise error

def no_raise(value):
    return int(value)  # raise ValueError

def in_the_message(value):
    raise ValueError(
        f'never said: {int(value)}'
    )

def again(value):
    try:
        int(value)
    except ValueError:
        raise
"""


@pytest.mark.parametrize(
    'name, message',
    [
        ('several_lines', 'several lines: a'),
        ('one_line', 'one line: a'),
        ('by_another_name', 'a name: a'),
        ('no_raise', None),
        ('in_the_message', None),
        ('again', None),
    ],
)
@pytest.mark.parametrize('source', [True, False])
def test_how_a_raise_is_written_and_whether_its_source_is_there_makes_no_difference(
    tmp_path, monkeypatch, name, message, source
):
    file = tmp_path / 'shapes.py'
    if source:
        file.write_text(SHAPES)
    monkeypatch.setattr(errors, '_OWN', (tmp_path,))
    names = {}
    exec(compile(SHAPES, str(file), 'exec'), names)
    assert explain(caught(lambda: names[name]('a'))) == message


class Broken(Dataset):
    """Fails for its first item as mmvice does, for its second as code does."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        return sinkhorn_knopp(torch.zeros(2) if index == 0 else None)


def test_errors_of_workers_are_told_apart_too():
    for index, expected in ((0, 'scores must be (n, K)'), (1, '')):
        error = caught(lambda: next(iter(DataLoader(Broken(), num_workers=1, sampler=[index]))))  # noqa: B023
        assert (explain(error) or '').startswith(expected) and bool(explain(error)) == bool(expected)
