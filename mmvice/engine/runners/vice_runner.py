"""MMEngine's Runner, whose checkpoints know of all processes."""

from mmengine.runner import Runner

from mmvice.engine.hooks import FittingStateHook, RegionQueueHook
from mmvice.registry import RUNNERS


@RUNNERS.register_module()
class ViCERunner(Runner):
    """Tells hooks in every process that a checkpoint is about to be written, and saves the region queues of all.

    A training goes on from a checkpoint only if that has all of its state, see :class:`FittingStateHook`.

    MMEngine writes checkpoints in the first process, and calls its hooks there only. Here every hook that has a method
    ``before_save_in_all_processes(runner)`` is called in all processes before that, whatever asked for the checkpoint.
    ``save_checkpoint`` must therefore be called in every process, as MMEngine's own hooks do.
    """

    def register_hooks(self, *args, **kwargs) -> None:
        """Register the hooks of the config, and those that every run has."""
        super().register_hooks(*args, **kwargs)
        self.register_hook(RegionQueueHook())
        self.register_hook(FittingStateHook())

    def save_checkpoint(self, *args, **kwargs) -> None:
        """Save a checkpoint; takes the arguments of MMEngine's method."""
        self.call_hook('before_save_in_all_processes')
        super().save_checkpoint(*args, **kwargs)
