"""The block of MobileNetV3 and EfficientNet with bridge attention."""

import re
from collections import defaultdict
from collections.abc import Iterable

from mmpretrain.models.utils import InvertedResidual

from ..bridge.block import BridgeMixin
from ..bridge.ops import spatial_mean
from .base import BridgedBackbone


class BAInvertedResidual(BridgeMixin, InvertedResidual):
    """InvertedResidual whose two wide features take part in one gate.

    Bridged are the outputs of the expansion, after its activation, and of
    the depthwise conv, after its norm; the gate multiplies the latter, in
    the place of squeeze-and-excitation (SE). Blocks without an expansion
    have nothing to bridge and keep their SE.

    Args: those of :class:`banet.BridgeMixin`.

    Source: the reference code of arXiv 2112.04150.
    """

    gates_before_act: bool  # of the depthwise conv

    def bridge(self, attention, norm_cfg, warm_start=True):
        """See :meth:`banet.BridgeMixin.bridge`."""
        super().bridge(attention, norm_cfg, warm_start)
        if self.attention is not None and self.with_se:
            del self.se
            self.with_se = False
            self.replaced = 'se'

    def bridged_widths(self):
        """Twice the hidden width."""
        if not self.with_expand_conv:
            return []
        return [
            self.expand_conv.out_channels,
            self.depthwise_conv.out_channels,
        ]

    def _forward(self, x, unwatched):
        out = self.expand_conv(x) if self.with_expand_conv else x
        if self.attention is None:
            out = self.depthwise_conv(out)
            if self.with_se:
                out = self.se(out)
        else:
            pooled = [spatial_mean(out)] if self._pools(1, False) else []
            before = self.gates_before_act
            out = self.depthwise_conv(out, activate=not before)
            pooled.append(spatial_mean(out))
            out = out * self._gate(pooled, out)
            if before:
                out = self.depthwise_conv.activate(out)
        out = self.linear_conv(out)
        return x + self.drop_path(out) if self.with_res_shortcut else out


class BAMobileBlock(BAInvertedResidual):
    """MobileNetV3's: only where SE was, on the norm's output."""

    gates_before_act = True

    @property
    def gated_layer(self):
        """The depthwise norm."""
        return 'depthwise_conv.bn'

    def bridged_widths(self):
        """Twice the hidden width, nothing without SE."""
        return super().bridged_widths() if self.with_se else []


class BAMBConv(BAInvertedResidual):
    """EfficientNet's: wherever there is an expansion, after the Swish."""

    gates_before_act = False

    @property
    def gated_layer(self):
        """What follows the gate: the depthwise norm precedes the Swish."""
        return 'linear_conv.conv'

    gated_parts = ('weight',)  # a bias is added behind the gate


class InvertedResiduals(BridgedBackbone):
    """Backbone of :class:`BAInvertedResidual`."""

    def _freeze_stages(self):
        """As upstream, without an attention that has to learn.

        Aside meanwhile, so that nothing is ever switched on again which the
        user switched off.
        """
        learning = [
            (block, block.attention)
            for _, block in self.blocks()
            if block.attention is not None and block.learns_frozen
        ]
        for block, _ in learning:
            block.attention = None
        super()._freeze_stages()
        for block, attention in learning:
            block.mark_frozen(block.is_frozen)
            block.attention = attention


def name_torchvision_blocks(names: Iterable[str]) -> dict[str, str]:
    """Map torchvision's names of the layers within these blocks to ours.

    torchvision numbers them, so that a number means something else in blocks
    without an expansion or without SE.
    """
    pattern = re.compile(r'(.+)\.block\.(\d+)\.(0|1|fc1|fc2)\.(\w+)')
    matches = {name: pattern.fullmatch(name) for name in names}
    convs = defaultdict(set)
    for found in filter(None, matches.values()):
        if found[3] == '0':
            convs[found[1]].add(int(found[2]))
    layers = 'expand_conv', 'depthwise_conv', 'linear_conv'
    parts = {'0': 'conv', '1': 'bn', 'fc1': 'conv1.conv', 'fc2': 'conv2.conv'}
    renamed = {}
    for name, match in matches.items():
        if not match:
            renamed[name] = name
            continue
        block, index, part, tensor = match.groups()
        # The last one is always the projection.
        order = sorted(convs[block], reverse=True)
        layer = (
            'se'
            if part.startswith('fc')
            else layers[-1 - order.index(int(index))]
        )
        renamed[name] = f'{block}.{layer}.{parts[part]}.{tensor}'
    return renamed
