"""Initial weights of a segmentor, of which none is missing unless it is meant to be learned anew."""

import logging
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.registry import HOOKS
from mmvice.utils.checkpoint import differing_weights, load_checkpoint_file


@HOOKS.register_module()
class InitialWeightsHook(Hook):
    """Starts a training from a checkpoint that has every weight of the model but those named (Table 11).

    MMEngine's ``load_from`` and ``init_cfg`` take what happens to fit and leave the rest random, with a warning. A
    resumed run goes on from its own checkpoint, as ever.

    Args:
        checkpoint (str): File of the weights, as ``tools/model_converters/to_mmseg.py`` writes it.
        learned_anew (Sequence[str]): Beginnings of the names of weights that the file lacks.
    """

    def __init__(self, checkpoint: str, learned_anew: Sequence[str] = ()) -> None:
        self.checkpoint = checkpoint
        self.learned_anew = tuple(learned_anew)

    def before_train(self, runner: Runner) -> None:
        """Load the weights, after the Runner has initialised all of them; a run that goes on has its own.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If a weight is missing, left over or of another shape; the message lists them.
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
