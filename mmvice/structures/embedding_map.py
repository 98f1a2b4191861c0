"""The dense unit embeddings of a batch of images, stored at the decoder's resolution."""

import operator
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmvice.ops import (
    bilinear_argmax,
    bilinear_axis,
    global_region_ids,
    gram_map,
    gram_map_adjoint,
    inverse_lengths,
    largest_magnitude,
    linear_map,
    linear_matrix,
    quadratic_matrix,
    region_sums,
    safe_scale,
    squared_lengths,
    unit_vectors,
)
from mmvice.utils.device import to_device

_ID_DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class EmbeddingMap:
    r"""Unit embeddings of every pixel (Z-hat of Sec. 3.3), materialised only by :meth:`dense`.

    Pixel j of an image has the embedding :math:`u_j / |u_j|`, where :math:`u_j = \sum_k w_{jk} f_k` is the bilinearly
    upsampled feature (``align_corners=False``, any ratio of sizes). Norms, region means, linear maps and samples are
    computed exactly from the low-resolution features. The work per pixel does not depend on D. All results are
    differentiable and computed in fp32 (fp64 for fp64 features), also under autocast.

    Features may have any magnitude. If the largest value of a map is outside 2^-10..2^16, the map is first scaled by a
    power of two, which does not round. If :math:`|u_j|` is then below 1e-12, the pixel has no direction: its embedding
    and its gradient are zero. One value that is not finite makes all norms of its map NaN, and all results that use
    them.

    Norms are computed once. Do not change the features in place afterwards. A second backward pass needs a new map of
    the same features, or ``retain_graph=True`` in the first pass.

    Args:
        features (Tensor): Decoder output (B, D, h, w), of any floating dtype.
        size (Sequence[int]): Size (H, W) of the images.

    Raises:
        TypeError: If ``features`` is not a floating tensor.
        ValueError: If a shape does not fit.

    Example:
        >>> e = EmbeddingMap(torch.randn(2, 8, 4, 6), (16, 24))
        >>> tuple(e.dense().shape), tuple(e.project(torch.randn(3, 8)).shape)
        ((2, 8, 16, 24), (2, 3, 16, 24))
    """

    def __init__(self, features: Tensor, size: Sequence[int]) -> None:
        if not isinstance(features, Tensor) or not features.is_floating_point():
            raise TypeError(f'features must be a floating point tensor, got {_describe(features)}')
        if features.ndim != 4 or 0 in features.shape[1:]:
            raise ValueError(f'features must be (B, D, h, w) with D, h, w >= 1, got shape {tuple(features.shape)}')
        size = _read_integers(size, 'size', '(H, W), two ints')
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'size must be (H, W) with H, W >= 1, got {size}')
        self.features = features
        self.size = size
        self._scale: Tensor | None = None
        self._squared_norms: Tensor | None = None
        self._rows: tuple[Tensor, Tensor] | None = None

    def __repr__(self) -> str:
        batch, dims, height, width = self.features.shape
        return f'EmbeddingMap(batch={batch}, embed_dims={dims}, features={height}x{width}, size={self.size})'

    def __len__(self) -> int:
        return self.features.shape[0]

    @property
    def embed_dims(self) -> int:
        """Number of channels D."""
        return self.features.shape[1]

    def dense(self) -> Tensor:
        """All embeddings (B, D, H, W), of unit length. Only this method needs memory for all of them."""
        with self._full_precision():
            upsampled = F.interpolate(self._scaled_features(), self.size, mode='bilinear', align_corners=False)
            return upsampled * inverse_lengths(upsampled.square().sum(1, keepdim=True))

    def norms(self) -> Tensor:
        """Lengths |u_j| of the upsampled vectors before normalising: (B, H, W)."""
        inverse = inverse_lengths(self._squared_norm_map())
        return self._squared_norm_map() * inverse / self._map_scale().flatten(1)[:, :, None]

    def region_means(self, regions: Tensor, num_regions: Sequence[int], normalize_pixels: bool = True) -> Tensor:
        """Mean embedding of every region (z-star of Alg. 2), not renormalised.

        Args:
            regions: (B, H, W) integer ids 0..num_regions[b]-1, negative for pixels of no region.
            num_regions: B ints.
            normalize_pixels: Average the unit vectors, as in the paper. False averages the upsampled features instead,
                as in the reference code, which normalises afterwards.

        Returns:
            Tensor: (sum(num_regions), D), map by map; zeros for a region without pixels.

        Raises:
            TypeError: If ``regions`` is not a tensor of ids, or ``num_regions`` not a sequence of ints.
            ValueError: If shapes or ids do not fit.
        """
        if not isinstance(regions, Tensor) or regions.dtype not in _ID_DTYPES:
            raise TypeError(
                f'regions must be a tensor of ids, int64, int32, int16, int8 or uint8, got {_describe(regions)}'
            )
        if tuple(regions.shape) != (len(self), *self.size):
            raise ValueError(
                f'regions must have shape {(len(self), *self.size)} (batch and size of this map), '
                f'got {_describe(regions)}'
            )
        num_regions = list(_read_integers(num_regions, 'num_regions', 'one int for each map'))
        if len(num_regions) != len(self) or min(num_regions, default=0) < 0:
            raise ValueError(f'num_regions must hold one int >= 0 for each of {len(self)} maps, got {num_regions}')
        ids = global_region_ids(regions, num_regions)
        with self._full_precision():
            weights = self._inverse_norms() if normalize_pixels else None
            means = region_sums(self._feature_rows(), weights, ids, sum(num_regions), mean=True)
            if normalize_pixels:
                return means
            return means / self._map_scale()[_repeat_index(num_regions, means)].flatten(1)

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Linear map of every embedding, e.g. scores of concepts (Eq. 3) or class logits.

        Args:
            weight: (C, D).
            bias: (C,) or None.

        Returns:
            Tensor: (B, C, H, W) = ``weight @ unit vectors + bias``.
        """
        self._check_weight(weight, bias)
        with self._full_precision():
            projected = linear_map(self._scaled_features(), self._precise(weight))
            projected = F.interpolate(projected, self.size, mode='bilinear', align_corners=False)
            projected = projected * self._inverse_norms().unsqueeze(1)
            return projected if bias is None else projected + self._precise(bias)[:, None, None]

    def argmax(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Index of the best row at every pixel, as ``project(weight, bias).argmax(1)``, but without any of the C maps.

        Args:
            weight: (C, D).
            bias: (C,) or None.

        Returns:
            Tensor: int64 (B, H, W) in 0..C-1; the first of equal scores, and an arbitrary row if features are not
                finite. See :func:`mmvice.ops.bilinear_argmax`.
        """
        self._check_weight(weight, bias)
        with self._full_precision():
            bias = None if bias is None else self._precise(bias)
            return bilinear_argmax(self._scaled_features(), self._precise(weight), bias, self.size)

    def sample(self, batch: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Embeddings at single pixels.

        Args:
            batch: (n,) int64 in 0..B-1.
            y: (n,) int64 in 0..H-1.
            x: (n,) int64 in 0..W-1.

        Returns:
            Tensor: (n, D) unit vectors.

        Raises:
            IndexError: If a pixel is outside the maps, on the CPU. Other devices raise their own indexing errors.
        """
        if y.device.type == 'cpu':
            for name, index, length in (('batch', batch, len(self)), ('y', y, self.size[0]), ('x', x, self.size[1])):
                if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < length:
                    raise IndexError(
                        f'{name} must lie in 0..{length - 1}, got {int(index.min())} to {int(index.max())}'
                    )
        rows = self._feature_rows()
        _, height, width, dims = rows.shape
        lower_y, weight_y = bilinear_axis(height, self.size[0], rows.device, rows.dtype)
        lower_x, weight_x = bilinear_axis(width, self.size[1], rows.device, rows.dtype)
        top, left = lower_y[y], lower_x[x]
        below, right = (top + 1).clamp_max(height - 1), (left + 1).clamp_max(width - 1)
        wy, wx = weight_y[y].unsqueeze(1), weight_x[x].unsqueeze(1)
        upper = rows[batch, top, left] * (1 - wx) + rows[batch, top, right] * wx
        lower = rows[batch, below, left] * (1 - wx) + rows[batch, below, right] * wx
        return unit_vectors(upper * (1 - wy) + lower * wy, dim=1)

    def moments(self, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First and second moment of the embeddings of pixels: mean (D,) and mean outer product (D, D).

        Both are zeros without pixels.

        Args:
            mask: bool (B, H, W), the pixels that count; None for all.
        """
        with self._full_precision():
            rows = self._feature_rows()
            inverse = self._inverse_norms() if mask is None else self._inverse_norms() * mask
            sizes = [*zip(rows.shape[1:3], self.size)]
            linear_y, linear_x = (linear_matrix(*lengths, rows.device, rows.dtype) for lengths in sizes)
            quadratic_y, quadratic_x = (quadratic_matrix(*lengths, rows.device, rows.dtype) for lengths in sizes)
            first = torch.einsum('byx,byxd->d', linear_y.T @ inverse @ linear_x, rows)
            second = gram_map_adjoint(quadratic_y.T @ inverse.square() @ quadratic_x, rows)
            pixels = max(inverse.numel(), 1) if mask is None else mask.sum().clamp_min(1)
            return first / pixels, second / pixels

    def _check_weight(self, weight: Tensor, bias: Tensor | None) -> None:
        for name, value in dict(weight=weight, bias=bias).items():
            if not isinstance(value, Tensor) and not (name == 'bias' and value is None):
                raise TypeError(f'{name} must be a tensor, got {_describe(value)}')
        if weight.ndim != 2 or weight.shape[1] != self.embed_dims or not len(weight):
            raise ValueError(f'weight must be (C, {self.embed_dims}) with C >= 1, got shape {tuple(weight.shape)}')
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(f'bias must be ({len(weight)},) like the rows of weight, got shape {tuple(bias.shape)}')

    def _inverse_norms(self) -> Tensor:
        return inverse_lengths(self._squared_norm_map())

    def _squared_norm_map(self) -> Tensor:
        """|u_j|^2 (B, H, W) of the scaled features."""
        wants_grad = self.features.requires_grad and torch.is_grad_enabled()
        if self._squared_norms is None or (wants_grad and not self._squared_norms.requires_grad):
            with self._full_precision():
                self._squared_norms = squared_lengths(gram_map(self._feature_rows(of_norms=True)), self.size)
        return self._squared_norms

    def _feature_rows(self, of_norms: bool = False) -> Tensor:
        """Scaled low-resolution vectors (B, h, w, D), contiguous, in fp32 or fp64; for the norms, or for other results.

        They are scaled.
        """
        wants_grad = self.features.requires_grad and torch.is_grad_enabled()
        if self._rows is None or (wants_grad and not self._rows[0].requires_grad):
            self._rows = _TwoUses.apply(self._scaled_features().permute(0, 2, 3, 1).contiguous())
        return self._rows[of_norms]

    def _scaled_features(self) -> Tensor:
        """Features (B, D, h, w) in fp32 or fp64, of a magnitude that can be squared; unit embeddings stay."""
        features, scale = self._precise(self.features), self._map_scale()
        if scale.device.type == 'cpu' and bool((scale == 1).all()):  # a GPU would be waited for
            return features
        return features * scale

    def _map_scale(self) -> Tensor:
        """The power of two (B, 1, 1, 1) that scales the features of each map; 1 for usual magnitudes."""
        if self._scale is None:
            with torch.inference_mode(False):
                largest = largest_magnitude(self.features, (1, 2, 3))
                self._scale = safe_scale(self._precise(largest))
        return self._scale

    @property
    def _precise_dtype(self) -> torch.dtype:
        return torch.float64 if self.features.dtype == torch.float64 else torch.float32

    def _precise(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._precise_dtype)

    def _full_precision(self) -> torch.autocast:
        return torch.autocast(self.features.device.type, enabled=False)


class _TwoUses(torch.autograd.Function):
    """Returns the rows twice, so that their two large gradients are added in place."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        return rows.view_as(rows), rows.view_as(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor | None, grad_of_norms: Tensor | None) -> Tensor | None:
        if grad is None or grad_of_norms is None:
            return grad_of_norms if grad is None else grad
        return grad_of_norms.add_(grad)  # which gram_map has made, and nobody else holds


def _repeat_index(counts: Sequence[int], like: Tensor) -> Tensor:
    """0 ``counts[0]`` times, then 1 ``counts[1]`` times, and so on."""
    return to_device(torch.from_numpy(np.repeat(np.arange(len(counts)), counts)), like.device)


def _read_integers(values: Sequence[int], name: str, wanted: str) -> tuple[int, ...]:
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        raise TypeError(f'{name} must be {wanted}, got {values!r}') from None


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f'a {value.dtype} tensor of shape {tuple(value.shape)}'
    return type(value).__name__
