"""A check that the heads of MMSegmentation's segmentor fit its backbone, before the first step."""

from mmengine.runner import Runner
from mmseg.models import EncoderDecoder

from mmvice.models.utils import check_decoder_fits


def check_heads_fit(runner: Runner) -> None:
    """Run the heads of an ``EncoderDecoder`` on a small image; mmvice's own models do that when they are built.

    Backbone and heads run once, in evaluation; nothing of the model changes.

    Raises:
        ValueError: If a head does not accept the backbone's features; the message has the channels of both.
    """
    model = getattr(runner.model, 'module', runner.model)
    if not isinstance(model, EncoderDecoder) or model.with_neck:
        return
    heads = dict(decode_head=model.decode_head)
    if model.with_auxiliary_head:
        heads['auxiliary_head'] = model.auxiliary_head
    for name, head in heads.items():
        if hasattr(head, 'in_index'):  # several auxiliary heads are a list of them
            check_decoder_fits(model.backbone, head, f'model.{name}')
