"""The accuracy that MMSegmentation's heads report beside their losses."""

from mmseg.utils import SampleList
from torch import Tensor


def labelled_accuracy(losses: dict[str, Tensor], samples: SampleList, ignore_index: int) -> dict[str, Tensor]:
    """The same losses, with ``acc_seg`` set to 0 if no pixel is labelled; MMSegmentation's would be 100.

    Args:
        losses: Losses of heads, with or without a prefix in the names; ``acc_seg`` is in percent.
        samples: Samples with ``gt_sem_seg``, of any sizes.
        ignore_index: Label of pixels that do not count.
    """
    labelled = sum((sample.gt_sem_seg.data != ignore_index).any() for sample in samples) > 0
    return {name: value * labelled if name.endswith('acc_seg') else value for name, value in losses.items()}
