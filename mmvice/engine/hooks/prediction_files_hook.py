"""Predictions of a test as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmvice.datasets.image_names import image_output_names
from mmvice.registry import HOOKS
from mmvice.utils.counts import counted
from mmvice.visualization import write_png


@HOOKS.register_module()
class PredictionFilesHook(Hook):
    """Writes every prediction of a test as a grey PNG of class ids, with or without labels.

    Files have the subfolders of the images. Each is written completely or not at all. With ``reduce_zero_label`` the
    ids are those of the label maps on disk, from 1 on, as MMSegmentation writes them.

    Args:
        folder (str): Folder of the files.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).expanduser()

    def before_test(self, runner: Runner) -> None:
        """Name the files."""
        self._names = image_output_names(runner.test_dataloader.dataset)

    def after_test(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the number of files and their folder."""
        written = counted(len(self._names), 'prediction')
        print_log(f'Wrote {written} to {self.folder}', logger='current')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Write the predictions of a batch.

        Raises:
            ValueError: If the model predicts no segmentation.
        """
        for sample in outputs:
            if 'pred_sem_seg' not in sample:
                raise ValueError(
                    f'--out writes segmentations, but {type(runner.model).__name__} predicts none: give the config of '
                    'a probe or of another segmentor'
                )
            ids = sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
            if sample.get('reduce_zero_label'):
                ids = ids + np.uint8(1)
            write_png(self.folder / f'{self._names[sample.img_path]}.png', ids)
