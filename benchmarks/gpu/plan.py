"""What is measured on a GPU, in which order, and how long each thing is expected to take."""

from dataclasses import dataclass

PARTS = {
    1: 'tests that need a GPU',
    2: 'a training step, taken apart',
    3: 'region means and their alternatives',
    4: 'probes and switches',
    5: 'images a second from files',
}
SHARES = {1: 0.15, 2: 0.31, 3: 0.14, 4: 0.29, 5: 0.11}
"""Parts of the time that each may take, of those that have something left to do; what one leaves, the next ones get."""


@dataclass(frozen=True)
class Measurement:
    """One process of its own, so that its failure or its end by the clock costs no other.

    Args:
        part: Number of its part.
        name: What the results know it by.
        seconds: Expected duration on an H200 with 16 cores, start-up included.
        rows: ``module:function`` that gives the rows; the function takes :class:`benchmarks.harness.Settings`.
        tests: Or tests, as pytest takes them. Tests of a part run at the same time, as they measure nothing.
    """

    part: int
    name: str
    seconds: int
    rows: str = ''
    tests: tuple[str, ...] = ()

    @property
    def limit(self) -> int:
        """Seconds after which it is ended, if its part lets it run so long."""
        return max(60, 2 * self.seconds)


def _tests(name: str, seconds: int, *tests: str) -> Measurement:
    return Measurement(1, name, seconds, tests=tests)


def _on_gpu(name: str, seconds: int) -> Measurement:
    return _tests(name.replace('_', ' '), seconds, f'tests/test_on_gpu.py::test_{name}')


PLAN = (
    _tests('no synchronisation', 32, 'tests/test_models/test_no_synchronisation.py'),
    _on_gpu('fp16_scales_the_loss', 30),
    _on_gpu('channels_last_changes_nothing', 30),
    _on_gpu('compiled_network_changes_nothing', 60),
    _on_gpu('one_process_over_nccl', 80),
    _on_gpu('two_processes_on_one_card', 80),
    _on_gpu('resuming_goes_on_on_the_card', 60),
    _on_gpu('both_probes_train_and_test', 70),
    _on_gpu('predictions_equal_those_of_the_cpu', 40),
    _on_gpu('faiss_on_the_card_finds_as_good_clusters', 30),
    Measurement(2, 'step: R18 + light FPN', 55, 'benchmarks.gpu.step:light_fpn'),
    Measurement(2, 'step: R50 + DeepLabV3+', 110, 'benchmarks.gpu.step:deeplab'),
    Measurement(3, 'b: region means', 30, 'benchmarks.lines.region_means:on_gpu'),
    Measurement(3, 'b: forms of region sums', 45, 'benchmarks.lines.region_sums:on_gpu'),
    Measurement(4, 'f: probes', 50, 'benchmarks.lines.probes:rows'),
    Measurement(4, 'i: switches', 30, 'benchmarks.lines.switches:plain_rows'),
    Measurement(4, 'i: compiler', 75, 'benchmarks.lines.switches:compiler_rows'),
    Measurement(5, 'steps of the pipeline', 10, 'benchmarks.gpu.loading:pipeline_steps'),
    Measurement(5, 'workers, superpixels computed', 45, 'benchmarks.gpu.loading:workers'),
    Measurement(5, 'workers, superpixels from files', 65, 'benchmarks.gpu.loading:workers_with_files'),
)
