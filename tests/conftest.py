"""What holds for every test."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Modules that tests share are no tests, and some are programs: not to be imported in search of examples."""
    return True if collection_path.suffix == '.py' and not collection_path.name.startswith('test_') else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped where PyTorch finds none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))


@pytest.fixture(autouse=True)
def default_scope_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Runner sets the scope in which names are looked up, and leaves it set: for one test, here."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())
