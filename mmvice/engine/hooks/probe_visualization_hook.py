"""Predictions of probes beside the truth."""

import os.path as osp
import warnings
from collections.abc import Sequence
from inspect import signature

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.structures import SegDataSample

from mmvice.datasets.image_names import image_output_names
from mmvice.registry import HOOKS
from mmvice.utils.counts import counted
from mmvice.utils.reading import decoding_of, read_image
from mmvice.visualization import LocalVisBackend

_LABELLED_SIDE = 200


@HOOKS.register_module()
class ProbeVisualizationHook(SegVisualizationHook):
    """MMSegmentation's hook, which also draws images that are not files.

    It draws image, truth and prediction side by side. If ``img_path`` is not a file, as for rendered scenes, it uses
    the image of the data batch. It reads a file with the black and white values of its data loader. It resizes the
    image to the size of the prediction. Small pictures have no class names. The pictures of a test have the names and
    subfolders of the images; those of a validation also have the step.

    Args:
        draw (bool): Whether to draw; ``--show`` and ``--show-dir`` of ``tools/test.py`` set it. Defaults to False.
        interval (int): Validation iterations between two drawings. Defaults to 50.
        show (bool): Open a window instead of storing the picture. Defaults to False.
        wait_time (float): Seconds to show a picture. Defaults to 0.
        backend_args (dict, optional): File backend of the images. Defaults to None.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: dict | None = None,
    ) -> None:
        with warnings.catch_warnings():
            # that nothing is drawn is the default of every config here, not news
            warnings.filterwarnings('ignore', message='The draw is False')
            super().__init__(draw, interval, show, wait_time, backend_args)
        self._names: dict[str, str] = {}
        self._drawn: set[str] = set()
        self._decoding: dict = {}

    def before_val(self, runner: Runner) -> None:
        """Name the pictures."""
        if self.draw:
            self._prepare(runner, 'val_dataloader')

    def before_test(self, runner: Runner) -> None:
        """Name the pictures."""
        if self.draw:
            self._drawn.clear()
            self._prepare(runner, 'test_dataloader')

    def _prepare(self, runner: Runner, loader: str) -> None:
        self._names = image_output_names(getattr(runner, loader).dataset)
        self._decoding = decoding_of(runner.cfg, loader)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw the first image of the batch every ``interval`` iterations."""
        if not self.draw:
            return
        step = runner.iter + batch_idx
        if step % self.interval == 0:
            self._draw('val/', data_batch, 0, outputs[0], step)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[SegDataSample]
    ) -> None:
        """Draw every image of the batch."""
        if not self.draw:
            return
        for index, data_sample in enumerate(outputs):
            self._draw('', data_batch, index, data_sample, None)

    def after_test(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the number of pictures of all processes and their folder."""
        if not self.draw:
            return
        drawn = {name for names in all_gather_object(self._drawn) for name in names}
        for backend in self._visualizer._vis_backends.values():
            if isinstance(backend, LocalVisBackend):
                written = counted(len(drawn), 'picture')
                print_log(f'Wrote {written} to {backend.image_folder}', logger='current')

    def _draw(self, folder: str, data_batch: dict, index: int, data_sample: SegDataSample, step: int | None) -> None:
        image = self._image(data_batch, index, data_sample.img_path)
        height, width = data_sample.pred_sem_seg.shape[-2:]
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        # class names would cover a small picture; MMSegmentation before 1.4 cannot put the image beside the others
        options = dict(with_image=True, with_labels=min(height, width) >= _LABELLED_SIDE)
        known = signature(self._visualizer.add_datasample).parameters
        name = folder + _writable(self._names[data_sample.img_path])
        self._drawn.add(name)
        self._visualizer.add_datasample(
            name,
            image,
            data_sample=data_sample,
            show=self.show,
            wait_time=self.wait_time,
            step=step,
            **{name: value for name, value in options.items() if name in known},
        )

    def _image(self, data_batch: dict, index: int, path: str) -> np.ndarray:
        """The image, RGB uint8 (H, W, 3)."""
        if self.backend_args is not None or osp.isfile(path):
            return np.ascontiguousarray(read_image(path, self.backend_args, **self._decoding)[..., ::-1])
        inputs, samples = data_batch['inputs'], data_batch['data_samples']
        if isinstance(inputs[0], (list, tuple)):  # test-time augmentation: one batch for each
            chosen = next((i for i, batch in enumerate(samples) if not batch[index].get('flip', False)), 0)
            inputs = inputs[chosen]
        pixels = inputs[index].detach().cpu()
        if pixels.dtype != torch.uint8:
            pixels = pixels.round().clamp(0, 255).byte()
        return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()[..., ::-1])


def _writable(name: str) -> str:
    """A name without bytes that are not UTF-8, on which OpenCV would crash as it writes the pictures."""
    return name.encode('utf-8', 'replace').decode()
