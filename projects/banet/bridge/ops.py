"""The operations on maps that attention adds to a residual block, made cheap:
memory traffic, not arithmetic, is what channel attention costs.

Each equals the plain expression that its docstring gives, also in its second
derivatives. A compiler fuses plain expressions by itself, so under
torch.compile and tracing those are what runs.
"""

from typing import Optional

import torch
from torch import Tensor
from torch.autograd import forward_ad, Function
from torch.fx import Proxy

# torch 2.1 and 2.2 have it elsewhere.
is_compiling = (
    torch.compiler.is_compiling
    if hasattr(torch.compiler, 'is_compiling')
    else torch._dynamo.is_compiling
)


def is_symbolic(x: Tensor) -> bool:
    """Whether ``x`` stands for a tensor: a tracer runs, sizes are unknown."""
    return torch.jit.is_tracing() or isinstance(x, Proxy)


def plain_only(x: Tensor) -> bool:
    """Whether nothing but torch's own operations may touch ``x``.

    Compilers and tracers (torch.compile, torch.export, torch.fx, jit) see
    through them and fuse by themselves; torch.func and forward-mode
    differentiation know the derivatives of no others.
    """
    return (
        is_compiling()
        or is_symbolic(x)
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


HALF = (torch.float16, torch.bfloat16)


def full(dtype: torch.dtype) -> torch.dtype:
    """The precision in which statistics of maps of ``dtype`` are taken."""
    return torch.float32 if dtype in HALF else dtype


class _SpatialMean(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return x.mean((2, 3), dtype=full(x.dtype))

    @staticmethod
    def backward(ctx, grad):
        # PyTorch's own backward writes a tensor of the size of x here.
        pixels = ctx.shape[2] * ctx.shape[3]
        grad = (grad / pixels).to(ctx.dtype)
        return grad[:, :, None, None].expand(ctx.shape)


def spatial_mean(x: Tensor) -> Tensor:
    """``x.mean((2, 3))``: (N, C, H, W) -> (N, C).

    Of half-precision maps in float32, as batch norm takes its statistics.
    """
    if not plain_only(x) and torch.is_grad_enabled() and x.requires_grad:
        return _SpatialMean.apply(x)
    # A tracer's stand-in has no dtype to ask for.
    half = not is_symbolic(x) and x.dtype in HALF
    return x.mean((2, 3), dtype=torch.float32) if half else x.mean((2, 3))


class _GatedAdd(Function):
    @staticmethod
    def forward(ctx, shortcut, gate, x):
        ctx.save_for_backward(gate, x)
        return torch.addcmul(shortcut, gate, x)

    @staticmethod
    def backward(ctx, grad):
        gate, x = ctx.saved_tensors
        grad_gate = None
        if ctx.needs_input_grad[1]:
            grad_gate = (grad * x).sum((2, 3), keepdim=True)
        return grad, grad_gate, grad * gate


def gated_add(
    shortcut: Tensor, gate: Tensor, x: Tensor, inplace: bool = False
) -> Tensor:
    """``shortcut + gate * x`` in one pass.

    Args:
        shortcut (Tensor): (N, C, H, W).
        gate (Tensor): (N, C, 1, 1).
        x (Tensor): (N, C, H, W).
        inplace (bool): Nobody else has seen ``x``: its memory takes the
            result where no gradient is wanted. Defaults to False.
    """
    if plain_only(x) or not shortcut.dtype == gate.dtype == x.dtype:
        return shortcut + gate * x
    if torch.is_grad_enabled() and (
        shortcut.requires_grad or gate.requires_grad or x.requires_grad
    ):
        return _GatedAdd.apply(shortcut, gate, x)
    return torch.addcmul(shortcut, gate, x, out=x if inplace else None)


class _GatedNormAdd(Function):
    @staticmethod
    def forward(ctx, shortcut, scale, shift, x, gate, norm_of_x):
        ctx.save_for_backward(scale, x)
        ctx.mark_dirty(norm_of_x)
        gate = gate.to(x.dtype)[:, :, None, None]
        return torch.addcmul(shortcut, gate, norm_of_x, out=norm_of_x)

    @staticmethod
    def backward(ctx, grad):
        scale, x = ctx.saved_tensors
        grad_shift, grad_scale = _channel_sums(grad, x)
        grad_x = None
        if ctx.needs_input_grad[3]:
            grad_x = grad * scale.to(grad.dtype)[:, :, None, None]
        return grad, grad_scale, grad_shift, grad_x, None, None


def _channel_sums(grad, x):
    """Sums over height and width of grad and grad * x, each (N, C)."""
    n, c, h, w = x.shape
    # Batch norm's backward pass takes both sums in one pass, per channel: an
    # image and channel count as one, or the images go in one by one.
    if x.is_contiguous():
        parts = [[t.reshape(1, n * c, h, w) for t in (grad, x)]]
    else:
        parts = list(zip(grad.split(1), x.split(1)))
    second = torch.is_grad_enabled()
    if second or (len(parts) > 1 and x.device.type != 'cpu'):
        # Second derivatives; and a GPU waits for calls, not for memory.
        dtype = full(x.dtype)
        return [t.sum((2, 3), dtype=dtype) for t in (grad, grad * x)]
    sums = []
    for grad, x in parts:
        zeros = x.new_zeros(x.shape[1], dtype=full(x.dtype))
        ones = torch.ones_like(zeros)
        _, dot, total = torch.ops.aten.native_batch_norm_backward(
            grad,
            x,
            ones,
            None,
            None,
            zeros,
            ones,
            True,
            0.0,
            [False, True, True],
        )
        sums.append((total, dot))
    return [torch.cat(s).view(n, c) for s in zip(*sums)]


def gated_norm_add(
    shortcut: Tensor,
    gate: Tensor,
    scale: Tensor,
    shift: Tensor,
    x: Tensor,
    norm_of_x: Optional[Tensor],
) -> Tensor:
    """``shortcut + gate * (scale * x + shift)``.

    Args:
        shortcut, x (Tensor): (N, C, H, W).
        gate (Tensor): (N, C).
        scale, shift (Tensor): (C,), the affine map that a norm is.
        norm_of_x (Tensor, optional): ``scale * x + shift``, without a graph,
            as the norm calculated it. Its memory takes the result.

    Returns:
        Tensor: In the precision that ``shortcut + x`` has.
    """
    scale, shift = gate * scale, gate * shift
    if norm_of_x is not None and shortcut.dtype == x.dtype:
        return _GatedNormAdd.apply(
            shortcut, scale, shift, x, gate.detach(), norm_of_x
        )
    # Scale and shift may nearly cancel: only their sum is rounded to half.
    gated = scale[:, :, None, None] * x + shift[:, :, None, None]
    return shortcut + gated.to(x.dtype)


class _BatchStatistics(Function):
    @staticmethod
    def forward(ctx, x, mean, batch_mean, invstd):
        invstd = invstd.clone()
        # The output, for it has a graph: second derivatives need that.
        ctx.save_for_backward(x, mean, invstd)
        return batch_mean.clone(), invstd, x.view_as(x)

    @staticmethod
    def backward(ctx, grad_mean, grad_invstd, grad_x):
        x, mean, invstd = ctx.saved_tensors
        cubed = grad_invstd * invstd**3
        factor = -cubed[:, None, None] / (x.numel() // x.shape[1])
        factor = factor.to(x.dtype)
        if torch.is_grad_enabled():  # second derivatives
            grad_x = grad_x + factor * x
        else:
            # Into the gradient's own memory: _GatedNormAdd has just made it.
            grad_x.addcmul_(factor, x)
        return grad_x, grad_mean + cubed * mean, None, None


def batch_statistics(
    x: Tensor, mean: Tensor, batch_mean: Tensor, invstd: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the statistics of a batch their derivatives.

    The variance, as E[x^2] - mean^2, depends on ``mean``, which carries its
    own graph: wherever that came from at less cost than from ``x``.

    Args:
        x (Tensor): (N, C, H, W).
        mean (Tensor): Its mean over all but the channels, (C,).
        batch_mean, invstd (Tensor): The same mean, and
            1 / sqrt(variance + eps), as values.

    Returns:
        tuple: ``batch_mean``, ``invstd`` and ``x``; give this ``x`` to
        :func:`gated_norm_add` and to nothing else, so that one gradient is
        added into the other.
    """
    return _BatchStatistics.apply(x, mean, batch_mean, invstd)
