"""A frozen backbone that has learned nothing is told of before the first step."""

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvice.models import EmbedderMixin
from mmvice.utils.config_types import type_name


def warn_of_frozen_random_weights(runner: Runner) -> None:
    """Warn of a backbone that is frozen, has random weights, and lies under a decoder that learns.

    It is no error: it can be a baseline, and a backbone of another project may load weights by itself. A probe of
    random weights freezes the decoder too; nothing is said of that baseline.
    """
    model = getattr(runner.model, 'module', runner.model)
    if not isinstance(model, EmbedderMixin) or tuple(model.frozen) != ('backbone',):
        return
    given = [getattr(model, name, None) for name in ('pretrained', 'embedder_checkpoint')]
    settings = runner.cfg.get('model') or {}
    if any(given) or runner.cfg.get('load_from') or runner.iter:
        return
    if _names_a_file(settings) or _names_a_file(settings.get('backbone') or {}):
        return
    print_log(
        "model.frozen=('backbone',), but the backbone has random weights, so nothing useful reaches the decoder: give "
        'the file of its weights as model.pretrained, or let the backbone learn by model.frozen=()',
        logger='current',
        level=logging.WARNING,
    )


def _names_a_file(settings: Mapping) -> bool:
    """Whether the config of a part has weights in its ``init_cfg``, which the part itself forgets once it has them."""
    cfgs = settings.get('init_cfg') or []
    return any(
        type_name(cfg) in ('Pretrained', 'PretrainedInit') for cfg in ([cfgs] if isinstance(cfgs, Mapping) else cfgs)
    )
