"""Line g: cost against the number of regions and of concepts."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mmvice.models import DenseSwAVHead
from mmvice.ops import grid_superpixels
from mmvice.structures import EmbeddingMap

from ..harness import (
    Row,
    Settings,
    at_most,
    count_operators,
    interleave,
    profile_text,
    progress,
    require_close,
    write_seconds,
)
from ..plain.region_means import indexed_region_means

NEAR_LINEAR = 1.1  # slope of log time over log number


def rows(settings: Settings) -> Iterator[Row]:
    """Region means and the whole loss, forward and backward, as numbers grow."""
    images, views, side, dims = settings.pick((4, 5, 256, 128), (2, 2, 32, 8))
    torch.manual_seed(0)
    features = torch.randn(images * views, dims, side // 4, side // 4, requires_grad=True)
    squares = settings.pick((128, 36, 11, 3), (16, 4))  # 20 views: 80 to 147 920 regions a batch
    steps, regions_of = {}, {}
    for square in squares:
        ids = torch.from_numpy(grid_superpixels(side, side, square))
        count = int(ids.max()) + 1
        regions = ids.expand(images * views, -1, -1).contiguous()
        total = regions_of[square] = count * images * views
        progress(f'g: {total} regions: equality')
        check_means(features, regions, count)
        head = DenseSwAVHead(dims, settings.pick(128, 16))
        steps[total] = _steps(features, regions, [count] * images, views, head)
    for part in ('region means', 'loss'):
        sides = {str(total): works[part] for total, works in steps.items()}
        yield from _growth(settings, f'{part} over regions a batch', sides)
    fewest, most = min(steps), max(steps)
    counts = {total: count_operators(steps[total]['loss']) for total in (fewest, most)}
    yield Row(
        'g',
        f'operators called by a loss, {most} over {fewest} regions',
        str(counts[fewest]),
        str(counts[most]),
        ratio=counts[most] / counts[fewest],
        target=at_most(1.1),
        details=dict(operators=counts),
        profile=lambda: profile_text(steps[most]['loss']),
    )
    square = squares[1]
    ids = torch.from_numpy(grid_superpixels(side, side, square))
    regions, count = ids.expand(images * views, -1, -1).contiguous(), int(ids.max()) + 1
    sides = {}
    for concepts in settings.pick((100, 1000, 10_000, 100_000), (16, 64)):
        work = _steps(features, regions, [count] * images, views, DenseSwAVHead(dims, concepts))['loss']
        sides[str(concepts)] = work
    yield from _growth(settings, f'loss over concepts, {regions_of[square]} regions a batch', sides)


def _steps(
    features: Tensor, regions: Tensor, num_regions: list[int], views: int, head: DenseSwAVHead
) -> dict[str, Callable[[], object]]:
    size = regions.shape[1:]
    of_maps = [count for count in num_regions for _ in range(views)]

    def means() -> object:
        out = EmbeddingMap(features, size).region_means(regions, of_maps)
        return torch.autograd.grad(out.sum(), features)

    def loss() -> object:
        out = head.loss(EmbeddingMap(features, size), regions, num_regions, views)['loss']
        return torch.autograd.grad(out, (features, head.concepts))

    return {'region means': means, 'loss': loss}


@torch.no_grad()
def check_means(features: Tensor, regions: Tensor, count: int) -> None:
    """Raise AssertionError unless the region means of the first views are the plain ones."""
    features, regions = features[:2], regions[:2]
    ours = EmbeddingMap(features, regions.shape[1:]).region_means(regions, [count] * 2)
    require_close(ours, indexed_region_means(features, regions, [count] * 2), f'means of {count} regions a view')


def _growth(settings: Settings, what: str, sides: dict[str, Callable[[], object]]) -> Iterator[Row]:
    """Slopes of log time over log number, between neighbours; the steepest counts, as the cost of pixels hides it."""
    progress(f'g: {what}: {", ".join(sides)}')
    times = interleave(sides, min(settings.repeats, 5))
    numbers = sorted(map(int, sides))
    medians = [times.median(str(number)) for number in numbers]
    points = list(zip(numbers, medians))
    slopes = [math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in zip(points, points[1:])]
    yield Row(
        'g',
        f'{what}: {numbers[0]} to {numbers[-1]}, steepest slope',
        write_seconds(medians[0]),
        write_seconds(medians[-1]),
        ratio=max(slopes),
        target=at_most(NEAR_LINEAR, ''),
        details=dict(numbers=numbers, fitted_slope=fitted_slope(numbers, medians), slopes=slopes, **times.details()),
        profile=lambda: profile_text(sides[str(numbers[-1])]),
        note='step by step ' + ', '.join(f'{slope:.2f}' for slope in slopes),
    )


def fitted_slope(numbers: list[int], seconds: list[float]) -> float:
    """Least-squares slope of log seconds over log numbers."""
    x, y = ([math.log(value) for value in values] for values in (numbers, seconds))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
