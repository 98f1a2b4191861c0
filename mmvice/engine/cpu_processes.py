"""Several processes on a machine without accelerators."""

import os
import subprocess
import time
from datetime import timedelta

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import barrier, is_distributed
from torch.distributed import destroy_process_group, init_process_group

from mmvice.utils.config_types import type_name

# The environment variables torch.distributed reads, and who else has them; torchrun sets torch's own.
RANKS = {
    'pytorch': {},
    'slurm': {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS', 'LOCAL_RANK': 'SLURM_LOCALID'},
    'mpi': {
        'RANK': 'OMPI_COMM_WORLD_RANK',
        'WORLD_SIZE': 'OMPI_COMM_WORLD_SIZE',
        'LOCAL_RANK': 'OMPI_COMM_WORLD_LOCAL_RANK',
    },
}

_SECONDS_TO_RELEASE = 0.2


def prepare_cpu_processes(cfg: Config) -> None:
    """Join the other processes over gloo if a launcher started this process and there is no accelerator.

    MMEngine's launchers select a CUDA device first with any backend, but keep an existing process group. MMEngine's
    default model wrapper also names a device, which torch refuses on the CPU. torch's SyncBN has no CPU kernel, so
    :class:`mmvice.models.utils.CPUSyncBatchNorm` replaces it. ``cfg.model_wrapper_cfg`` and ``cfg.model`` are changed
    accordingly.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or get_device() != 'cpu' or is_distributed():
        return
    for name, source in RANKS[launcher].items():
        os.environ[name] = os.environ[source]
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ and launcher == 'slurm':
        os.environ['MASTER_ADDR'] = _first_slurm_host()
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    init_process_group('gloo', timeout=timedelta(seconds=seconds))

    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    wrapper = {'type': 'MMDistributedDataParallel', **wrapper}
    if type_name(wrapper) == 'MMDistributedDataParallel':
        wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper
    _replace_sync_bn(cfg.get('model'))


def leave_together() -> None:
    """End the process group when every process has called this function; do nothing without a group.

    If one process fails at its exit, a launcher ends the others, while the first may still write a checkpoint. An exit
    can fail because of gloo's threads. They report the end of an operation, and drop its tensors afterwards, for which
    they need Python's lock. If Python has ended by then, the program aborts ("terminate called without an active
    exception"). This function therefore releases the lock for a moment before Python ends.
    """
    if not is_distributed():
        return
    barrier()
    destroy_process_group()
    time.sleep(_SECONDS_TO_RELEASE)


def _first_slurm_host() -> str:
    """The first node of the job, where rank 0 runs."""
    command = ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


def _replace_sync_bn(part: ConfigDict | list | str | None) -> None:
    """Turn every norm layer config of type SyncBN in a model's config into the one for the CPU."""
    if isinstance(part, dict):
        if type_name(part) in ('SyncBN', 'SyncBatchNorm', '_SyncBatchNorm'):
            part['type'] = 'CPUSyncBN'
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for entry in part:
            _replace_sync_bn(entry)
