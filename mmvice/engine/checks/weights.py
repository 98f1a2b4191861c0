"""A check that a checkpoint fits the model; MMEngine only logs a warning and continues with random weights."""

from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint

from mmvice.utils.checkpoint import differing_weights


def check_weights_fit(runner: Runner, checkpoint: dict) -> None:
    """Refuse a checkpoint whose weights are not exactly the model's, for a test and for a resumed run.

    Initial weights of a training (``load_from``) may be partial, but some must fit.

    Raises:
        ValueError: If a weight is missing, unused or of another shape; the message lists them.
    """
    model = getattr(runner.model, 'module', runner.model)
    own, given = model.state_dict(), checkpoint.get('state_dict', checkpoint)
    starts = isinstance(runner._train_loop, BaseLoop) and not runner._resume
    if starts and any(key in given and getattr(given[key], 'shape', None) == value.shape for key, value in own.items()):
        return
    differences = differing_weights(own, given)
    if differences:
        advice = 'none of its weights is one of the model' if starts else 'use the config it was trained with'
        name = runner._load_from or find_latest_checkpoint(runner.work_dir)
        raise ValueError(
            f'the checkpoint {name} does not fit the model of this config, '
            f'a {type(model).__name__}; {advice}:\n  {differences}'
        )
