"""ResNet's kind of block: convs, each with a norm, beside a shortcut."""

import torch
from torch import nn

from .block import BridgeMixin, goes_through, through
from .norm import affine_on, has_hooks, is_affine_here, is_fixed
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

    def _layers(self):
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

    def switch_to_deploy(self):
        """See :meth:`banet.BridgeMixin.switch_to_deploy`."""
        super().switch_to_deploy()
        self.folded = self.folded and self._fused()

    def _forward(self, x):
        """(N, C_in, H, W) -> (N, C, H / stride, W / stride)."""
        return self.relu(
            self._forward_folded(x) if self.folded else self._sum(x)
        )

    def _forward_folded(self, x):
        """:meth:`_sum` without norms, with as few calls as possible.

        At a batch of one, calls cost more than what they calculate.
        """
        *inner, last = (
            getattr(self, f'conv{i}') for i in range(1, self.num_convs + 1)
        )
        out, pooled = x, []
        for conv in inner:
            out = self.relu(conv(out))
            pooled.append(spatial_mean(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        out = last(out)
        if len(self.attention.in_channels) > len(inner):
            pooled.append(spatial_mean(out))
        return gated_add(shortcut, self.attention(pooled).to(out.dtype), out)

    def _sum(self, x):
        *inner, (conv, norm) = self._layers()
        out, pooled = x, []
        for inner_conv, inner_norm in inner:
            out = self.relu(inner_norm(inner_conv(out)))
            if self.attention is not None:
                pooled.append(spatial_mean(out))
        y = conv(out)
        shortcut = x if self.downsample is None else self.downsample(x)
        if self.attention is None:
            out = self.drop_path(norm(y))
            out += shortcut
            return out
        if self._gates_inside(norm, y):
            means = (
                through(conv, pooled[-1])
                if goes_through(conv)
                else spatial_mean(y)
            )
            scale, shift, y, out = affine_on(norm, y, means)
            pooled.append(scale * means + shift)
            gate = self._path_gate(pooled, y).flatten(1)
            return gated_norm_add(shortcut, gate, scale, shift, y, out)
        out = norm(y)
        if self._skips_last_map(conv, norm):
            means = through(conv, pooled[-1])
            pooled.append(norm(means[:, :, None, None]).flatten(1))
        else:
            pooled.append(spatial_mean(out))
        return gated_add(shortcut, self._path_gate(pooled, out), out)

    def _path_gate(self, pooled, out):
        # Dropping a path is a factor per sample: cheaper on the gate.
        return self.drop_path(self._gate(pooled, out))

    def _gates_inside(self, norm, y):
        """Whether the gate is multiplied into the norm's affine map.

        The same numbers and gradients, but the backward pass needs only y:
        norm(y) is not kept, and its memory takes the result. Only while
        training: gradients in eval mode stay those of the plain path.
        """
        return (
            self.training
            and y.requires_grad
            and torch.is_grad_enabled()
            and not plain_only()
            and is_affine_here(norm, y)
        )

    def _skips_last_map(self, conv, norm):
        """Whether mean(norm(conv(x))) is taken as norm(conv(mean(x))).

        The same numbers, without reading and, in the backward pass, writing
        the widest map: where a training runs with its norms in eval mode.
        Plain inference stays the paper's, operation by operation; its fast
        form is the deploy form.
        """
        return (
            (self.deploy or self.training)
            and is_fixed(norm)
            and goes_through(conv)
            and not has_hooks(norm)
        )
