"""What holds for every test."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def default_scope_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Runner sets the scope in which names are looked up, and leaves it set: for one test, here."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())
