"""Which errors are the user's."""

import pytest
import torch

from mmvice.apis.errors import explain
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
