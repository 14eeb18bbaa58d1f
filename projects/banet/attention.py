"""Bridge attention: pooled conv outputs of one residual block in, gate out.

Papers: BAv1, "BA-Net: Bridge Attention for Deep Convolutional Neural
Networks", ECCV 2022, arXiv 2112.04150; BAv2, "BA-Net: Bridge Attention in
Deep Neural Networks", arXiv 2410.07860; and the authors' reference code.

The modules know vectors only, neither images nor residual blocks.
"""

import logging
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from .norm import affine
from .ops import is_compiling

USE_LN = "attention=dict(type='BridgeAttentionV2', norm_cfg=dict(type='LN'))"


def build_vector_norm(norm_cfg: dict, num_features: int) -> nn.Module:
    """Build the norm layer of ``norm_cfg`` for (N, num_features) vectors.

    ``BN`` means ``BN1d`` here; ``SyncBN``, ``LN``, ``GN`` and any registered
    norm that takes such vectors are built as they are.

    Raises:
        ValueError: The norm cannot work on vectors: it needs spatial axes,
            leaves one value per group, or keeps no running statistics.
        TypeError: ``norm_cfg`` is not a dict (from mmcv).
    """
    if isinstance(norm_cfg, dict) and norm_cfg.get('type') in ('BN', 'BN2d'):
        norm_cfg = {**norm_cfg, 'type': 'BN1d'}
    try:
        norm = build_norm_layer(norm_cfg, num_features)[1]
        problem = _problem_on_vectors(norm, num_features)
    except (KeyError, ValueError) as error:  # unknown, indivisible groups
        problem = str(error)
    if problem:
        raise ValueError(
            f'norm_cfg={norm_cfg} cannot normalise the '
            f"attention's (N, {num_features}) vectors: "
            f'{problem}. Use BN, SyncBN or LN, such as {USE_LN}.'
        )
    return norm


def _problem_on_vectors(norm: nn.Module, num_features: int) -> Optional[str]:
    if isinstance(norm, _InstanceNorm):
        return 'instance norm averages over spatial axes, there are none'
    if isinstance(norm, _BatchNorm) and norm.running_mean is None:
        return 'it keeps no running statistics (track_running_stats=False)'
    groups = getattr(norm, 'num_groups', 1)  # of GroupNorm
    if not isinstance(norm, _BatchNorm) and num_features == groups:
        return (
            'a group of one value is always normalised to zero (fewer groups '
            'or a smaller ratio help)'
        )
    try:
        with torch.no_grad():
            norm.eval()(torch.zeros(2, num_features))
    except Exception as error:  # whatever a layer for other shapes raises
        return str(error)
    finally:
        norm.train()
    return None


def normalize(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply ``norm`` to ``x`` (N, h), also where a batch has no statistics.

    A training batch of one (the last of an epoch, for example) is normalised
    with the running statistics, which it does not update: PyTorch would
    raise "Expected more than 1 value per channel when training".
    """
    if not (norm.training and isinstance(norm, _BatchNorm)):
        return norm(x)
    samples = x.shape[0]
    if isinstance(norm, nn.SyncBatchNorm):
        samples *= get_world_size(norm.process_group)
    if samples == 1:
        return F.batch_norm(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=False,
            eps=norm.eps,
        )
    if 2 <= samples <= 4 and not is_compiling():
        # mmengine's logger shows a repeated warning once.
        print_log(
            'Bridge attention normalises one vector per image over batches '
            'of 2 to 4 images: the normalised values hardly depend on the '
            'images (about +-1 at 2). Use norm_eval=True where the weights '
            "bring running statistics, norm_cfg=dict(type='SyncBN') on "
            'several GPUs, a larger batch, or a norm without batch '
            f'statistics: {USE_LN}.',
            logger='current',
            level=logging.WARNING,
        )
    return norm(x)


class BridgeAttention(BaseModule):
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
        act_cfg: dict = dict(type='ReLU', inplace=True),
        gate_cfg: dict = dict(type='Sigmoid'),
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        if not in_channels or min(in_channels) < 1:
            raise ValueError(
                f'in_channels={in_channels!r} must list the width of every '
                'bridged conv output, such as (64, 64, 256).'
            )
        if not isinstance(ratio, int) or ratio < 1:
            raise ValueError(
                f'ratio {ratio!r} is no whole number from 1 to {channels}; '
                'the paper takes 16.'
            )
        if ratio > channels:
            raise ValueError(
                f'ratio {ratio} leaves no hidden channel of '
                f'{channels} channels; use at most {channels}.'
            )
        self.in_channels = tuple(in_channels)
        self.channels = channels
        self.hidden_channels = channels // ratio
        self.reductions = nn.ModuleList(
            nn.Linear(width, self.hidden_channels, bias=False)
            for width in self.in_channels
        )
        self._build_integration(norm_cfg)
        self.act = build_activation_layer(act_cfg)
        self.generation = nn.Linear(self.hidden_channels, channels, bias=False)
        self.gate = build_activation_layer(gate_cfg)

    def init_weights(self):
        """Initialise as PyTorch does, if ``init_cfg`` says nothing else.

        As the reference code; also where the ``init_cfg`` of the whole
        network has said something about all Linear layers.
        """
        if not self.init_cfg:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.reset_parameters()
        super().init_weights()

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

    def neutral(self) -> tuple[dict[str, Tensor], float]:
        """The state in which the gate is the same for every image.

        Returns:
            tuple: State dict, the present one but for W_g = 0, and the value
            of the gate with it: 1/2 with the sigmoid.
        """
        state = dict(self.state_dict())
        state['generation.weight'] = torch.zeros_like(self.generation.weight)
        return state, self.gate(torch.zeros(1)).item()

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
        # A tracer's sizes are tensors: comparing them would only warn.
        if not torch.jit.is_tracing() and widths != self.in_channels:
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
    r"""BAv1: every bridged feature has its own BN before the sum.

    .. math::
        w = \sigma(W_g \, \mathrm{ReLU}(\sum_i \mathrm{BN}_i(W_i g_i)))

    Args, Raises: those of :class:`BridgeAttention`.

    Source: arXiv 2112.04150 and its reference code.
    """

    def _build_integration(self, norm_cfg):
        self.norms = nn.ModuleList(
            build_vector_norm(norm_cfg, self.hidden_channels)
            for _ in self.in_channels
        )

    def integrate(self, reduced):
        return sum(
            normalize(norm, vector)
            for norm, vector in zip(self.norms, reduced)
        )

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
    r"""BAv2: learned scalars select how much each bridged feature counts.

    .. math::
        z = \sum_i a_i (W_i g_i) + b, \qquad
        w = \sigma(W_g \, \mathrm{ReLU}(\mathrm{BN}(z)))

    The *adaptive selection operator* (a, b) is one ``Linear(n, 1)``, shared
    by all channels and images: learned, but independent of the input, as in
    the reference code. The norm removes b while training; it is kept because
    the reference checkpoints have it.

    Args, Raises: those of :class:`BridgeAttention`.

    Source: arXiv 2410.07860 and its reference code.
    """

    def _build_integration(self, norm_cfg):
        self.selection = nn.Linear(len(self.in_channels), 1)
        self.norm = build_vector_norm(norm_cfg, self.hidden_channels)

    def integrate(self, reduced):
        selected = self.selection(torch.stack(reduced, dim=-1)).squeeze(-1)
        return normalize(self.norm, selected)

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
