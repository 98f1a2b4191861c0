"""The accuracy that MMSegmentation's heads tell beside their losses."""

from mmseg.utils import SampleList
from torch import Tensor


def labelled_accuracy(losses: dict[str, Tensor], samples: SampleList, ignore_index: int) -> dict[str, Tensor]:
    """The same losses, with each ``acc_seg`` 0 where no pixel is labelled; MMSegmentation's is 100 there.

    Args:
        losses: What heads give, with or without a prefix in the names; ``acc_seg`` is in percent.
        samples: Samples with ``gt_sem_seg``, of any sizes.
        ignore_index: Label of pixels that do not count.
    """
    labelled = sum((sample.gt_sem_seg.data != ignore_index).any() for sample in samples) > 0
    return {name: value * labelled if name.endswith('acc_seg') else value for name, value in losses.items()}
