"""The lines of the table of targets, by their letters."""

from collections.abc import Callable, Iterator

from ..harness import Row, Settings
from . import (
    dataset_start,
    frozen,
    probes,
    region_means,
    scaling,
    superpixels,
    switches,
    training_step,
    view_generation,
)

LINES: dict[str, Callable[[Settings], Iterator[Row]]] = {
    'a': region_means.on_cpu,
    'b': region_means.on_gpu,
    'c': training_step.rows,
    'd': view_generation.rows,
    'e': superpixels.rows,
    'f': probes.rows,
    'g': scaling.rows,
    'h': dataset_start.rows,
    'i': switches.rows,
    'j': frozen.rows,
}
