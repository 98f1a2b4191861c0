"""One assignment whose rows are spread over processes."""

import torch
from processes import process_group, run_processes

from mmvice.ops import sinkhorn_knopp

COUNTS = [(11, 4), (15, 0), (1, 14)]


def scores() -> torch.Tensor:
    return torch.randn(15, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def assign_own_rows() -> list[torch.Tensor]:
    with process_group() as rank:
        return [sinkhorn_knopp(scores().split(counts)[rank]) for counts in COUNTS]


def test_two_processes_with_unequal_rows_equal_one():
    for parts in zip(*run_processes(assign_own_rows, 2)):
        torch.testing.assert_close(torch.cat(parts), sinkhorn_knopp(scores()), rtol=1e-12, atol=1e-14)
