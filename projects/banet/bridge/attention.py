"""Bridge attention: pooled conv outputs of one residual block in, gate out.

Papers: BAv1, "BA-Net: Bridge Attention for Deep Convolutional Neural
Networks", ECCV 2022, arXiv 2112.04150; BAv2, "BA-Net: Bridge Attention in
Deep Neural Networks", arXiv 2410.07860; and the authors' reference code.
"""

from collections.abc import Sequence
from typing import Optional

import torch
from mmcv.cnn import build_activation_layer
from mmengine.registry import MODELS
from torch import nn, Tensor

from .gate import Gate, hidden_width
from .norm import affine
from .ops import is_symbolic
from .vector_norm import build_vector_norm, normalize


class BridgeAttention(Gate):
    """What both versions share: W_i in, W_g and the gate out.

    A subclass defines :meth:`integrate`, which joins the reduced vectors.

    Args:
        in_channels (Sequence[int]): Widths C_1..C_n of the bridged conv
            outputs.
        channels (int): Width C of the gated conv output.
        ratio (int): Reduction r, the hidden width is h = C // r.
            Defaults to 16.
        norm_cfg (dict): Norm over (N, h) vectors. ``BN`` means ``BN1d``.
            Defaults to ``dict(type='BN')``.
        act_cfg (dict): Activation before W_g. Defaults to ReLU.
        gate_cfg (dict): Activation that makes the gate. Defaults to Sigmoid.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: ``in_channels``, ``ratio`` or ``norm_cfg`` cannot work.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        ratio: int = 16,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU'),
        gate_cfg: dict = dict(type='Sigmoid'),
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        if not in_channels or min(in_channels) < 1:
            raise ValueError(
                f'in_channels={in_channels!r} must list the width of every '
                'bridged conv output, such as (64, 64, 256).'
            )
        self.in_channels = tuple(in_channels)
        self.channels = channels
        self.hidden_channels = hidden_width(channels, ratio)
        self.reductions = nn.ModuleList(
            nn.Linear(width, self.hidden_channels, bias=False)
            for width in self.in_channels
        )
        self._build_integration(norm_cfg)
        self.act = build_activation_layer(act_cfg)
        self.generation = nn.Linear(self.hidden_channels, channels, bias=False)
        self.gate = build_activation_layer(gate_cfg)

    def _build_integration(self, norm_cfg: dict) -> None:
        raise NotImplementedError

    def integrate(self, reduced: Sequence[Tensor]) -> Tensor:
        """Join the n vectors W_i g_i, each (N, h), to one (N, h)."""
        raise NotImplementedError

    def linear_terms(
        self,
    ) -> Optional[tuple[list[Tensor], Tensor, Optional[nn.Module]]]:
        """What stands before the activation in eval mode, as affine maps.

        Returns:
            tuple | None: M_1..M_n, each (h, C_i), a bias (h,), and the norm
            that follows their sum, None if it is part of them. None instead
            of the tuple if they are no affine maps.
        """
        return None

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """Compute the gate of one block.

        Args:
            pooled (Sequence[Tensor]): g_1..g_n, the mean over height and
                width of each bridged conv output, (N, C_i).

        Returns:
            Tensor: The gate, (N, C, 1, 1), in (0, 1) with the sigmoid.

        Raises:
            ValueError: ``pooled`` differs from ``in_channels`` in length or
                in a width.
        """
        widths = tuple(vector.shape[-1] for vector in pooled)
        if not is_symbolic(pooled[0]) and widths != self.in_channels:
            raise ValueError(
                f'pooled has widths {widths}, but this attention was built '
                f'with in_channels={self.in_channels}; pass one (N, C_i) '
                'vector per declared width, in that order.'
            )
        hidden = self.integrate(
            [
                reduction(vector)
                for reduction, vector in zip(self.reductions, pooled)
            ]
        )
        gate = self.gate(self.generation(self.act(hidden)))
        return gate[:, :, None, None]


@MODELS.register_module()
class BridgeAttentionV1(BridgeAttention):
    """BAv1: every bridged feature has its own BN before the sum. ::

        w = sigmoid(W_g ReLU(sum_i BN_i(W_i g_i)))

    Args, Raises: those of :class:`BridgeAttention`.

    Source: arXiv 2112.04150 and its reference code.
    """

    def _build_integration(self, norm_cfg):
        self.norms = nn.ModuleList(
            build_vector_norm(norm_cfg, self.hidden_channels)
            for _ in self.in_channels
        )

    def integrate(self, reduced):
        first, *others = (
            normalize(norm, vector)
            for norm, vector in zip(self.norms, reduced)
        )
        return sum(others, first)

    def linear_terms(self):
        maps = [affine(norm) for norm in self.norms]
        if None in maps:
            return None
        weights = [
            scale[:, None] * reduction.weight
            for (scale, _), reduction in zip(maps, self.reductions)
        ]
        return weights, sum(shift for _, shift in maps), None


@MODELS.register_module()
class BridgeAttentionV2(BridgeAttention):
    """BAv2: learned scalars select how much each bridged feature counts. ::

        z = sum_i a_i (W_i g_i) + b
        w = sigmoid(W_g ReLU(BN(z)))

    The *adaptive selection operator* (a, b) is one ``Linear(n, 1)``, shared
    by all channels and images: learned, but independent of the input, as in
    the reference code. The norm removes b while training; it is kept because
    the reference checkpoints have it.

    Args, Raises: those of :class:`BridgeAttention`.

    Source: arXiv 2410.07860 and its reference code.
    """

    def _build_integration(self, norm_cfg):
        self.selection = nn.Linear(len(self.in_channels), 1)
        # A module: mmengine's efficient_conv_bn_eval looks for the one that
        # stands before each norm.
        self.flatten = nn.Flatten()
        self.norm = build_vector_norm(norm_cfg, self.hidden_channels)

    def integrate(self, reduced):
        selected = self.selection(torch.stack(reduced, dim=-1))
        return normalize(self.norm, self.flatten(selected))

    def linear_terms(self):
        a, b = self.selection.weight[0], self.selection.bias
        weights = [
            factor * reduction.weight
            for factor, reduction in zip(a, self.reductions)
        ]
        bias = b.expand(self.hidden_channels)
        norm = affine(self.norm)
        if norm is None:
            return weights, bias.clone(), self.norm
        scale, shift = norm
        weights = [scale[:, None] * weight for weight in weights]
        return weights, scale * bias + shift, None
