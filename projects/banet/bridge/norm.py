"""Batch norms as what they are: an affine map per channel.

In eval mode the map is fixed, in train mode the batch decides it. Either way
a gate behind the norm can be multiplied into the map, so that the backward
pass needs no norm(y): gate * norm(y) = (gate * scale) * y + gate * shift.
"""

from typing import Optional

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .ops import batch_statistics


def is_fixed(norm: nn.Module) -> bool:
    """Whether ``norm`` is one affine map for all images.

    Known of PyTorch's own classes: others may do more in their forward pass.
    """
    return type(norm) is nn.Identity or (
        type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm)
        and not norm.training
        and norm.running_mean is not None
    )


def affine(norm: nn.Module) -> Optional[tuple[Tensor, Tensor]]:
    """Scale and shift of a batch norm in eval mode; None for other norms."""
    if (
        not isinstance(norm, _BatchNorm)
        or norm.weight is None
        or norm.running_mean is None
        or norm.running_var is None
    ):
        return None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def is_affine_here(norm: nn.Module, y: Tensor) -> bool:
    """Whether :func:`affine_on` can take the place of ``norm(y)``.

    It can for PyTorch's own BatchNorm2d. In full precision only: half would
    lose digits of the variance's derivative. On the CPU only, where it was
    measured to be faster.
    """
    return (
        type(norm) is nn.BatchNorm2d
        and norm.affine
        and norm.running_mean is not None
        and y.device.type == 'cpu'
        and y.dtype == norm.weight.dtype == norm.running_mean.dtype
        and y.dtype in (torch.float32, torch.float64)
        and y.numel() > y.shape[1]  # else torch names what is missing
    )


def affine_on(
    norm: nn.BatchNorm2d, y: Tensor, means: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The map that ``norm`` is on ``y``, as a differentiable scale and shift.

    A norm that trains also updates its running statistics, as in a forward
    pass.

    Args:
        norm (nn.BatchNorm2d): See :func:`is_affine_here`.
        y (Tensor): (N, C, H, W).
        means (Tensor): Mean of ``y`` over height and width, (N, C).

    Returns:
        tuple: scale (C,), shift (C,), the ``y`` to apply them to, and the
        norm's own output on it, without a graph.
    """
    momentum = norm.momentum
    if norm.training:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        if momentum is None:  # the mean over all batches
            momentum = 1 / norm.num_batches_tracked.item()
    with torch.no_grad():
        out, mean, invstd = torch.native_batch_norm(
            y,
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
            norm.training,
            momentum or 0.0,
            norm.eps,
        )
    if not norm.training:
        fixed = affine(norm)
        assert fixed is not None
        return *fixed, y, out
    mean, invstd, y = batch_statistics(y, means.mean(0), mean, invstd)
    scale = norm.weight * invstd
    return scale, norm.bias - mean * scale, y, out
