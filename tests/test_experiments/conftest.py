"""What tests of experiments share."""

from pathlib import Path

import pytest
from small_benchmark import write_benchmark

from mmvice.experiments.reader import read_experiments
from mmvice.experiments.tables import Experiments


@pytest.fixture
def benchmark(tmp_path: Path) -> Experiments:
    """A small benchmark with configs of its own, as it is read."""
    return read_experiments(write_benchmark(tmp_path / 'benchmark'))
