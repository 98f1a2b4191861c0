"""MMEngine's Runner, whose checkpoints know of all processes and whose data loaders never wait without end."""

from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmvice.datasets.packed_batch import PackedCollate
from mmvice.datasets.seeded_items import with_seeded_items
from mmvice.datasets.worker_batches import SharedMemory, with_fitting_workers
from mmvice.engine.hooks import FittingSamplerHook, FittingStateHook, RegionQueueHook
from mmvice.models.embedder import EmbedderMixin
from mmvice.registry import RUNNERS
from mmvice.utils.file_limit import raise_file_limit


@RUNNERS.register_module()
class ViCERunner(Runner):
    """Tells hooks in every process that a checkpoint is about to be written, and saves the region queues of all.

    A training goes on from a checkpoint only if that has all of its state, see :class:`FittingStateHook`.

    MMEngine writes checkpoints in the first process, and calls its hooks there only. Here every hook that has a method
    ``before_save_in_all_processes(runner)`` is called in all processes before that, whatever asked for the checkpoint.
    ``save_checkpoint`` must therefore be called in every process, as MMEngine's own hooks do.
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Set the environment up as MMEngine does, and let this process and its workers open all files they may.

        MMEngine raises the limit to 4096, or to ``resource_limit`` of ``env_cfg``.
        """
        super().setup_env(env_cfg)
        raise_file_limit()

    def register_hooks(self, *args, **kwargs) -> None:
        """Register the hooks of the config, and those that every run has."""
        self.register_hook(RegionQueueHook())
        super().register_hooks(*args, **kwargs)
        self.register_hook(FittingStateHook())
        self.register_hook(FittingSamplerHook())

    def _maybe_compile(self, target: str) -> None:
        """Compile a whole step of the model, if the config asks for it.

        Raises:
            ValueError: If the model is one whose step cannot be compiled as a whole, or ``compile`` is no bool or dict.
        """
        wanted = self.cfg.get('compile', False)
        if not isinstance(wanted, (bool, dict)):
            raise ValueError(f'compile must be True, False or a dict of arguments of torch.compile, got {wanted!r}')
        model = getattr(self.model, 'module', self.model)
        if wanted and isinstance(model, EmbedderMixin):
            raise ValueError(
                f'compile={wanted} at the top of a config compiles the whole step, which {type(model).__name__} does '
                'not allow, as its step changes state outside the graph: take it out; model.compile=True of ViCE '
                'compiles backbone and decoder'
            )
        super()._maybe_compile(target)

    def save_checkpoint(self, *args, **kwargs) -> None:
        """Save a checkpoint; takes the arguments of MMEngine's method."""
        self.call_hook('before_save_in_all_processes')
        super().save_checkpoint(*args, **kwargs)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict[str, Any], seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader, whose workers hand over each batch in one block of memory, or end the run.

        Settings that only workers have are left out where there is none. Every sample follows from (seed, epoch,
        index) behind any wrapper of data sets, see :func:`with_seeded_items`.

        Args:
            dataloader: As of MMEngine's method, whose other arguments are the same too.
            seed: Seed of the sampler and the workers.
            diff_rank_seed: Whether the processes have seeds of their own.
        """
        if not isinstance(dataloader, DataLoader):
            dataloader = with_seeded_items(with_fitting_workers(dataloader))
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if not isinstance(loader.collate_fn, PackedCollate):
            loader.collate_fn = PackedCollate(loader.collate_fn, SharedMemory(loader))
        return loader
