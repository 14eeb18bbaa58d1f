"""The exact inference form of an attention: its linear parts as one Linear.

In eval mode everything between the pooled vectors and the ReLU is affine: the
W_i, the selection, and norms with running statistics. If the block's last
conv is 1x1, its output's mean is an affine function of its input's mean as
well, so that the widest map need not be pooled.
"""

import copy
from collections.abc import Sequence
from typing import Any, Optional, TypeGuard, Union

import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d, Linear
from mmengine.model import BaseModule
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

# mmcv's take empty batches, too, and pad by the size of the map.
PLAIN_CONVS = (nn.Conv2d, Conv2d, Conv2dAdaptivePadding)
PLAIN_LINEARS = (nn.Linear, Linear)
Pointwise = Union[nn.Linear, nn.Conv2d]


class FoldedAttention(BaseModule):
    """Attention whose reductions are one Linear over the joined vectors.

    Args:
        weight (Tensor): (h, C_1 + ... + C_m) of the joined reductions.
        bias (Tensor): (h,).
        widths (Sequence[int]): C_1..C_m.
        norm (nn.Module, optional): Norm that no Linear can hold, such as LN.
        attention (nn.Module): Gives ``act``, ``generation`` and ``gate``.
    """

    def __init__(self, weight, bias, widths, norm, attention):
        super().__init__()
        self.in_channels = tuple(widths)
        self.reduction = nn.Linear(*reversed(weight.shape))
        self.reduction.weight = nn.Parameter(weight)
        self.reduction.bias = nn.Parameter(bias)
        self.norm = norm
        self.act = attention.act
        self.generation = attention.generation
        self.gate = attention.gate

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """Compute the gate: m vectors (N, C_i) -> (N, C, 1, 1)."""
        hidden = self.reduction(torch.cat(list(pooled), 1))
        if self.norm is not None:
            hidden = self.norm(hidden)
        gate = self.gate(self.generation(self.act(hidden)))
        return gate[:, :, None, None]


@torch.no_grad()
def fold(attention: nn.Module, last: Optional[Pointwise] = None) -> nn.Module:
    """Fold ``attention`` as far as that is exact in eval mode.

    Args:
        attention (nn.Module): With a method ``linear_terms``, as both
            versions of bridge attention have it; others are returned.
        last (nn.Module, optional): The block's last layer, a Linear or a 1x1
            conv with its norm fused in: the last pooled vector is then
            calculated from the one before.

    Returns:
        nn.Module: :class:`FoldedAttention`, or ``attention`` itself.
    """
    if not _says_how_it_folds(attention):
        return attention
    # In float64: the products are rounded once, to the dtype they had.
    exact: Any = copy.deepcopy(attention).double()
    terms = exact.linear_terms()
    if terms is None:
        return attention
    weights, bias, norm = terms
    if last is not None:
        *weights, weight = weights
        before = weights.pop() if weights else 0  # nothing of SE's
        weights.append(before + weight @ last.weight.double().flatten(1))
        assert last.bias is not None  # of the norm that was fused in
        bias = bias + weight @ last.bias.double()
    widths = [weight.shape[1] for weight in weights]
    dtype = next(attention.parameters()).dtype
    return FoldedAttention(
        torch.cat(weights, dim=1).to(dtype),
        bias.to(dtype),
        widths,
        norm and norm.to(dtype),
        attention,
    )


def _says_how_it_folds(attention):
    """Whether its ``linear_terms`` is about what it really calculates.

    A subclass that overrides the calculation alone would fold as its parent.
    """
    for cls in type(attention).__mro__:
        if 'linear_terms' in vars(cls):
            return True
        if {'integrate', 'logits', 'forward'} & vars(cls).keys():
            return False
    return False


def is_pointwise(layer: Optional[nn.Module]) -> TypeGuard[Pointwise]:
    """Whether ``layer``, a Linear or conv, does the same to every pixel."""
    return type(layer) in PLAIN_LINEARS or (
        isinstance(layer, nn.Conv2d)
        and type(layer) in PLAIN_CONVS
        and layer.kernel_size == (1, 1)
        and layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
    )


def check_foldable(module: nn.Module) -> None:
    """Raise ValueError if not every layer of ``module`` can be fused.

    But for those in an attention, which may stay as they are.

    Raises:
        ValueError: A batch norm has no running statistics or no weights, or
            a conv makes its weights itself, such as ConvWS.
    """
    for name, layer in module.named_modules():
        if 'attention' in name.split('.'):
            continue
        if isinstance(layer, _BatchNorm) and (
            layer.running_mean is None
            or layer.weight is None
            or layer.bias is None
        ):
            problem = (
                'it has no running statistics, weight or bias '
                '(track_running_stats=False, affine=False, bias=False). Train '
                'with a norm that has them.'
            )
        elif isinstance(layer, nn.Conv2d) and type(layer) not in PLAIN_CONVS:
            problem = (
                'it is no plain convolution, so a norm cannot be multiplied '
                'into its weights. Train with conv_cfg=None.'
            )
        else:
            continue
        raise ValueError(
            f'{name} ({type(layer).__name__}) cannot be folded: {problem}'
        )
