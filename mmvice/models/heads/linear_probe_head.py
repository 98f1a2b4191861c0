"""A linear map from frozen embeddings to classes."""

from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from mmvice.models.utils import labelled_accuracy
from mmvice.ops import num_processes
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.utils.device import has_double, to_double

_PIXELS_PER_CHANNEL = 1000  # that a covariance is estimated from
_DOUBLE_CHANNELS = 256  # of which moments are still computed in fp64

Masked = tuple[EmbeddingMap, Tensor | None]
"""Embeddings, and the pixels (B, H, W) of them that count; None for all."""


@MODELS.register_module()
class LinearProbeHead(BaseDecodeHead):
    """Linear probe of dense embeddings (Sec. 4.3): D -> classes, or D -> L -> classes with batch norm in between.

    There is no nonlinearity, so both forms are one linear map of an embedding. With L filters, batch norm's statistics
    of the filter outputs follow exactly from the mean and covariance of the embeddings, so that neither training nor
    inference ever makes the L-channel map. In distributed training the statistics are those of all processes. They come
    from sums in fp64. For more than 256 channels, where fp64 takes long, and on devices without fp64, they come from
    sums in fp32; the embeddings should then not lie within 1e-2 of one vector.

    Embeddings lie close together, in few directions, so that gradient descent gets to the best linear map very slowly:
    on CamVid a probe of 500 steps lacked up to 9 points of mIoU, and fewer the more filters it had. With ``whiten`` the
    weights are those of whitened embeddings, which are the same linear maps, and learned in hundreds of steps. The
    paper's probe has no whitening and 12000 steps.

    Args:
        in_channels (int): Channels D of an embedding.
        num_classes (int): Number of classes.
        num_filters (int, optional): Number of filters L; None for the plain map. Defaults to None.
        norm_momentum (float): Momentum of batch norm's running statistics. Defaults to 0.1.
        norm_eps (float): Epsilon of batch norm. Defaults to 1e-5.
        whiten (bool): Learn the map in the coordinates in which the embeddings of the first training batches have
            covariance 1, with 0.1 % of the mean variance added in every direction; for a frozen embedder. It takes as
            many batches as have 1000 pixels for each channel, a rule of thumb: the first alone, or several of small
            images and many channels. A training that is resumed before it has seen them fits them anew. Defaults to
            False.
        kwargs: As for MMSegmentation's ``BaseDecodeHead``: ``loss_decode``, ``ignore_index``, ``sampler`` and the rest.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_filters: int | None = None,
        norm_momentum: float = 0.1,
        norm_eps: float = 1e-5,
        whiten: bool = False,
        **kwargs,
    ) -> None:
        if num_filters is not None and (not isinstance(num_filters, int) or num_filters < 1):
            raise ValueError(
                f'num_filters must be a whole number of at least 1, or None for the plain map, got {num_filters!r}'
            )
        super().__init__(
            in_channels,
            channels=num_filters or in_channels,
            num_classes=num_classes,
            out_channels=num_classes,
            dropout_ratio=0,
            **kwargs,
        )
        self.num_filters = num_filters
        if num_filters:
            self.filters = nn.Conv2d(in_channels, num_filters, 1, bias=False)
            self.norm = nn.BatchNorm2d(num_filters, eps=norm_eps, momentum=norm_momentum)
        self.whiten = whiten
        if whiten:
            self.register_buffer('center', torch.zeros(in_channels))
            self.register_buffer('whitening', torch.eye(in_channels))
            self.register_buffer('is_fitted', torch.tensor(False))
        self._known_fitted = False  # so that the host no longer waits for the buffer
        self._sums: Tensor | None = None  # of the batches that it is being fitted to

    @property
    def embed_dims(self) -> int:
        """Number of channels D that the probe takes."""
        return self.in_channels

    def forward(self, embeddings: EmbeddingMap) -> Tensor:
        """Class logits (B, classes, H, W) of every pixel of the images."""
        return embeddings.project(*self.linear_map(embeddings if self.training else None))

    @torch.no_grad()
    def classify(self, embeddings: EmbeddingMap) -> Tensor:
        """Class of every pixel, int64 (B, H, W), without the maps of logits."""
        return embeddings.argmax(*self.linear_map())

    def loss(
        self, inputs: EmbeddingMap | Sequence[EmbeddingMap], batch_data_samples: SampleList, train_cfg: ConfigType
    ) -> dict[str, Tensor]:
        """Losses over the pixels of a batch; those that only pad an image to the size of others do not count.

        Args:
            inputs: Embeddings of images of one size, or a sequence of those for several sizes.
            batch_data_samples: Samples with ``gt_sem_seg``, in the order of the maps.
            train_cfg: Not used.
        """
        maps = [inputs] if isinstance(inputs, EmbeddingMap) else list(inputs)
        paddings = [sample.get('padding_size', (0, 0, 0, 0)) for sample in batch_data_samples]
        if len(maps) == 1 and not any(map(any, paddings)):
            return self.loss_by_feat(self.forward(maps[0]), batch_data_samples)
        masks = _unpadded(maps, paddings)
        weight, bias = self.linear_map([*zip(maps, masks)] if self.training else None)
        logits = torch.cat([e.project(weight, bias).movedim(1, -1)[mask] for e, mask in zip(maps, masks)])
        labels = [sample.gt_sem_seg.data.squeeze(0) for sample in batch_data_samples]
        kept = torch.cat([part[mask] for part, mask in zip(labels, (mask for group in masks for mask in group))])
        row = SegDataSample(gt_sem_seg=PixelData(data=kept[None, None]))
        return self.loss_by_feat(logits.T[None, :, None], [row])

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """MMSegmentation's losses of logits (B, classes, H, W), with :func:`labelled_accuracy`."""
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
        return labelled_accuracy(losses, batch_data_samples, self.ignore_index)

    def linear_map(self, embeddings: EmbeddingMap | Sequence[Masked] | None = None) -> tuple[Tensor, Tensor]:
        """The probe as one linear map: weight (classes, D) and bias (classes,).

        Args:
            embeddings: Batch whose statistics batch norm uses, and takes into its running ones: a map, or maps with
                masks of the pixels that count. None for the running statistics themselves, as at inference.
        """
        classify = self.conv_seg.weight.flatten(1)
        if isinstance(embeddings, EmbeddingMap):
            embeddings = [(embeddings, None)]
        with torch.autocast(classify.device.type, enabled=False):
            if self.whiten and embeddings is not None and not self._known_fitted:
                self._known_fitted = bool(self.is_fitted)
                if self._known_fitted:
                    self._sums = None
                else:
                    self._fit_whitening(embeddings)
            if self.num_filters:
                filters = self._of_embeddings(self.filters.weight.flatten(1))
                if embeddings is None:
                    mean, variance = self.norm.running_mean, self.norm.running_var
                else:
                    mean, variance = self._batch_statistics(embeddings, filters)
                scale = self.norm.weight * (variance + self.norm.eps).rsqrt()
                weight = classify * scale @ filters
                bias = classify @ (self.norm.bias - scale * mean) + self.conv_seg.bias
            else:
                weight, bias = self._of_embeddings(classify), self.conv_seg.bias
            return weight, bias - weight @ self.center if self.whiten else bias

    def _of_embeddings(self, weight: Tensor) -> Tensor:
        """A linear map (n, D) of whitened embeddings as one of embeddings less the center."""
        return weight @ self.whitening if self.whiten else weight

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Load, if the weights are of the same coordinates.

        Raises:
            ValueError: If one is whitened and the other is not: the same weights are another map then.
        """
        if f'{prefix}conv_seg.weight' in state_dict:
            if (f'{prefix}whitening' in state_dict) != self.whiten:
                raise ValueError(
                    f'the weights of the probe are of whiten={not self.whiten}, the config has whiten={self.whiten}: '
                    f'set model.decode_head.whiten={not self.whiten}'
                )
            self._known_fitted = False
            self._sums = None  # a whitening that was not fitted to the end is fitted anew
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.no_grad()
    def _fit_whitening(self, embeddings: Sequence[Masked]) -> None:
        """Find the coordinates: those in which the batches so far, of all processes, have covariance 1."""
        first, second, count = (to_double(value) for value in _moments(embeddings))
        sums = torch.cat([first * count, (second * count).flatten(), count])
        self._sums = sums if self._sums is None else self._sums + sums
        count, dims = self._sums[-1], self.in_channels
        first, second = self._sums[:dims] / count, self._sums[dims:-1].view(dims, dims) / count
        variances, directions = torch.linalg.eigh(second - torch.outer(first, first))
        variances = variances.clamp_min(0)
        scale = (variances + 1e-3 * variances.mean().clamp_min(1e-6)).rsqrt()
        self.center.copy_(first)
        self.whitening.copy_(directions * scale @ directions.T)
        self.is_fitted.copy_(count >= _PIXELS_PER_CHANNEL * dims)

    def _batch_statistics(self, embeddings: Sequence[Masked], filters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (L,) of the filter outputs over all pixels of the batch."""
        first, second, count = _moments(embeddings)
        covariance = (second - torch.outer(first, first)).to(filters.dtype)
        if self.whiten:  # else running means would have to follow what a changing filter makes of the center
            first = first - self.center
        first, count = first.to(filters.dtype), count.to(filters.dtype)
        mean = filters @ first
        variance = ((filters @ covariance) * filters).sum(1).clamp_min(0)
        with torch.no_grad():
            norm = self.norm
            norm.running_mean.lerp_(mean.detach(), norm.momentum)
            norm.running_var.lerp_(variance.detach() * count / (count - 1).clamp_min(1), norm.momentum)
            norm.num_batches_tracked += 1
        return mean, variance


def _unpadded(maps: Sequence[EmbeddingMap], paddings: Sequence[Sequence[int]]) -> list[Tensor]:
    """For every map the pixels (B, H, W) of the images themselves; paddings are left, right, top and bottom."""
    masks, rest = [], iter(paddings)
    for e in maps:
        height, width = e.size
        mask = torch.zeros(len(e), height, width, dtype=torch.bool, device=e.features.device)
        for part, (left, right, top, bottom) in zip(mask, rest):
            part[top : height - bottom, left : width - right] = True
        masks.append(mask)
    return masks


def _moments(embeddings: Sequence[Masked]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), mean outer product (D, D) and number (1,) of the pixels of all maps and all processes."""
    parts = []
    for e, mask in embeddings:
        # a variance is the small difference of two moments
        if e.embed_dims <= _DOUBLE_CHANNELS and has_double(e.features.device):
            e = EmbeddingMap(e.features.double(), e.size)
        first, second = e.moments(mask)
        count = first.new_full((1,), len(e) * e.size[0] * e.size[1]) if mask is None else mask.sum()[None].to(first)
        parts.append((first, second, count))
    if len(parts) == num_processes() == 1:
        return parts[0]
    dims = embeddings[0][0].embed_dims
    sums = sum(torch.cat([first * count, (second * count).flatten(), count]) for first, second, count in parts)
    if num_processes() > 1:
        # losses of all processes depend on these, so that their gradients are to be summed, too
        sums = all_reduce(sums)
    count = sums[-1:]
    return sums[:dims] / count, sums[dims:-1].reshape(dims, dims) / count, count
