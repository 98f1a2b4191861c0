"""MMEngine's Runner, with state of all processes in checkpoints, timeouts of loaders and a folder for each run."""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import DataLoader

from mmvice.datasets.packed_batch import PackedCollate
from mmvice.datasets.seeded_items import with_seeded_items
from mmvice.datasets.worker_batches import SharedMemory, with_worker_settings
from mmvice.datasets.wrapper_settings import check_wrapper_settings
from mmvice.engine import checks
from mmvice.engine.hooks import MethodStateHook, RunCheckHook
from mmvice.engine.hooks.former_names import renewed
from mmvice.engine.loops import ClusterFitLoop
from mmvice.models.embedder import EmbedderMixin
from mmvice.registry import RUNNERS
from mmvice.utils.console import use_console
from mmvice.utils.file_limit import raise_file_limit

from .named_instances import forget, make_current

_begun: Counter[str] = Counter()
"""How many runs of this process began in a second."""


def _as_current_run(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(self: Runner, *args, **kwargs) -> Any:
        for instance in (self.logger, self.message_hub, self.visualizer, self.default_scope):
            if instance is not None:
                make_current(instance)
        return method(self, *args, **kwargs)

    return run


@RUNNERS.register_module()
class ViCERunner(Runner):
    """Calls hooks in every process before a checkpoint is written, and saves the state of each process.

    Settings that cannot work end the run before the first step, see :class:`RunCheckHook`.

    MMEngine writes checkpoints in the first process, and calls hooks only there. This Runner first calls the method
    ``before_save_in_all_processes(runner)`` of hooks in all processes. ``save_checkpoint`` must therefore be called in
    every process, as MMEngine's own hooks do.

    A process may have several Runners, which run in any order. Each writes into its own work folder. It has its own
    logger, message hub, visualizer and scope, which are MMEngine's current ones while it runs.
    """

    train, val, test = (_as_current_run(method) for method in (Runner.train, Runner.val, Runner.test))

    def setup_env(self, env_cfg: dict) -> None:
        """Set up the environment like MMEngine, and raise the limit of open files for this process and its workers.

        MMEngine raises the limit to 4096, or to ``resource_limit`` of ``env_cfg``. It names a run's logger after the
        second in which the run starts. Here, several runs in one second get different names.
        """
        super().setup_env(env_cfg)
        raise_file_limit()
        second = self._timestamp
        _begun[second] += 1
        if _begun[second] > 1:
            self._timestamp = f'{second}_{_begun[second]}'

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, which leaves standard output to results."""
        return use_console(super().build_logger(*args, **kwargs))

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Build the visualizer; that of an earlier run with the same name loses its name."""
        if isinstance(visualizer, dict):
            earlier = Visualizer._instance_dict.get(visualizer.get('name'))
            if earlier is not None:
                forget(earlier)
        return super().build_visualizer(visualizer)

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None) -> None:
        """Register the hooks of the config and those of every run."""
        self.register_hook(MethodStateHook())
        self.register_hook(RunCheckHook())
        super().register_hooks(renewed(default_hooks), renewed(custom_hooks))

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes, if there is something for them to share."""
        if self.distributed and model_wrapper_cfg is None:
            checks.check_something_learns(model)
        return super().wrap_model(model_wrapper_cfg, model)

    def build_optim_wrapper(self, optim_wrapper: dict | OptimWrapper) -> OptimWrapper:
        """Build the optimizer, if there is something to train; a cluster probe is fitted without one."""
        if not isinstance(self._train_loop, ClusterFitLoop):
            checks.check_something_learns(self.model)
        return super().build_optim_wrapper(optim_wrapper)

    def _maybe_compile(self, target: str) -> None:
        """Compile a whole step of the model, if the config asks for it.

        Raises:
            ValueError: If the model's step cannot be compiled as a whole, or ``compile`` is not a bool or dict.
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
        """Build a data loader whose workers hand over each batch in one block of memory, or end the run.

        Settings of workers are left out if there are no workers. Every sample depends only on (seed, epoch, index),
        behind any wrapper of data sets, see :func:`with_seeded_items`.

        Args:
            dataloader: As of MMEngine's method, whose other arguments are the same too.
            seed: Seed of the sampler and the workers.
            diff_rank_seed: Whether each process has its own seed.

        Raises:
            ValueError: If a number of workers, or a wrapper of data sets, has a setting that cannot work.
        """
        if not isinstance(dataloader, DataLoader):
            check_wrapper_settings(dataloader.get('dataset'))
            dataloader = with_seeded_items(with_worker_settings(dataloader))
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if not isinstance(loader.collate_fn, PackedCollate):
            loader.collate_fn = PackedCollate(loader.collate_fn, SharedMemory(loader))
        return loader
