"""A run in which nothing can learn ends before its first step, with what is frozen."""

import pytest
from mmengine.registry import DefaultScope

from mmvice.engine.checks import check_something_learns
from mmvice.registry import MODELS

BACKBONE = dict(type='ResNet', depth=18, base_channels=8)
DECODER = dict(type='LightFPN', embed_dims=8)
BOTH = ('backbone', 'decoder')


def build(head, kind='ViCE', decoder=DECODER, **model):
    name = 'head' if kind == 'ViCE' else 'decode_head'
    with DefaultScope.overwrite_default_scope('mmvice'):
        return MODELS.build(dict(type=kind, backbone=BACKBONE, decoder=decoder, **{name: head}, **model))


def test_everything_frozen_under_a_head_without_weights():
    model = build(dict(type='ODCHead', num_concepts=4), frozen=BOTH)
    with pytest.raises(ValueError, match='nothing to train: model.frozen=.* and a ODCHead has no weights that learn'):
        check_something_learns(model)
    hypercolumn = build(dict(type='ODCHead', num_concepts=4), decoder=dict(type='HypercolumnDecoder'), frozen=BOTH[:1])
    with pytest.raises(ValueError, match="nothing to train: model.frozen=\\('backbone',\\)"):
        check_something_learns(hypercolumn)


def test_a_head_or_a_part_that_learns_is_enough():
    check_something_learns(build(dict(type='DenseSwAVHead', num_concepts=4), frozen=BOTH))
    check_something_learns(build(dict(type='ODCHead', num_concepts=4), frozen=('backbone',)))
    check_something_learns(build(dict(type='LinearProbeHead', num_classes=3), 'ProbeSegmentor'))


@pytest.mark.parametrize('frozen', ['backbone', ('backbone', 'neck'), ('head',), None, True, 0, [('backbone',)]])
@pytest.mark.parametrize('kind', ['ViCE', 'ProbeSegmentor'])
def test_what_names_no_parts_is_refused_with_what_to_write(frozen, kind):
    head = dict(type='DenseSwAVHead', num_concepts=4) if kind == 'ViCE' else dict(type='LinearProbeHead', num_classes=3)
    with pytest.raises(ValueError, match=r"must be a tuple of parts, .* write frozen=\('backbone',\), or frozen=\(\)"):
        build(head, kind, frozen=frozen)


def test_the_former_name_is_told_of_and_works(caplog):
    head = dict(type='LinearProbeHead', num_classes=3)
    assert build(head, 'ProbeSegmentor', freeze_embedder=True).frozen == BOTH
    assert build(head, 'ProbeSegmentor', freeze_embedder=False).frozen == ()
