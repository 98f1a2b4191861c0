"""The report of a failed run: its last batches, its state and a readable summary."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner, find_latest_checkpoint
from mmengine.structures import BaseDataElement
from torch import Tensor

_HISTORY = 50


def write_failure_report(runner: Runner, losses: Mapping[str, float], batches: Sequence[Any]) -> str:
    """Write ``process_R.json`` and ``process_R.pth`` to ``<work_dir>/non_finite_loss/step_N``, R being the rank.

    The first has the losses, their last 50 values, learning rates, the images, the norms of all weights and the names
    of weights that are not finite. The second has the last batches from the data loader (``batch`` and
    ``batch_before``: tensors, and samples as dicts), and the ``state_dict`` if it is finite. With a loss scaler, this
    is the state before that batch. :func:`mmvice.utils.checkpoint.load_checkpoint_file` reads it.

    Args:
        runner: The Runner, within a step.
        losses: Losses of the step.
        batches: The last batches of this process, the step's own at the end.

    Returns:
        str: The folder, or the reason why it cannot be written.
    """
    step = runner.message_hub.get_info('iter', runner.iter) + 1
    model = getattr(runner.model, 'module', runner.model)
    state = model.state_dict()
    weights = {name: value.detach().float() for name, value in state.items() if value.is_floating_point()}
    wrong = [name for name, value in weights.items() if not value.isfinite().all()]
    batch, before = ([None, None, *batches])[:-3:-1]
    logged = runner.message_hub.log_scalars
    report = dict(
        step=step,
        process=get_rank(),
        losses={name: _number(value) for name, value in losses.items()},
        images=image_names(batch),
        images_of_the_batch_before=image_names(before),
        not_finite=wrong,
        last_values={name: list(map(_number, buffer.data[0][-_HISTORY:])) for name, buffer in logged.items()},
        norms={name: _number(value.norm()) for name, value in weights.items()},
        last_checkpoint=find_latest_checkpoint(runner.work_dir),
    )
    content = dict(step=step, batch=plain(batch), batch_before=plain(before))
    if not wrong:
        content['state_dict'] = {name: value.detach().cpu() for name, value in state.items()}
    folder = Path(runner.work_dir, 'non_finite_loss', f'step_{step}')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'process_{get_rank()}.json').write_text(json.dumps(report, indent=1))
        torch.save(content, folder / f'process_{get_rank()}.pth')
    except OSError as error:  # what the report is about must be heard of all the same
        return f'no folder, as {folder} cannot be written ({error})'
    return str(folder)


def image_names(batch: Any) -> list[str]:
    """Path of every image of a batch, or a description of its sample."""
    samples = batch.get('data_samples') if isinstance(batch, Mapping) else None
    if samples is None:
        return []
    return [
        str(sample.metainfo.get('img_path', sample.metainfo)) if isinstance(sample, BaseDataElement) else str(sample)
        for sample in samples
    ]


def plain(value: Any) -> Any:
    """A batch as tensors on the CPU, arrays, numbers, texts, dicts and lists, which the safe loader reads."""
    if isinstance(value, BaseDataElement):
        return plain({**dict(value.metainfo_items()), **dict(value.items())})
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(value)) if value.dtype.kind in 'biuf' else value.tolist()
    return value.item() if isinstance(value, np.generic) else str(value)


def _number(value: Any) -> float | str:
    """A number as JSON knows it; NaN and inf, which it does not know, as text."""
    value = float(value)
    return value if math.isfinite(value) else str(value)
