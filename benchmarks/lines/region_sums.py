"""Line b, part by part: every form of region sums on a GPU, and what the rest of region means takes."""

import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from mmvice.ops import global_region_ids, gram_map, inverse_lengths, squared_lengths
from mmvice.structures import EmbeddingMap
from mmvice.utils import triton

from ..harness import (
    Row,
    Settings,
    interleave,
    peak_extra_bytes,
    progress,
    require_close,
    write_bytes,
    write_seconds,
)
from ..region_sums import FORMS, Sums
from .region_means import Case, implicit_region_means

Work = Callable[[], object]


class SumsCase:
    """Low-resolution vectors, weights and ids as region means have them, and gradients from above."""

    def __init__(self, case: Case) -> None:
        self.rows = case.features.detach().permute(0, 2, 3, 1).contiguous().requires_grad_()
        self.gram = gram_map(self.rows).detach().requires_grad_()
        self.squared = squared_lengths(self.gram, case.regions.shape[1:]).detach()
        self.weights = inverse_lengths(self.squared).requires_grad_()
        self.ids = global_region_ids(case.regions, case.num_regions)
        self.num_regions, self.upstream, self.case = case.num_regions, case.upstream, case

    def step(self, form: Sums) -> tuple[Tensor, ...]:
        """Sums, and gradients of vectors and weights."""
        sums = form(self.rows, self.weights, self.ids, self.num_regions)
        return sums.detach(), *torch.autograd.grad(sums, (self.rows, self.weights), self.upstream)

    def check(self, form: Sums, plain: tuple[Tensor, ...]) -> None:
        """Raise AssertionError unless a form gives what the materialised one does."""
        for name, ours, other in zip(('sums', 'gradients of vectors', 'of weights'), self.step(form), plain):
            require_close(ours, other, name)

    def parts(self) -> dict[str, Work]:
        """What region means consist of, each forward and backward."""
        case, features = self.case, self.case.features
        size = case.regions.shape[1:]

        def rows() -> object:
            out = EmbeddingMap(features, size)._feature_rows()
            return torch.autograd.grad(out, features, self.rows.detach())

        def gram() -> object:
            return torch.autograd.grad(gram_map(self.rows), self.rows, self.gram.detach())

        def lengths() -> object:
            return torch.autograd.grad(inverse_lengths(squared_lengths(self.gram, size)), self.gram, self.squared)

        return {
            'scale, permute': rows,
            'gram map': gram,
            'lengths': lengths,
            'region ids': lambda: global_region_ids(case.regions, case.num_regions),
        }


def on_gpu(settings: Settings) -> Iterator[Row]:
    """Every form for every D, then the parts of region means with and without Triton's kernels."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu' and not settings.quick:
        yield Row('b', 'forms of region sums on a GPU', note='not run: PyTorch finds no GPU')
        return
    views, side = settings.pick((20, 256), (2, 64))
    for dims in settings.pick((128, 512, 1024), (8,)):
        progress(f'b: forms of region sums, D = {dims}')
        case = Case(views, side, dims, device)
        yield from _forms(SumsCase(case), dims, settings.repeats, device)
        yield from _means(case, dims, settings.repeats, device)


def _forms(case: SumsCase, dims: int, repeats: int, device: str) -> Iterator[Row]:
    small = SumsCase(case.case.first(2))
    plain = small.step(FORMS['materialised'])
    working: dict[str, Work] = {}
    for name, form in FORMS.items():
        try:
            small.check(form, plain)
            case.step(form)
            working[name] = lambda form=form: case.step(form)
        except Exception as error:  # a form that fails is a result, and must not cost the others
            yield Row('b', f'D={dims}, sums: {name}', note=_of(error))
    yield from _measured(working, 'sums', 'materialised', dims, repeats, device)


def _means(case: Case, dims: int, repeats: int, device: str) -> Iterator[Row]:
    """Whole region means and their parts, by PyTorch's operators and by Triton's kernels."""
    sides: dict[str, Work] = {}
    kept = triton.ENABLED
    for enabled in (False, True):
        triton.ENABLED = enabled
        how = 'kernels' if enabled else 'operators'
        try:
            parts = {'all': lambda: case.step(implicit_region_means), **SumsCase(case).parts()}
            for name, work in parts.items():
                work()
                sides[f'{name}, {how}'] = lambda work=work, enabled=enabled: _with(enabled, work)
        except Exception as error:  # as above
            yield Row('b', f'D={dims}, means: {how}', note=_of(error))
    triton.ENABLED = kept
    yield from _measured(sides, 'means', 'all, operators', dims, repeats, device)


def _with(enabled: bool, work: Work) -> object:
    kept, triton.ENABLED = triton.ENABLED, enabled
    try:
        return work()
    finally:
        triton.ENABLED = kept


def _measured(sides: Mapping[str, Work], what: str, slow: str, dims: int, repeats: int, device: str) -> Iterator[Row]:
    """A row for each side, with where its time goes."""
    times = interleave(sides, repeats, device)
    for name, work in sides.items():
        try:
            extra, details = peak_extra_bytes(work, device), _launches(work, device)
        except Exception as error:  # as above
            yield Row('b', f'D={dims}, {what}: {name}', note=_of(error))
            continue
        seconds = times.median(name)
        yield Row(
            'b',
            f'D={dims}, {what}: {name}',
            write_seconds(times.median(slow)) if slow in sides else '',
            write_seconds(seconds),
            ratio=times.ratio(slow, name) if slow in sides else None,
            details=dict(embed_dims=dims, seconds=times.seconds[name], peak_extra_bytes=extra, **details),
            note=f'{write_bytes(extra)}, device {write_seconds(details["device_seconds"])}, '
            f'host {write_seconds(details["host_seconds"])}, {details["kernels"]} kernels',
        )


def _launches(work: Work, device: str) -> dict:
    """Seconds until the host is free again and of the device's kernels, their number and the ten longest."""
    wait = torch.cuda.synchronize if device == 'cuda' else (lambda: None)
    host = []
    for _ in range(5):
        wait()
        start = time.perf_counter()
        result = work()
        host.append(time.perf_counter() - start)
        wait()
        del result
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == 'cuda' else [])]
    with profile(activities=activities) as profiler:
        work()
        wait()
    kind = torch.autograd.DeviceType.CUDA if device == 'cuda' else torch.autograd.DeviceType.CPU
    key = 'self_device_time_total' if device == 'cuda' else 'self_cpu_time_total'
    kernels = [event for event in profiler.key_averages() if event.device_type == kind]
    longest = sorted(kernels, key=lambda event: -getattr(event, key))[:10]
    return dict(
        host_seconds=median(host),
        device_seconds=sum(getattr(event, key) for event in kernels) / 1e6,
        kernels=sum(event.count for event in kernels),
        longest_us={f'{event.count} x {event.key[:70]}': getattr(event, key) for event in longest},
    )


def _of(error: Exception) -> str:
    return f'failed: {type(error).__name__}: {error}'[:600]
