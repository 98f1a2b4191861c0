"""Stopping a run whose loss is not finite, with a report to find the cause."""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.distributed as dist
from mmengine.device import get_device
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmvice.engine.failure_report import image_names, write_failure_report
from mmvice.registry import HOOKS

_ADVICE = (
    'Lower the learning rate or lengthen its warm-up, clip gradients (optim_wrapper.clip_grad), train without --amp, '
    'or look at these images'
)


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Stops a training whose loss becomes NaN or inf, in the same step and before the next checkpoint.

    Only losses are checked: with fp16, the loss scaler handles occasional infinite gradients. The hook reads nothing
    from a GPU: it uses the values that MMEngine has fetched for its log. The processes exchange their findings while
    they wait for the next batch, and stop together.

    The hook writes a readable ``process_R.json`` and ``process_R.pth`` to ``non_finite_loss/step_N`` in the work
    folder, see :func:`mmvice.engine.failure_report.write_failure_report`.

    If the loss is finite but its gradient is not, the next loss shows it. No checkpoint is written between the two,
    since weights and optimizer state must be finite.

    Raises:
        FloatingPointError: The message has the step, the losses, the images of the batch and the folder.
    """

    priority = 'ABOVE_NORMAL'  # after MMEngine has read the losses, before anything is logged, drawn or saved

    def __init__(self) -> None:
        self._batches: deque[dict | tuple | list] = deque(maxlen=2)
        self._found: _Finding | None = None
        self._flags: Tensor | None = None
        self._exchange: dist.Work | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Stop if any process must stop; store the batch."""
        self._stop_together()
        self._batches.append(data_batch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Check the losses of the step."""
        losses = _losses(runner, outputs or {})
        if not all(map(math.isfinite, losses.values())):
            values = ', '.join(f'{name} = {value}' for name, value in losses.items())
            self._found = self._report(runner, f'the loss of step {runner.iter + 1} is not finite ({values})', losses)
        self._tell_others()

    def before_save_in_all_processes(self, runner: Runner) -> None:
        """Check the weights before the Runner saves, in all processes."""
        self._stop_together()
        model = getattr(runner.model, 'module', runner.model)
        self._check_state(runner, dict(state_dict=model.state_dict()))
        self._tell_others()
        self._stop_together()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write no checkpoint with values that are not finite; the previous one stays the last."""
        self._stop_together()
        self._check_state(runner, checkpoint)
        if self._found is not None:
            raise FloatingPointError(_sentence([self._found]))

    def before_val(self, runner: Runner) -> None:
        """Stop before a validation."""
        self._stop_together()

    def after_train(self, runner: Runner) -> None:
        """Stop after the last step."""
        self._stop_together()

    def _check_state(self, runner: Runner, checkpoint: dict) -> None:
        model = getattr(runner.model, 'module', runner.model)
        wrong = _not_finite(checkpoint['state_dict'], {name for name, _ in model.named_parameters()})
        wrong += _not_finite(_tensors(checkpoint.get('optimizer', {}), 'optimizer'))
        if wrong:
            names = ', '.join(wrong[:3]) + (f' and {len(wrong) - 3} more' if len(wrong) > 3 else '')
            step = runner.message_hub.get_info('iter', runner.iter) + 1
            message = f'after step {step} these weights are not finite, though the loss was: {names}; no checkpoint of '
            self._found = self._report(runner, message + 'them is written', {})

    def _report(self, runner: Runner, what: str, losses: Mapping[str, float]) -> '_Finding':
        folder = write_failure_report(runner, losses, list(self._batches))
        names = image_names(self._batches[-1]) if self._batches else []
        shown = ', '.join(names[:8]) + (f' and {len(names) - 8} more' if len(names) > 8 else '')
        return _Finding(get_rank(), what, shown, folder)

    def _tell_others(self) -> None:
        """Start to exchange which processes must stop; a single process stops at once."""
        if get_world_size() == 1:
            if self._found is not None:
                raise FloatingPointError(_sentence([self._found]))
            return
        device = 'cpu' if dist.get_backend() == 'gloo' else get_device()
        self._flags = torch.tensor([float(self._found is not None)]).to(device)
        self._exchange = dist.all_reduce(self._flags, async_op=True)

    def _stop_together(self) -> None:
        """End all processes if one must stop; all call this before any other collective operation."""
        if self._exchange is None:
            return
        self._exchange.wait()
        self._exchange = None
        if self._flags.item():
            found = [finding for finding in all_gather_object(self._found) if finding is not None]
            raise FloatingPointError(_sentence(found))


class _Finding(NamedTuple):
    """The finding of one process: its rank, the losses, the images of its batch, and the path of its report."""

    process: int
    what: str
    images: str
    folder: str


def _sentence(found: list[_Finding]) -> str:
    """The sentence for the findings of all processes; with several findings, no process is named as the cause."""
    first = found[0]
    if len(found) > 1:
        processes = ', '.join(str(finding.process) for finding in found)
        return (
            f'{first.what} in the processes {processes}. Where it began cannot be told from that, as processes share '
            f'losses and gradients: batches and state of each are in {first.folder}. {_ADVICE}.'
        )
    process = f' in process {first.process}' if get_world_size() > 1 else ''
    return (
        f'{first.what}{process}. Images of the batch: {first.images}. Batch and state are in {first.folder}. {_ADVICE}.'
    )


def _losses(runner: Runner, outputs: Mapping[str, Tensor]) -> dict[str, float]:
    """The losses of this step, which MMEngine recognises by 'loss' in their names."""
    logged = runner.message_hub.log_scalars
    names = [name for name in outputs if 'loss' in name]
    return {name: float(logged[f'train/{name}'].current()) for name in names if f'train/{name}' in logged}


def _not_finite(state: Mapping[str, Tensor], parameters: set[str] | None = None) -> list[str]:
    """Names of the parameters with a NaN or inf, and of the buffers with a NaN."""
    found = []
    for name, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            counts_inf = parameters is None or name in parameters
            found += [name] if not (value.isfinite() if counts_inf else ~value.isnan()).all() else []
    return found


def _tensors(value: object, name: str) -> dict[str, Tensor]:
    """All tensors in nested dicts and lists, by dotted names."""
    if isinstance(value, Tensor):
        return {name: value}
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return {key: tensor for entry, part in items for key, tensor in _tensors(part, f'{name}.{entry}').items()}
