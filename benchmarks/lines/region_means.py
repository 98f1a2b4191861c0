"""Lines a and b: mean embeddings of regions, forward and backward, without and with the full-resolution map."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from mmvice.ops import gram_map, slic
from mmvice.structures import EmbeddingMap

from .. import data
from ..harness import (
    MIB,
    Row,
    Settings,
    at_least,
    at_most,
    interleave,
    peak_extra_bytes,
    profile_text,
    progress,
    require_close,
    write_bytes,
    write_seconds,
)
from ..plain.region_means import indexed_region_means, masked_region_means, region_matrix

Means = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
CARD = 16 * 1024 * MIB  # memory of an ordinary GPU, which D = 1024 is tried in


def implicit_region_means(features: Tensor, regions: Tensor, num_regions: Sequence[int]) -> Tensor:
    """Ours, from a map that has computed nothing yet."""
    return EmbeddingMap(features, regions.shape[1:]).region_means(regions, num_regions)


class Case:
    """Features with gradients, the superpixels of real views, and a gradient that comes from above.

    Args:
        views: Number of views.
        side: Side of a view in pixels.
        dims: Channels D.
        device: Where the tensors are.
    """

    def __init__(self, views: int, side: int, dims: int, device: str = 'cpu') -> None:
        ids = [torch.from_numpy(slic(crop, 20)) for crop in data.crops(views, side)]
        self.regions = torch.stack(ids).to(device)
        self.num_regions = [int(view.max()) + 1 for view in ids]
        self.features = self.random(views, dims, side // 4, side // 4).to(device).requires_grad_()
        self.upstream = self.random(sum(self.num_regions), dims).to(device)
        self.device = device

    @staticmethod
    def random(*shape: int) -> Tensor:
        """The same numbers each time."""
        return torch.randn(*shape, generator=torch.Generator().manual_seed(0))

    def first(self, views: int) -> 'Case':
        """The first few of the views."""
        part = object.__new__(Case)
        part.num_regions = self.num_regions[:views]
        part.regions, part.device = self.regions[:views], self.device
        part.features = self.features.detach()[:views].clone().requires_grad_()
        part.upstream = self.upstream[: sum(part.num_regions)]
        return part

    def step(self, means: Means) -> tuple[Tensor, Tensor]:
        """Forward and backward: the means and the gradient of the features."""
        out = means(self.features, self.regions, self.num_regions)
        (grad,) = torch.autograd.grad(out, self.features, self.upstream)
        return out.detach(), grad

    def check(self, plain: Means) -> None:
        """Raise AssertionError unless ours gives the plain means and gradients."""
        names = ('region means', 'gradients of the features')
        for name, a, b in zip(names, self.step(implicit_region_means), self.step(plain)):
            require_close(a, b, name)

    def low_resolution_products(self) -> Callable[[], Tensor]:
        """What D must cost: inner products of neighbouring features, and the region matrix times them."""
        columns, weights, offsets = region_matrix(self.regions, self.num_regions, self.features.shape[2:])
        weights.requires_grad_()
        with torch.no_grad():
            upstream_gram = gram_map(self.features.permute(0, 2, 3, 1).contiguous())

        def step() -> Tensor:
            rows = self.features.permute(0, 2, 3, 1).contiguous()
            flat = rows.reshape(-1, rows.shape[-1])
            sums = F.embedding_bag(columns, flat, offsets, mode='sum', per_sample_weights=weights)
            inputs, upstream = (self.features, weights), (sums, gram_map(rows))
            return torch.autograd.grad(upstream, inputs, (self.upstream, upstream_gram))[0]

        return step


def on_cpu(settings: Settings) -> Iterator[Row]:
    """Line a."""
    views, side, dims = settings.pick((20, 256, 128), (2, 64, 8))
    case = Case(views, side, dims)
    size = dict(views=views, side=side, embed_dims=dims, stride=4, regions=sum(case.num_regions))
    what = f'{views} views {side}x{side}, D={dims}, {size["regions"]} superpixels'
    progress(f'a: {what}: equality, time and memory against index_add')
    case.check(indexed_region_means)
    yield from _time_and_memory('a', what, case, settings.repeats, size, at_least(10), at_least(10))

    few = settings.pick(4, 1)
    part = case.first(few)
    progress(f'a: against a mask for each region, {few} views (slow)')
    part.check(masked_region_means)
    sides = dict(ours=lambda: case.step(implicit_region_means), plain=lambda: part.step(masked_region_means))
    times = interleave(sides, min(settings.repeats, 3), warm=False)
    per_view = times.median('plain') / few, times.median('ours') / views
    yield Row(
        'a',
        f'time per view; plain: a mask and a mean for each region ({few} views)',
        *map(write_seconds, per_view),
        ratio=times.ratio('plain', 'ours') * views / few,
        target=at_least(50),
        details=dict(**size, plain_views=few, **times.details()),
        profile=lambda: profile_text(sides['ours']),
    )
    yield from _cost_over_dims(settings, views, side)


def _cost_over_dims(settings: Settings, views: int, side: int) -> Iterator[Row]:
    """Time as D grows, less that of the low-resolution products, which must stay the same."""
    rests, profiles = {}, {}
    for dims in settings.pick((32, 128, 512, 1024), (4, 8)):
        progress(f'a: cost at D = {dims}')
        case = Case(views, side, dims)
        case.first(1).check(indexed_region_means)
        sides = dict(ours=lambda case=case: case.step(implicit_region_means), products=case.low_resolution_products())
        times = interleave(sides, settings.repeats)
        rests[dims] = times.rests('ours', 'products')
        rest = median(rests[dims])
        profiles[dims] = sides['ours']
        features = case.features.numel() * 4
        extra = peak_extra_bytes(sides['ours'])
        details = dict(embed_dims=dims, **times.details(), rest_seconds=rest, peak_extra_bytes=extra)
        yield Row(
            'a',
            f'D={dims}: ours; low-resolution products alone as the slow side',
            write_seconds(times.median('products')),
            write_seconds(times.median('ours')),
            details=dict(**details, peak_over_features=extra / features),
            note=f'rest {write_seconds(max(rest, 0))}, memory {extra / features:.1f}x that of the features',
        )
    yield growth(rests, lambda: profile_text(profiles[max(rests)]))


def growth(rests: Mapping[int, Sequence[float]], profile: Callable[[], str]) -> Row:
    """How much what is not the low-resolution products grows with D; not judged where it is lost in the noise.

    It is a small difference of two large times: of the rounds, the middle half must lie within a third of the median.

    Args:
        rests: Seconds by D, round by round.
        profile: Of the largest D.
    """
    target, medians = at_most(1.5), {}
    for dims in (min(rests), max(rests)):
        values = sorted(rests[dims])
        medians[dims] = median(values)
        spread = values[len(values) * 3 // 4] - values[len(values) // 4]
        if not spread <= medians[dims] / 3:
            note = f'lost in the noise at D={dims}: {write_seconds(abs(spread))} wide, run again'
            return Row('a', 'time beyond the low-resolution products', target=target, note=note)
    (small, less), (large, more) = medians.items()
    return Row(
        'a',
        f'time beyond the low-resolution products, D={large} over D={small}',
        write_seconds(less),
        write_seconds(more),
        ratio=more / less,
        target=target,
        profile=profile,
    )


def on_gpu(settings: Settings) -> Iterator[Row]:
    """Line b."""
    if not torch.cuda.is_available():
        yield Row('b', 'region means on a GPU', note='not run: PyTorch finds no GPU')
        return
    views, side = settings.pick((20, 256), (2, 64))
    for dims in settings.pick((128, 512, 1024), (8, 16)):
        case = Case(views, side, dims, 'cuda')
        size = dict(views=views, side=side, embed_dims=dims, stride=4, regions=sum(case.num_regions))
        progress(f'b: D = {dims}: equality, time and memory')
        case.check(indexed_region_means)
        faster = at_least(1) if dims == 128 else None
        yield from _time_and_memory('b', f'GPU, D={dims}', case, settings.repeats, size, faster, at_least(10))
    yield _in_a_small_card(case)


def _time_and_memory(
    line: str, what: str, case: Case, repeats: int, size: dict, faster: object, smaller: object
) -> Iterator[Row]:
    sides = dict(
        ours=lambda: case.step(implicit_region_means),
        plain=lambda: case.step(indexed_region_means),
    )
    times = interleave(sides, repeats, case.device)
    yield Row(
        line,
        f'{what}: time; plain: index_add',
        write_seconds(times.median('plain')),
        write_seconds(times.median('ours')),
        ratio=times.ratio('plain', 'ours'),
        target=faster,
        details=dict(**size, **times.details()),
        profile=lambda: profile_text(sides['ours'], case.device),
    )
    peaks = {side: peak_extra_bytes(work, case.device) for side, work in sides.items()}
    yield Row(
        line,
        f'{what}: peak extra memory',
        write_bytes(peaks['plain']),
        write_bytes(peaks['ours']),
        ratio=peaks['plain'] / peaks['ours'],
        target=smaller,
        details=dict(**size, peak_extra_bytes=peaks),
        profile=lambda: _memory_profile(sides['ours']),
    )


def _memory_profile(work: Callable[[], object]) -> str:
    with torch.profiler.profile(profile_memory=True) as profiler:
        work()
    return profiler.key_averages().table(sort_by='self_cpu_memory_usage', row_limit=12, max_name_column_width=50)


def _in_a_small_card(case: Case) -> Row:
    """Whether either side has room for the largest D on a GPU of 16 GiB."""
    limit = min(CARD, torch.cuda.get_device_properties(0).total_memory)
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.get_device_properties(0).total_memory)
    fits = {}
    for side, means in dict(ours=implicit_region_means, plain=indexed_region_means).items():
        torch.cuda.empty_cache()
        try:
            case.step(means)
            fits[side] = True
        except torch.OutOfMemoryError:  # the very thing that is asked for
            fits[side] = False
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)
    said = {True: 'fits', False: 'out of memory'}
    return Row(
        'b',
        f'D={case.features.shape[1]} within {write_bytes(limit)}',
        said[fits['plain']],
        said[fits['ours']],
        ratio=float(fits['ours'] and not fits['plain']),
        target=at_least(1, ''),
        details=dict(fits=fits, limit_bytes=limit),
        profile=lambda: _memory_profile(lambda: case.step(implicit_region_means)),
    )
