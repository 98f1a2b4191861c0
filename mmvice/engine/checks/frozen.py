"""A frozen backbone that has learned nothing is told of before the first step."""

import logging

from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.models import EmbedderMixin


def warn_of_frozen_random_weights(runner: Runner) -> None:
    """Warn of a backbone that is frozen, has random weights, and lies under a decoder that learns.

    It is no error: it can be a baseline, and a backbone of another project may load weights by itself. A probe of
    random weights freezes the decoder too; nothing is said of that baseline.
    """
    model = getattr(runner.model, 'module', runner.model)
    if not isinstance(model, EmbedderMixin) or tuple(model.frozen) != ('backbone',):
        return
    given = [getattr(model, name, None) for name in ('pretrained', 'embedder_checkpoint')]
    if any(given) or runner.cfg.get('load_from') or runner.iter or _is_pretrained(model.backbone, model):
        return
    print_log(
        "model.frozen=('backbone',), but the backbone has random weights, so nothing useful reaches the decoder: give "
        'the file of its weights as model.pretrained, or let the backbone learn by model.frozen=()',
        logger='current',
        level=logging.WARNING,
    )


def _is_pretrained(*modules: object) -> bool:
    for module in modules:
        settings = getattr(module, 'init_cfg', None) or []
        settings = [settings] if isinstance(settings, dict) else settings
        if any(one.get('type') in ('Pretrained', 'PretrainedInit') for one in settings):
            return True
    return False
