"""Batch norms as what they are: an affine map per channel.

In eval mode the map is fixed, in train mode the batch decides it. Either way
a gate behind the norm can be multiplied into the map, so that nobody needs
norm(y): gate * norm(y) = (gate * scale) * y + gate * shift.
"""

from typing import Optional, Union

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .ops import batch_statistics, plain_only, spatial_mean


def affine(norm: nn.Module) -> Optional[tuple[Tensor, Tensor]]:
    """Scale and shift of a batch norm in eval mode; None for other norms."""
    if (
        not isinstance(norm, _BatchNorm)
        or norm.weight is None
        or norm.bias is None
        or norm.running_mean is None
        or norm.running_var is None
    ):
        return None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def is_affine(norm: nn.Module) -> bool:
    """Whether :func:`affine_on` can take the place of calling ``norm``.

    It can for PyTorch's own classes (others may do more in their forward
    pass), with weights that hold enough digits. SyncBN's batch is spread over
    processes: it is taken in eval mode alone.
    """
    kinds = (nn.BatchNorm2d,) if norm.training else BATCH_NORMS
    return (
        type(norm) in kinds
        and norm.weight is not None
        and norm.bias is not None
        and norm.weight.dtype in (torch.float32, torch.float64)
        and norm.running_mean is not None
        # Some switch it off for a pass that shall leave no trace.
        and (bool(norm.track_running_stats) or not norm.training)
    )


BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def affine_on(
    norm: _BatchNorm, y: Tensor, means: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Optional[Tensor]]:
    """The map that ``norm`` is on ``y``, as a differentiable scale and shift.

    A norm that trains also updates its running statistics, as in a forward
    pass. Scale and shift have the precision of the norm's weights, also
    where ``y`` is in half precision.

    Args:
        norm (nn.Module): See :func:`is_affine`.
        y (Tensor): (N, C, H, W).
        means (Tensor, optional): Mean of ``y`` over height and width, (N, C),
            if it is known; else it is calculated.

    Returns:
        tuple: scale (C,), shift (C,), the means, the ``y`` to apply scale
        and shift to, and the norm's own output on it, without a graph, to be
        written into; None where PyTorch's own operations do everything.
    """
    if means is None:
        means = spatial_mean(y)
    if norm.training and y.numel() == y.shape[1]:
        norm(y)  # PyTorch's error: one value per channel has no variance
    if plain_only(y):
        return *_map_in_plain_operations(norm, y), means, y, None
    with torch.no_grad():
        out, mean, invstd = _call(norm, y)
    if not norm.training:
        fixed = affine(norm)
        assert fixed is not None
        return *fixed, means, y, out
    mean, invstd, y = batch_statistics(y, means.mean(0), mean, invstd)
    scale = norm.weight * invstd
    return scale, norm.bias - mean * scale, means, y, out


def _map_in_plain_operations(norm, y):
    if not norm.training:
        return affine(norm)
    statistics = y.to(norm.weight.dtype)
    var, mean = torch.var_mean(statistics, (0, 2, 3), correction=0)
    with torch.no_grad():
        count = y.numel() // y.shape[1]
        momentum = _count_batch(norm)
        unbiased = var * (count / (count - 1))
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)
    scale = norm.weight / torch.sqrt(var + norm.eps)
    return scale, norm.bias - mean * scale


def _count_batch(norm) -> Union[float, Tensor]:
    """Weight of this batch in the running statistics."""
    norm.num_batches_tracked.add_(1)
    if norm.momentum is not None:
        return norm.momentum
    # The mean over all batches; a GPU's count stays on the GPU.
    return 1 / norm.num_batches_tracked.to(norm.running_mean.dtype)


def _call(norm, y):
    """Output, mean and 1 / sqrt(variance + eps) of ``norm`` on ``y``."""
    running = norm.running_mean, norm.running_var
    momentum = 0.0
    if norm.training:
        momentum = _count_batch(norm)
    if isinstance(momentum, Tensor):
        # The kernel wants a number: it writes aside what the batch gives.
        batch = [torch.zeros_like(value) for value in running]
        result = torch.native_batch_norm(
            y, norm.weight, norm.bias, *batch, True, 1.0, norm.eps
        )
        for value, new in zip(running, batch):
            value.lerp_(new, momentum)
        return result
    return torch.native_batch_norm(
        y, norm.weight, norm.bias, *running, norm.training, momentum, norm.eps
    )
