"""Initial weights of a segmentor, with a check that only the named weights are missing."""

import logging
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.registry import HOOKS
from mmvice.utils.checkpoint import differing_weights, load_checkpoint_file


@HOOKS.register_module()
class InitialWeightsHook(Hook):
    """Starts a training from a checkpoint that has every weight of the model except the named ones (Table 11).

    MMEngine's ``load_from`` and ``init_cfg`` load the weights that fit, and only warn that the others stay random. A
    resumed run uses its own checkpoint instead.

    Args:
        checkpoint (str): File of the weights, written by ``tools/model_converters/to_mmseg.py``.
        learned_anew (Sequence[str]): Prefixes of the names of weights that the file lacks.
    """

    def __init__(self, checkpoint: str, learned_anew: Sequence[str] = ()) -> None:
        self.checkpoint = checkpoint
        self.learned_anew = tuple(learned_anew)

    def before_train(self, runner: Runner) -> None:
        """Load the weights after the Runner has initialised all of them, except in a resumed run.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If a weight is missing, unused or of another shape; the message lists them.
        """
        if runner.iter:
            return
        model = getattr(runner.model, 'module', runner.model)
        given = load_checkpoint_file(self.checkpoint)
        given = given.get('state_dict', given)
        wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(self.learned_anew)}
        differences = differing_weights(wanted, given)
        if differences:
            raise ValueError(
                f'{self.checkpoint} does not fit the model of this config, a {type(model).__name__}; weights of ViCE '
                f'are exported by tools/model_converters/to_mmseg.py:\n  {differences}'
            )
        model.load_state_dict(given, strict=False)
        anew = ', '.join(self.learned_anew) or 'nothing'
        print_log(
            f'Loaded {len(given)} weights from {self.checkpoint}; learned anew: {anew}',
            logger='current',
            level=logging.INFO,
        )
