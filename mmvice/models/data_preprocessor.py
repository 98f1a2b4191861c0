"""Collating, normalising and masking of views on the device."""

from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from mmvice.registry import MODELS
from mmvice.structures import ViewsDataSample
from mmvice.utils.device import to_device


@MODELS.register_module()
class ViCEDataPreprocessor(SegDataPreProcessor):
    """Turns packed views into one batch of normalised images; treats single images like MMSegmentation.

    Images of several sizes are not padded to a common size. Each is treated as a separate batch, so its result does not
    depend on the other images. Only ``size`` or ``size_divisor`` pad, in testing those of ``test_cfg``.

    Views (M, 3, h, w) of N images become (N*M, 3, h, w), image-major (b = n*M + m). After normalisation, noise that is
    uniform in [-1, 1] replaces the pixels under ``view_masks`` (Sec. 3.2). Each sample has its own generator on the
    device, seeded with its ``noise_seed``. The noise therefore does not depend on the rest of the batch or the number
    of processes, and is the same in a resumed run.

    The host does not wait for the device. Batches should be in page-locked memory: with ``pin_memory=True``, a separate
    thread of the dataloader copies them there. Other batches are copied there first.

    Args:
        kwargs: As for MMSegmentation's ``SegDataPreProcessor``: ``mean``, ``std``, ``bgr_to_rgb`` and the rest.
    """

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Preprocess a batch.

        Args:
            data: ``inputs``, a list of uint8 tensors (M, 3, h, w) (views) or (3, H, W) (images), and ``data_samples``.
            training: Passed on to MMSegmentation's preprocessor for single images.

        Returns:
            dict: ``inputs`` (B, 3, h, w) float, or a list of (3, h, w) for images of several sizes; ``data_samples``.

        Raises:
            ValueError: If the samples of a batch have views of different numbers or sizes.
        """
        if data['inputs'][0].ndim != 4:
            return self._single_images(data, training)
        data = self.cast_data(data)
        views, samples = data['inputs'], data.get('data_samples')
        shapes = {tuple(v.shape) for v in views}
        if len(shapes) > 1:
            raise ValueError(
                f'all samples of a batch must have the same number and size of views, got {sorted(shapes)}'
            )
        views = torch.stack(list(views)).flatten(0, 1)
        if self._channel_conversion:
            views = views.flip(1)
        views = views.float()
        if self._enable_normalize:
            views = (views - self.mean) / self.std
        if samples is not None and any('view_masks' in s for s in samples):
            views = self._mask_with_noise(views, samples)
        return dict(inputs=views, data_samples=samples)

    def _single_images(self, data: dict, training: bool) -> dict[str, Any]:
        if len({image.shape[-2:] for image in data['inputs']}) == 1:
            return super().forward(data, training)
        samples = data.get('data_samples') or [None] * len(data['inputs'])
        alone = [
            super(ViCEDataPreprocessor, self).forward(
                dict(inputs=[image], data_samples=None if sample is None else [sample]), training
            )
            for image, sample in zip(data['inputs'], samples)
        ]
        inputs = [part['inputs'][0] for part in alone]
        if len({image.shape for image in inputs}) == 1:
            inputs = torch.stack(inputs)
        samples = None if samples[0] is None else [part['data_samples'][0] for part in alone]
        return dict(inputs=inputs, data_samples=samples)

    def cast_data(self, data: Any) -> Any:
        """Copy the tensors of a batch to the device asynchronously."""
        if isinstance(data, Tensor):
            return to_device(data, self.device)
        if isinstance(data, ViewsDataSample) and self.device.type == 'cuda':
            return data.pin_memory().to(self.device, non_blocking=True)
        return super().cast_data(data)

    def _mask_with_noise(self, views: Tensor, samples: list[ViewsDataSample]) -> Tensor:
        blank = torch.zeros_like(samples[0].regions, dtype=torch.bool)
        masks = torch.stack([s.get('view_masks', blank) for s in samples]).flatten(0, 1).unsqueeze(1)
        generator, noise = torch.Generator(views.device), torch.empty_like(views)
        for sample, part in zip(samples, noise.chunk(len(samples))):
            part.uniform_(-1, 1, generator=generator.manual_seed(sample.metainfo.get('noise_seed', 0)))
        return torch.where(masks, noise, views)
