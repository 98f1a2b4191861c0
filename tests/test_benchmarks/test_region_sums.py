"""Every form of region sums gives those of the upsampled map, with their gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.harness import Settings
from benchmarks.lines import region_sums
from benchmarks.region_sums import FORMS, materialised
from mmvice.ops import bilinear, region_pooling

ROOT = Path(__file__).parents[2]
SHAPES = [((2, 2, 3, 5), (5, 8)), ((1, 1, 1, 3), (2, 3)), ((2, 1, 3, 8), (3, 5)), ((1, 4, 2, 1), (3, 3))]


def batch(shape, size, dtype, seed=0):
    """Vectors, weights, ids, numbers of regions: uneven, with empty regions and pixels of none."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(shape, dtype=dtype, generator=generator).requires_grad_()
    weights = torch.rand(shape[0], *size, dtype=dtype, generator=generator).requires_grad_()
    num_regions = [3, 6][: shape[0]]
    ids = torch.stack([torch.randint(-1, count - 1, size, generator=generator) for count in num_regions])
    if len(ids) > 1:
        ids[1] = torch.where(ids[1] < 0, -1, ids[1] + 3)
    return rows, weights, ids, num_regions


def check(name, dtype):
    for shape, size in SHAPES:
        rows, weights, ids, num_regions = batch(shape, size, dtype)
        upstream = torch.randn(sum(num_regions), shape[-1], dtype=dtype, generator=torch.Generator().manual_seed(1))
        results = []
        for form in (FORMS[name], materialised):
            sums = form(rows, weights, ids, num_regions)
            results.append((sums, *torch.autograd.grad(sums, (rows, weights), upstream)))
        for ours, plain in zip(*results):
            torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('name', [name for name in FORMS if name not in ('materialised', 'triton_cells')])
def test_forms_agree(name, dtype):
    check(name, dtype)


def test_static_bags_are_operators_whatever_the_switch_says(monkeypatch):
    """They are what the kernels are measured against."""
    for size in (SHAPES[0], SHAPES[2]):
        rows, weights, ids, num_regions = batch(*size, torch.float64)
        expected = materialised(rows, weights, ids, num_regions)
        with monkeypatch.context() as patch:
            patch.setattr(region_pooling, 'use_kernels', lambda _: pytest.fail('the kernels are asked for'))
            torch.testing.assert_close(FORMS['static_bags'](rows, weights, ids, num_regions), expected)
            with pytest.raises(pytest.fail.Exception):
                region_pooling.region_sums(rows, weights, ids, sum(num_regions), mean=False, count_entries=False)


def check_kernels():
    from mmvice.ops.cell_kernels import cell_gram_gradient, cell_gram_map

    for dtype in (torch.float32, torch.float64):
        check('triton_cells', dtype)
        for shape, _ in SHAPES:
            rows = torch.randn(shape, dtype=dtype)
            gram = cell_gram_map(rows)
            torch.testing.assert_close(gram, bilinear._gram_by_products(rows))
            grad = torch.randn_like(gram)
            torch.testing.assert_close(cell_gram_gradient(rows, grad), bilinear._gradient_by_products(rows, grad))
    return 'all equal'


@pytest.mark.slow
def test_kernels_agree():
    pytest.importorskip('triton')
    code = 'from test_region_sums import check_kernels; print(check_kernels())'
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent))
    environment['TRITON_INTERPRET'] = '1'  # must be there before Triton is imported
    command = [sys.executable, '-c', code]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.stdout.endswith('all equal\n'), ended.stderr


def test_a_form_that_fails_does_not_cost_the_others(monkeypatch):
    def broken(*_):
        raise RuntimeError('no kernel image')

    monkeypatch.setitem(FORMS, 'triton_cells', broken)
    found = {row.what: row for row in region_sums.on_gpu(Settings(quick=True, repeats=1))}
    assert found['D=8, sums: triton_cells'].note == 'failed: RuntimeError: no kernel image'
    others = [row for what, row in found.items() if 'triton_cells' not in what]
    assert len(others) == len(FORMS) - 1 + 2 * 5 and not any('failed' in row.note for row in others)
