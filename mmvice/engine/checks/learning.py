"""A model in which nothing can learn is an error before its optimizer is built."""

from torch import nn


def check_something_learns(model: nn.Module) -> None:
    """Refuse to train a model all of whose weights are frozen.

    Raises:
        ValueError: If no weight has a gradient; the message has what is frozen.
    """
    model = getattr(model, 'module', model)
    if any(parameter.requires_grad for parameter in model.parameters()):
        return
    frozen = getattr(model, 'frozen', None)
    head = getattr(model, 'head', getattr(model, 'decode_head', None))
    if frozen:
        raise ValueError(
            f'there is nothing to train: model.frozen={frozen} keeps those parts as they are, and a '
            f'{type(head).__name__} has no weights that learn; take a part out of model.frozen'
        )
    raise ValueError(f'there is nothing to train: no weight of {type(model).__name__} requires a gradient')
