"""Measuring two sides fairly: interleaved runs, their medians, peak memory, and profiles."""

import cProfile
import gc
import io
import json
import platform
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

T = TypeVar('T')
MIB = 1 << 20


def found_devices() -> tuple[str, ...]:
    """The CPU, and a GPU where there is one."""
    return ('cpu', *(['cuda'] if torch.cuda.is_available() else []))


@dataclass(frozen=True)
class Settings:
    """What the command line says of all lines; ``devices`` are those that lines with rows for several measure."""

    quick: bool = False
    repeats: int = 7
    devices: Sequence[str] = field(default_factory=found_devices)

    def pick(self, full: T, quick: T) -> T:
        """One of two sizes."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Target:
    """A bound for the ratio of a row; ``unit`` is what the ratio counts, 'x' for times."""

    bound: float
    at_least: bool
    unit: str = 'x'

    def __str__(self) -> str:
        return f'{">=" if self.at_least else "<="} {self.bound:g} {self.unit}'.strip()

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float, unit: str = 'x') -> Target:
    """The target of a speed-up or saving."""
    return Target(bound, True, unit)


def at_most(bound: float, unit: str = 'x') -> Target:
    """The target of an overhead."""
    return Target(bound, False, unit)


@dataclass
class Row:
    """One row of the table.

    Args:
        line: Letter of the line of the table of targets.
        what: What was measured.
        slow: The slow side's result, written out; '' if there is none.
        ours: Ours.
        ratio: The number that the target is about, or None for a row that only reports.
        target: Its bound, or None for a row that only reports.
        details: Further numbers and settings, for the JSON file.
        profile: Gives the profile that says why the target was missed.
        note: What a reader must know about the number.
    """

    line: str
    what: str
    slow: str = ''
    ours: str = ''
    ratio: float | None = None
    target: Target | None = None
    details: dict[str, Any] = field(default_factory=dict)
    profile: Callable[[], str] | None = None
    note: str = ''

    def verdict(self, quick: bool) -> str:
        """'met' or 'MISSED'; small sizes are not judged, nor what could not be measured."""
        if self.target is None:
            return ''
        if quick or self.ratio is None:
            return 'not judged'
        return 'met' if self.target.met(self.ratio) else 'MISSED'

    def as_json(self, quick: bool) -> dict[str, Any]:
        """All of it but the profile."""
        return dict(
            line=self.line,
            what=self.what,
            slow=self.slow,
            ours=self.ours,
            ratio=self.ratio,
            target=None if self.target is None else str(self.target),
            verdict=self.verdict(quick),
            note=self.note,
            details=self.details,
        )


def processor_name() -> str:
    """Model of the processor, as far as the system tells."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text(encoding='utf-8').splitlines() if cpuinfo.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def progress(text: str) -> None:
    """Tell a waiting reader what is being measured."""
    sys.stderr.write(f'{text}\n')
    sys.stderr.flush()


@dataclass(frozen=True)
class Times:
    """Seconds of the runs of each side, in the order in which they took turns.

    ``cpu_seconds`` is what the process got of the processor in them: far less where others wanted it too. ``counted``
    names the one of the two that medians, ratios and rests are of.
    """

    seconds: dict[str, list[float]]
    cpu_seconds: dict[str, list[float]]
    counted: str = 'seconds'

    @property
    def _counted(self) -> dict[str, list[float]]:
        return getattr(self, self.counted)

    def median(self, side: str) -> float:
        """Median seconds of a side."""
        return median(self._counted[side])

    def ratio(self, over: str, under: str) -> float:
        """Median over the rounds of one side's time over the other's in the same round."""
        return median(a / b for a, b in zip(self._counted[over], self._counted[under], strict=True))

    def rests(self, side: str, part: str) -> list[float]:
        """Round by round, what one side takes longer than another that is a part of it."""
        return [a - b for a, b in zip(self._counted[side], self._counted[part], strict=True)]

    def details(self) -> dict[str, Any]:
        """For the JSON file."""
        medians, cpu_medians = (
            {side: median(values) for side, values in measured.items()} for measured in (self.seconds, self.cpu_seconds)
        )
        return dict(counted=self.counted, median_seconds=medians, median_cpu_seconds=cpu_medians, seconds=self.seconds)


def interleave(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    device: str | torch.device = 'cpu',
    warm: bool = True,
    elapsed: bool = False,
) -> Times:
    """Let sides take turns (A, B, A, B, ...), so that whatever else the machine does meets all of them alike.

    Args:
        sides: Work by its name.
        repeats: Rounds that are counted.
        device: A GPU is waited for before and after each run.
        warm: Run every side once before, uncounted; False if that has been done.
        elapsed: Count the time that passes, waiting included, where it would be the processor's: on one thread of the
            CPU that is the same on a quiet machine, and what others do on a shared one is left out.
    """
    if warm:
        for work in sides.values():
            work()
    alone = torch.device(device).type == 'cpu' and torch.get_num_threads() == 1
    counted = 'cpu_seconds' if alone and not elapsed else 'seconds'
    times = Times({side: [] for side in sides}, {side: [] for side in sides}, counted)
    for _ in range(repeats):
        gc.collect()
        for side, work in sides.items():
            seconds, cpu_seconds = _timed(work, torch.device(device))
            times.seconds[side].append(seconds)
            times.cpu_seconds[side].append(cpu_seconds)
    return times


def _timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    wait = torch.cuda.synchronize if device.type == 'cuda' else (lambda: None)
    wait()
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work()
    wait()
    taken = time.perf_counter() - start, time.process_time() - cpu_start
    del result  # what a side leaves behind is freed outside of its time
    return taken


def peak_extra_bytes(work: Callable[[], object], device: str | torch.device = 'cpu') -> int:
    """Most bytes of tensors that are alive at once during ``work``, beyond those before it.

    On a GPU that is the caching allocator's own count. On the CPU it is the running sum of the allocations and
    releases that PyTorch's allocator reports to the profiler: exact, whatever the C library keeps or returns, and
    blind only to memory that is not PyTorch's.
    """
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding='utf-8'))['traceEvents']
    changes = sorted((event['ts'], event['args']['Bytes']) for event in events if event.get('name') == '[memory]')
    alive = most = 0
    for _, change in changes:
        alive += change
        most = max(most, alive)
    return most


def profile_text(work: Callable[[], object], device: str | torch.device = 'cpu', entries: int = 12) -> str:
    """The operators in which ``work`` spends most time."""
    on_gpu = torch.device(device).type == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        work()
    sort_by = 'self_device_time_total' if on_gpu else 'self_cpu_time_total'
    return profiler.key_averages().table(sort_by=sort_by, row_limit=entries, max_name_column_width=50)


def count_operators(work: Callable[[], object]) -> int:
    """Number of PyTorch operators that ``work`` calls, those that operators call among them."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    return sum(event.count for event in profiler.key_averages() if event.key.startswith('aten::'))


def python_profile_text(work: Callable[[], object], entries: int = 15) -> str:
    """The functions in which ``work`` spends most time."""
    profiler = cProfile.Profile()
    profiler.runcall(work)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats('tottime').print_stats(entries)
    return text.getvalue()


def write_seconds(seconds: float) -> str:
    """A duration with three digits."""
    for factor, unit in ((1, 's'), (1e3, 'ms')):
        if seconds * factor >= 1:
            return f'{seconds * factor:.3g} {unit}' if seconds * factor < 1000 else f'{seconds * factor:.0f} {unit}'
    return f'{seconds * 1e6:.3g} us'


def write_bytes(count: float) -> str:
    """A size in MiB with three digits."""
    return f'{count / MIB:.3g} MiB' if count < 1000 * MIB else f'{count / MIB:.0f} MiB'


def require_close(ours: torch.Tensor, plain: torch.Tensor, what: str, tolerance: float = 1e-4) -> None:
    """Raise AssertionError unless two sides agree, by the largest value of the plain one.

    Args:
        ours: Our result.
        plain: The straightforward one.
        what: Name for the message.
        tolerance: Largest difference as a share of the largest value, for sums over thousands of fp32 terms.
    """
    if ours.shape != plain.shape:  # which broadcasting could hide
        raise AssertionError(f'{what}: shapes {tuple(ours.shape)} and {tuple(plain.shape)} differ')
    scale = float(plain.abs().max())
    difference = float((ours - plain).abs().max())
    if not difference <= tolerance * scale:
        raise AssertionError(f'{what}: the two sides differ by {difference:.3g}, and the largest value is {scale:.3g}')
