"""What a step could do otherwise, beside what it does: one run on a card tells what is worth a change."""

from collections.abc import Callable, Iterator

import torch
from mmpretrain.engine.optimizers.lars import LARS
from torch.nn import Parameter

from mmvice.models import ViCE
from mmvice.structures import ViewsDataSample

from ..harness import Row, Settings, interleave, progress, write_seconds

ADAMW = dict(lr=2e-3, weight_decay=1e-4)


class LARSWithoutWaiting(LARS):
    """LARS that reads no norm back; MMPretrain's has the host wait for two of each parameter. Momentum is plain.

    The rates are computed on the device in fp64, as Python computes them. On the CPU all weights are equal bit for bit
    (``tests/test_benchmarks/test_gpu_candidates.py``); nobody has seen yet whether they are on a GPU.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Change all parameters that have a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group['params'] if parameter.grad is not None]
            gradients = [parameter.grad for parameter in parameters]
            weight, gradient = (torch.stack(torch._foreach_norm(of)).double() for of in (parameters, gradients))
            decay = group['weight_decay']
            rates = group['eta'] * weight / (gradient + decay * weight + self.eps)
            rates = torch.where((weight != 0) & (gradient != 0), rates, 1.0) * group['lr']
            updates = torch._foreach_add(gradients, parameters, alpha=decay)
            torch._foreach_mul_(updates, rates.unbind())
            for parameter in parameters:
                self.state[parameter].setdefault('momentum_buffer', torch.zeros_like(parameter))
            buffers = [self.state[parameter]['momentum_buffer'] for parameter in parameters]
            torch._foreach_mul_(buffers, group['momentum'])
            torch._foreach_add_(buffers, updates)
            torch._foreach_sub_(parameters, buffers)


def rows(settings: Settings, model: ViCE, batch: dict, device: str, network: str) -> Iterator[Row]:
    """Optimizers and preprocessing; the ratio is a candidate's time over that of what is in use."""
    yield from _optimizers(settings, model, device, network)
    yield from _preprocessing(settings, model, batch, device, network)


def _optimizers(settings: Settings, model: ViCE, device: str, network: str) -> Iterator[Row]:
    lars = dict(lr=0.32, momentum=0.9, weight_decay=1e-6, eta=0.001)
    kinds = {
        'LARS without waiting, against LARS': (LARS, lars, LARSWithoutWaiting, lars),
        'AdamW fused, against AdamW': (torch.optim.AdamW, ADAMW, torch.optim.AdamW, dict(ADAMW, fused=True)),
    }
    for name, (used, settings_used, other, settings_other) in kinds.items():
        progress(f'2: {network}: optimizer step, {name}')
        copies = [_copies(model) for _ in range(2)]
        sides = dict(used=used(copies[0], **settings_used).step, candidate=other(copies[1], **settings_other).step)
        note = _difference(sides, *copies)
        yield _row(settings, sides, device, f'{network}: optimizer step, {name}', note)


def _copies(model: ViCE) -> list[Parameter]:
    """The parameters with a gradient each, the same ones at every call."""
    copies = [Parameter(each.detach().clone()) for each in model.parameters() if each.requires_grad]
    generator = torch.Generator(copies[0].device).manual_seed(0)
    for each in copies:
        each.grad = torch.empty_like(each).normal_(generator=generator)
    return copies


def _difference(sides: dict[str, Callable], used: list[Parameter], candidate: list[Parameter]) -> str:
    """After one step of both sides: whether the weights are equal bit for bit."""
    for step in sides.values():
        step()
    greatest = max(float((a - b).detach().abs().max()) for a, b in zip(used, candidate, strict=True))
    return 'weights equal bit for bit' if greatest == 0 else f'weights differ by up to {greatest:.1e}'


def _preprocessing(settings: Settings, model: ViCE, batch: dict, device: str, network: str) -> Iterator[Row]:
    """What the copy out of ordinary memory, the single tensors and the noise take of it."""
    progress(f'2: {network}: preprocessing')
    locked = _page_locked(batch) if device == 'cuda' else batch
    bare = [ViewsDataSample(metainfo=sample.metainfo) for sample in locked['data_samples']]
    for sample, full in zip(bare, locked['data_samples']):
        sample.regions = full.regions
    views = torch.stack(locked['inputs'])
    others = {
        'page-locked, as the loader of a run gives it': locked,
        'page-locked, views in one tensor': dict(locked, inputs=views.pin_memory() if device == 'cuda' else views),
        'page-locked, without masks and noise': dict(locked, data_samples=bare),
    }
    for name, other in others.items():
        sides = dict(
            used=lambda: model.data_preprocessor(batch, True),
            candidate=lambda other=other: model.data_preprocessor(other, True),
        )
        yield _row(settings, sides, device, f'{network}: preprocessing a batch {name}, against ordinary memory')


def _page_locked(batch: dict) -> dict:
    return {key: [each.pin_memory() for each in values] for key, values in batch.items()}


def _row(settings: Settings, sides: dict[str, Callable], device: str, what: str, note: str = '') -> Row:
    times = interleave(sides, settings.pick(20, 1), device)
    return Row(
        'c',
        what,
        write_seconds(times.median('used')),
        write_seconds(times.median('candidate')),
        ratio=times.ratio('candidate', 'used'),
        details=times.details(),
        note=note,
    )
