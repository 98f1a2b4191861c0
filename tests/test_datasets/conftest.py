"""What tests of data sets share."""

import logging

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings and errors that reach the current logger."""
    messages = []

    def log(level, message, *args, **kwargs):
        if level >= logging.WARNING:
            messages.append(message)

    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', log)
    return messages
