"""Batch norm over the batches of all processes on the CPU, which torch lacks."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from mmvice.ops import num_processes


# In MMEngine's own registry, as SyncBN is: it is found there whatever the default scope.
@MODELS.register_module('CPUSyncBN')
class CPUSyncBatchNorm(_BatchNorm):
    """``torch.nn.SyncBatchNorm`` for processes without an accelerator: the same arguments, state and results.

    In training the statistics are those of the batches of all processes in the default process group. Batches may
    differ in size. Gradients flow through the statistics. In evaluation, or with one process, this is plain batch norm.

    Args:
        num_features (int): Channels C of the input (N, C, ...).
        eps (float): Added to the variance. Defaults to 1e-5.
        momentum (float, optional): Of the running statistics; None for their cumulative average. Defaults to 0.1.
        affine (bool): Whether to learn a scale and a shift. Defaults to True.
        track_running_stats (bool): Whether to keep running statistics. Defaults to True.

    Raises:
        ValueError: If the batches of all processes have only one value per channel, which has no variance.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f'expected an input of at least 2 dimensions (N, C, ...), got shape {tuple(input.shape)}')

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, ...), keeping shape and dtype."""
        if not self.training or num_processes() == 1:
            return super().forward(input)
        self._check_input_dim(input)
        mean, variance, count = _joint_statistics(input.detach())
        if self.track_running_stats:
            self._track(mean, variance * count / (count - 1))
        return _Normalize.apply(input, self.weight, self.bias, mean, variance, count, self.eps)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(variance.to(self.running_var), momentum)


def _joint_statistics(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance (C,) of each channel over all processes, and the number of values in a channel.

    The moments of the parts are merged as by Chan et al., without the cancellation in E[x^2] - E[x]^2.
    """
    dtype = x.dtype if x.dtype == torch.float64 else torch.float32
    own = torch.zeros(2 * x.shape[1] + 1, dtype=torch.float64)
    if x.numel():
        variance, mean = torch.var_mean(x.to(dtype), dim=[0, *range(2, x.ndim)], correction=0)
        own = torch.cat([mean.double(), variance.double(), own.new_tensor([x.numel() // x.shape[1]])])
    parts = [torch.empty_like(own) for _ in range(num_processes())]
    dist.all_gather(parts, own)
    means, variances, counts = torch.stack(parts).split([x.shape[1], x.shape[1], 1], dim=1)
    count = int(counts.sum())
    if count < 2:
        raise ValueError(f'batch norm in training needs more than one value per channel, got {count} in all processes')
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return mean.to(dtype), variance.to(dtype), count


class _Normalize(Function):
    """Batch norm with given statistics; its gradient accounts for the inputs of all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: int,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps = count, eps
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        through_x, *_ = needed = ctx.needs_input_grad[:3]
        if x.numel():
            grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
                grad, x, weight, mean, variance, None, None, False, ctx.eps, [through_x, True, True]
            )
        else:  # which torch divides by
            grad_x, grad_weight, grad_bias = x, torch.zeros_like(mean), torch.zeros_like(mean)
        if through_x:
            # dL/dx = w / s * (dy - mean(dy) - x^ * mean(dy * x^)), with the means over all processes
            sums = torch.stack([grad_weight, grad_bias]).to(mean.dtype)
            dist.all_reduce(sums)
            scale = (variance + ctx.eps).rsqrt() * (1 if weight is None else weight)
            of_scaled, of_plain = sums * scale / ctx.count
            grad_x = grad_x - F.batch_norm(x, mean, variance, of_scaled, of_plain, eps=ctx.eps).to(grad_x.dtype)
        own = (value if wanted else None for value, wanted in zip((grad_x, grad_weight, grad_bias), needed))
        return (*own, None, None, None, None)
