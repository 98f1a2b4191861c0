"""A checkpoint that does not fit is an error, where MMEngine logs a warning and goes on with random weights."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvice.registry import HOOKS
from mmvice.utils.checkpoint import differing_weights


@HOOKS.register_module()
class FittingWeightsHook(Hook):
    """Refuses a checkpoint whose weights are not exactly the model's.

    ``tools/test.py`` adds it, and ``tools/train.py --resume`` does; initial weights (``load_from``) may be partial.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, before the Runner loads the weights into the model.

        Raises:
            ValueError: If a weight is missing, left over or of another shape; the message lists them.
        """
        model = getattr(runner.model, 'module', runner.model)
        differences = differing_weights(model.state_dict(), checkpoint.get('state_dict', checkpoint))
        if differences:
            raise ValueError(
                f'the checkpoint {runner._load_from} does not fit the model of this config, '
                f'a {type(model).__name__}; use the config it was trained with:\n  {differences}'
            )
