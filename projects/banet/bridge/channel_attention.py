"""The rivals: attention over the channels of the gated feature alone.

They stand in the same block as bridge attention, so that two networks differ
in nothing but the attention.
"""

import math
from collections.abc import Sequence
from typing import Optional

from mmcv.cnn import build_activation_layer
from mmengine.registry import MODELS
from torch import nn, Tensor

from .gate import Gate, hidden_width


class ChannelAttention(Gate):
    """One vector in, gate out; a subclass defines :meth:`logits`.

    Args:
        in_channels (Sequence[int]): Widths of the block's features; all but
            the last one are ignored.
        channels (int): Width C of the gated feature.
        gate_cfg (dict): Activation that makes the gate. Defaults to Sigmoid.
        init_cfg (dict, optional): Initialisation config.
    """

    gated_alone = True

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        gate_cfg: dict = dict(type='Sigmoid'),
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        self.in_channels = (channels,)
        self.channels = channels
        self.gate = build_activation_layer(gate_cfg)

    def logits(self, vector: Tensor) -> Tensor:
        """(N, C) -> (N, C), before the gate's activation."""
        raise NotImplementedError

    def forward(self, pooled: Sequence[Tensor]) -> Tensor:
        """Compute the gate: the mean of the gated feature, [(N, C)], in.

        Returns:
            Tensor: The gate, (N, C, 1, 1).
        """
        (vector,) = pooled
        return self.gate(self.logits(vector))[:, :, None, None]


@MODELS.register_module()
class SqueezeExcitation(ChannelAttention):
    """Squeeze-and-excitation (SE), in the place of bridge attention. ::

        w = sigmoid(W_2 ReLU(W_1 g + b_1) + b_2)

    Args:
        ratio (int): Reduction r, the hidden width is C // r. Defaults to 16.
        act_cfg (dict): Activation between the layers. Defaults to ReLU.
        in_channels, channels, gate_cfg, init_cfg: See
            :class:`ChannelAttention`.

    Raises:
        ValueError: ``ratio`` leaves no hidden channel.

    Source: "Squeeze-and-Excitation Networks", CVPR 2018, arXiv 1709.01507.
    """

    def __init__(
        self,
        in_channels,
        channels,
        ratio: int = 16,
        act_cfg: dict = dict(type='ReLU'),
        gate_cfg=dict(type='Sigmoid'),
        init_cfg=None,
    ):
        super().__init__(in_channels, channels, gate_cfg, init_cfg)
        hidden = hidden_width(channels, ratio)
        self.squeeze = nn.Linear(channels, hidden)
        self.act = build_activation_layer(act_cfg)
        self.generation = nn.Linear(hidden, channels)
        self._clear_biases()

    def _clear_biases(self):
        nn.init.zeros_(self.squeeze.bias)
        nn.init.zeros_(self.generation.bias)

    def reset_parameters(self):
        """See :class:`Gate`; biases start at 0, as upstream's."""
        super().reset_parameters()
        self._clear_biases()

    def logits(self, vector):
        """See :meth:`ChannelAttention.logits`."""
        return self.generation(self.act(self.squeeze(vector)))

    def linear_terms(self):
        """See :meth:`banet.bridge.attention.BridgeAttention.linear_terms`."""
        return [self.squeeze.weight], self.squeeze.bias, None


@MODELS.register_module()
class EfficientChannelAttention(ChannelAttention):
    """ECA: a conv along the channels, whose kernel grows with their number. ::

        w = sigmoid(conv1d_k(g)),  k = (log2(C) + b) / gamma, made odd

    In the deploy form it stays as it is: as one matrix it would be as large
    as the block's last conv.

    Args:
        gamma, b (float): See the formula. Default to 2 and 1.
        kernel_size (int, optional): k, odd, instead of the formula's.
        in_channels, channels, gate_cfg, init_cfg: See
            :class:`ChannelAttention`.

    Raises:
        ValueError: ``kernel_size`` is no odd number.

    Source: "ECA-Net", CVPR 2020, arXiv 1910.03151, equation 12, and its
    reference code, which rounds down and then up to the next odd number.
    """

    gate_maker = 'conv'

    def __init__(
        self,
        in_channels,
        channels,
        gamma: float = 2,
        b: float = 1,
        kernel_size: Optional[int] = None,
        gate_cfg=dict(type='Sigmoid'),
        init_cfg=None,
    ):
        super().__init__(in_channels, channels, gate_cfg, init_cfg)
        if kernel_size is None:
            kernel_size = int(abs((math.log2(channels) + b) / gamma)) | 1
        whole = isinstance(kernel_size, int)
        if not whole or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f'kernel_size={kernel_size!r} must be an odd number such as 3.'
            )
        self.conv = nn.Conv1d(
            1, 1, kernel_size, padding=kernel_size // 2, bias=False
        )
        self._start = self.conv.weight.detach().clone()

    def init_weights(self):
        """See :class:`Gate`."""
        super().init_weights()
        self._start = self.conv.weight.detach().clone()

    def is_untrained(self) -> bool:
        """Whether the kernel is the one that was drawn at first."""
        weight = self.conv.weight
        if weight.is_meta or self._start.is_meta:
            return True
        if hasattr(weight, 'full_tensor'):  # sharded: all must agree
            weight = weight.full_tensor()
        return weight.equal(self._start.to(weight))

    def logits(self, vector):
        """See :meth:`ChannelAttention.logits`."""
        return self.conv(vector[:, None])[:, 0]
