"""ResNet's kind of block: convs, each with a norm, beside a shortcut."""

from typing import Optional

import torch
from torch import nn

from .block import BridgeMixin, through
from .deploy import is_pointwise
from .norm import affine_on, is_affine
from .ops import gated_add, gated_norm_add, plain_only, spatial_mean


class ConvNormBridge(BridgeMixin):
    """Residual block whose conv outputs all take part in one gate.

    Put it before a block of mmpretrain that has ``conv1, norm1, conv2, ...``,
    ``relu``, ``downsample`` and ``drop_path``::

        class BABottleneck(ConvNormBridge, Bottleneck):
            num_convs = 3

    With the conv outputs F_1..F_n (after norm and ReLU, the last one after
    norm only) and g_i = mean of F_i over height and width, the block computes
    ReLU(shortcut(x) + attention([g_1, ..., g_n]) * F_n).

    Source: arXiv 2112.04150, arXiv 2410.07860 and their reference code.
    """

    num_convs: int
    relu: nn.Module
    drop_path: nn.Module
    downsample: Optional[nn.Module]
    normless = False  # in the deploy form, if every norm could be fused

    def _layers(self) -> list[tuple[nn.Module, nn.Module]]:
        """The block's (conv, norm) pairs in order."""
        return [
            (getattr(self, f'conv{i}'), getattr(self, f'norm{i}'))
            for i in range(1, self.num_convs + 1)
        ]

    def bridged_widths(self):
        """Those of every conv."""
        return [conv.out_channels for conv, _ in self._layers()]

    @property
    def gated_layer(self):
        """The last norm."""
        return getattr(self, f'norm{self.num_convs}_name')

    def _fused(self):
        return all(isinstance(norm, nn.Identity) for _, norm in self._layers())

    def _last_layer(self):
        return self._layers()[-1][0] if self._fused() else None

    def _skipped_layers(self):
        return *self._layers()[-1], self.drop_path

    def switch_to_deploy(self):
        """See :meth:`banet.BridgeMixin.switch_to_deploy`."""
        super().switch_to_deploy()
        self.normless = self._fused()

    def _forward(self, x, unwatched):
        """(N, C_in, H, W) -> (N, C, H / stride, W / stride)."""
        if self.attention is None:
            out = self._forward_plain(x)
        elif self.normless:
            out = self._forward_deploy(x, unwatched)
        elif unwatched and self._takes_affine(x):
            out = self._forward_affine(x)
        else:
            out = self._forward_paper(x, unwatched)
        return self.relu(out)

    def _takes_affine(self, x):
        """Whether the last norm enters the formula as an affine map.

        While training, and wherever compilers and the like look on. In eager
        eval mode plain weights give the plain network's very bits instead.
        """
        return is_affine(self._layers()[-1][1]) and (
            plain_only(x)
            or self.training
            and x.numel() > 0  # the kernel of batch norm wants a value
            and torch.is_grad_enabled()
            and x.device.type in ('cpu', 'cuda')
        )

    def _shortcut(self, x):
        return x if self.downsample is None else self.downsample(x)

    def _forward_plain(self, x):
        *inner, (last, norm) = self._layers()
        out = x
        for conv, inner_norm in inner:
            out = self.relu(inner_norm(conv(out)))
        out = self.drop_path(norm(last(out)))
        out += self._shortcut(x)
        return out

    def _pooled(self, x, through_last=False):
        """F_(n-1), and of g_1..g_(n-1) what is asked for."""
        out, pooled = x, []
        inner = self._layers()[:-1]
        for behind, (conv, norm) in zip(range(len(inner), 0, -1), inner):
            out = self.relu(norm(conv(out)))
            if self._pools(behind, through_last):
                pooled.append(spatial_mean(out))
        return out, pooled

    def _forward_paper(self, x, unwatched=False):
        """The papers' equations, one by one: what all other forms equal."""
        out, pooled = self._pooled(x)
        conv, norm = self._layers()[-1]
        out = norm(conv(out))
        pooled.append(spatial_mean(out))
        gate = self._gate(pooled, out)
        return self._add_gated(self._shortcut(x), gate, out, unwatched)

    def _forward_affine(self, x):
        """The same with less of the widest map.

        A norm is an affine map per channel, fixed in eval mode and decided
        by the batch in train mode: the gate is multiplied into it, and g_n
        is the map of the mean that stood before the norm.
        """
        conv, norm = self._layers()[-1]
        pointwise = is_pointwise(conv)
        out, pooled = self._pooled(x, pointwise)
        y = conv(out)
        means = through(conv, pooled[-1], y) if pointwise else None
        scale, shift, means, y, norm_of_y = affine_on(norm, y, means)
        pooled.append(scale * means + shift)
        gate = self.drop_path(self._gate(pooled, y)).flatten(1)
        return gated_norm_add(
            self._shortcut(x), gate, scale, shift, y, norm_of_y
        )

    def _forward_deploy(self, x, unwatched):
        """Without norms, with as few calls as possible.

        At a batch of one, calls cost more than what they calculate.
        """
        through_last = self._goes_through(unwatched)
        out, pooled = x, []
        for i in range(1, self.num_convs):
            out = self.relu(getattr(self, f'conv{i}')(out))
            if self._pools(self.num_convs - i, through_last):
                pooled.append(spatial_mean(out))
        shortcut = self._shortcut(x)
        out = getattr(self, f'conv{self.num_convs}')(out)
        self._pool_last(pooled, out, through_last)
        gate = self._gate(pooled, out)
        return self._add_gated(shortcut, gate, out, unwatched)

    def _add_gated(self, shortcut, gate, out, unwatched):
        # Dropping a path is a factor per sample: cheaper on the gate.
        if unwatched:
            gate = self.drop_path(gate)
            return gated_add(shortcut, gate, out, inplace=True)
        return shortcut + self.drop_path(gate * out)
