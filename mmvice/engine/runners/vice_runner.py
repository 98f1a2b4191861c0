"""MMEngine's Runner, whose checkpoints know of all processes."""

from mmengine.runner import Runner

from mmvice.engine.hooks import RegionQueueHook
from mmvice.registry import RUNNERS


@RUNNERS.register_module()
class ViCERunner(Runner):
    """Tells hooks in every process that a checkpoint is about to be written, and saves the region queues of all.

    MMEngine writes checkpoints in the first process, and calls its hooks there only. Here every hook that has a method
    ``before_save_in_all_processes(runner)`` is called in all processes before that, whatever asked for the checkpoint.
    ``save_checkpoint`` must therefore be called in every process, as MMEngine's own hooks do.
    """

    def register_hooks(self, *args, **kwargs) -> None:
        """Register the hooks of the config, and the one that saves the region queues."""
        super().register_hooks(*args, **kwargs)
        self.register_hook(RegionQueueHook())

    def save_checkpoint(self, *args, **kwargs) -> None:
        """Save a checkpoint; takes the arguments of MMEngine's method."""
        self.call_hook('before_save_in_all_processes')
        super().save_checkpoint(*args, **kwargs)
