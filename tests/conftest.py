"""What holds for every test."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from yapf.yapflib import yapf_api


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Modules that tests share are no tests, and some are programs: not to be imported in search of examples."""
    return True if collection_path.suffix == '.py' and not collection_path.name.startswith('test_') else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped where PyTorch finds none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))


def pytest_collection_finish() -> None:
    """What is imported by now stays: spares ``gc.collect``, which every data set of MMEngine calls, a look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def configs_are_formatted_once() -> Iterator[None]:
    """Keep what yapf makes of a config's text, which MMEngine asks for again whenever it logs or saves the config."""
    format_code, known = yapf_api.FormatCode, {}

    def format_once(text: str, **style: object) -> tuple[str, bool]:
        if text not in known:
            known[text] = format_code(text, **style)
        return known[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, 'FormatCode', format_once)
        yield


@pytest.fixture
def mmvice_scope() -> Iterator[None]:
    """Look names up in mmvice first, as under a Runner of its configs."""
    with DefaultScope.overwrite_default_scope('mmvice'):
        yield


@pytest.fixture(autouse=True)
def default_scope_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Runner sets the scope in which names are looked up, and leaves it set: for one test, here."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())
