"""MMSegmentation's segmentor, on images of any sizes."""

from collections.abc import Sequence

import mmseg.models
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmvice.models.utils import initialize, labelled_accuracy
from mmvice.registry import MODELS


@MODELS.register_module()
class EncoderDecoder(mmseg.models.EncoderDecoder):
    """MMSegmentation's segmentor, which predicts images separately if their sizes differ.

    MMSegmentation's own class refuses such a batch. It also refuses a batch of images that had different sizes before
    resizing. The preprocessor must keep images separate, like :class:`ViCEDataPreprocessor`. ``acc_seg`` comes from
    :func:`labelled_accuracy`.

    Args:
        pretrained (str, optional): Initial weights of the backbone, of any known format, as of :class:`ViCE`. All of
            the backbone must come from the file. Defaults to None.
        args, kwargs: As of :class:`mmseg.models.EncoderDecoder`.
    """

    def __init__(self, *args, pretrained: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.pretrained = pretrained

    def init_weights(self) -> None:
        """Initialise all parts, the backbone from ``pretrained`` or the checkpoint that its ``init_cfg`` names.

        Raises:
            ValueError: If the file does not fit; the message lists the weights.
        """
        initialize(self, super().init_weights, self.pretrained)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of all heads on images (B, 3, H, W) with ``gt_sem_seg``."""
        losses = super().loss(inputs, data_samples)
        return labelled_accuracy(losses, data_samples, self.decode_head.ignore_index)

    def predict(self, inputs: Tensor | Sequence[Tensor], data_samples: OptSampleList = None) -> SampleList:
        """Segment images, (B, 3, H, W) or a list of (3, H, W); the result has each image's original size."""
        originals = {tuple(sample.ori_shape) for sample in data_samples or ()}
        if isinstance(inputs, Tensor) and len(originals) < 2:
            return super().predict(inputs, data_samples)
        samples = [None] * len(inputs) if data_samples is None else [[sample] for sample in data_samples]
        return [super(EncoderDecoder, self).predict(image[None], own)[0] for image, own in zip(inputs, samples)]
