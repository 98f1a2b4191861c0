"""Configs of an earlier mmvice: their hooks under the names of today."""

from mmvice.engine.hooks import former_names
from mmvice.engine.hooks.former_names import renewed


def test_hooks_of_earlier_configs_are_renamed_or_taken_out_with_a_word(monkeypatch):
    said = []
    monkeypatch.setattr(former_names, 'print_log', lambda text, **_: said.append(text))
    timer = dict(type='IterTimerHook')
    default = dict(
        timer=timer, finite_loss=dict(type='FiniteLossHook'), fitting_weights=dict(type='FittingWeightsHook')
    )
    assert renewed(default) == dict(timer=timer, finite_loss=dict(type='CheckInvalidLossHook'))
    assert renewed([timer, dict(type='mmvice.RegionQueueHook', priority='LOW'), None]) == [timer, None]
    assert renewed(None) is None
    assert said == [
        'FiniteLossHook of this config is called CheckInvalidLossHook now: rename it',
        'FittingWeightsHook of this config is part of every run now: take it out',
        'RegionQueueHook of this config is part of every run now: take it out',
    ]
