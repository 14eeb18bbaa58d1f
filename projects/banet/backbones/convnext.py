"""ConvNeXts with bridge attention, on mmpretrain's ConvNeXt."""

from typing import Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones.convnext import ConvNeXt, ConvNeXtBlock
from torch import nn

from ..bridge.block import BridgeMixin
from ..bridge.ops import spatial_mean
from ..bridge.warm_start import tensors_of
from .base import BridgedBackbone, check_arch, check_frozen
from .names import in_shape, rename

OFFICIAL = (
    (r'^(stages\.\d\.\d+)\.dwconv\.', r'\1.depthwise_conv.'),
    (r'^(stages\.\d\.\d+)\.pwconv([12])\.', r'\1.pointwise_conv\2.'),
    (r'^norm\.', 'norm3.'),
)
TORCHVISION = (
    (r'^features\.0\.', 'downsample_layers.0.'),
    (
        r'^features\.([246])\.',
        lambda m: f'downsample_layers.{int(m[1]) // 2}.',
    ),
    (r'^features\.([1357])\.', lambda m: f'stages.{int(m[1]) // 2}.'),
    (r'^(stages\.\d\.\d+)\.block\.0\.', r'\1.depthwise_conv.'),
    (r'^(stages\.\d\.\d+)\.block\.2\.', r'\1.norm.'),
    (r'^(stages\.\d\.\d+)\.block\.3\.', r'\1.pointwise_conv1.'),
    (r'^(stages\.\d\.\d+)\.block\.5\.', r'\1.pointwise_conv2.'),
    (r'^(stages\.\d\.\d+)\.layer_scale$', r'\1.gamma'),
    (r'^classifier\.0\.', 'norm3.'),
)


class BAConvNeXtBlock(BridgeMixin, ConvNeXtBlock):
    """ConvNeXt's block whose three features take part in one gate.

    Bridged are the outputs of the depthwise conv (C), of the activation (4C,
    in version 2 after GRN: what the next layer takes in) and of
    ``pointwise_conv2`` (C). The gate multiplies the last one, before layer
    scale and stochastic depth.

    Args: those of :class:`banet.BridgeMixin`.

    Source: our reading.
    """

    @property
    def gated_layer(self):
        """The second pointwise conv."""
        return 'pointwise_conv2'

    def bridged_widths(self):
        """C, 4C and C."""
        # Not by the weight's shape: DeepSpeed's zero.Init leaves it none.
        last = self.pointwise_conv2
        widths = (
            (last.out_features, last.in_features)
            if isinstance(last, nn.Linear)
            else (last.out_channels, last.in_channels)
        )
        return [*widths, widths[0]]

    def _last_layer(self):
        return self.pointwise_conv2

    def _skipped_layers(self):
        return self.pointwise_conv2, self.drop_path

    def _forward(self, x, unwatched):
        out = self.depthwise_conv(x)
        pooled = []
        if self.attention is not None and self._pools(2, False):
            pooled.append(spatial_mean(out))
        # As upstream: a Linear wants the channels last.
        last = self.linear_pw_conv
        layout = dict(data_format='channel_last' if last else 'channel_first')
        if last:
            out = out.permute(0, 2, 3, 1)
        out = self.act(self.pointwise_conv1(self.norm(out, **layout)))
        if self.grn is not None:
            out = self.grn(out, **layout)
        hidden = out
        out = self.pointwise_conv2(out)
        if last:
            out = out.permute(0, 3, 1, 2)
            hidden = hidden.permute(0, 3, 1, 2)
        if self.attention is None:
            if self.gamma is not None:
                out = out.mul(self.gamma.view(1, -1, 1, 1))
            return x + self.drop_path(out)
        through_last = self._goes_through(unwatched)
        if self._pools(1, through_last):
            pooled.append(spatial_mean(hidden))
        self._pool_last(pooled, out, through_last)
        gate = self._gate(pooled, out, self.gamma)
        # Not gated_add, which rounds once less than the plain block does.
        # Dropping a path is a factor per sample: cheaper on the gate.
        if unwatched:
            return x + self.drop_path(gate) * out
        return x + self.drop_path(gate * out)


@MODELS.register_module()
class BAConvNeXt(BridgedBackbone, ConvNeXt):
    """ConvNeXt, version 1 or 2, with bridge attention in every block.

    Args:
        arch (str | dict): ``atto`` to ``huge``, or a description.
        attention (dict | None): See :class:`banet.BAResNet`. Its
            ``norm_cfg`` defaults to LN: nothing in this network depends on
            the batch. Defaults to
            ``dict(type='BridgeAttentionV2', ratio=16)``.
        warm_start (bool): Make weights without attention give exactly the
            plain ConvNeXt. Defaults to True.
        deploy (bool): Build the inference form. Defaults to False.
        compile_blocks (bool | dict): See :class:`banet.BAResNet`.
        *args: Arguments of mmpretrain's ConvNeXt, in its order.
        **kwargs: The same by name. ``use_grn=True,
            layer_scale_init_value=0.`` gives version 2.

    Raises:
        ValueError: Unknown ``arch``, or ``frozen_stages`` out of range.

    Source: our reading. The authors name ConvNeXt-T and have published no
    code for it.
    """

    def __init__(
        self,
        arch='tiny',
        *args,
        attention: Optional[dict] = dict(type='BridgeAttentionV2', ratio=16),
        warm_start: bool = True,
        deploy: bool = False,
        compile_blocks: Union[bool, dict] = False,
        **kwargs,
    ):
        check_arch(self, arch, self.arch_settings, described=True)
        super().__init__(arch, *args, **kwargs)
        self.bridge_blocks(
            ConvNeXtBlock,
            BAConvNeXtBlock,
            attention,
            dict(type='LN'),
            warm_start,
        )
        self._freeze_stages()  # again, with the attention
        self.take_form(deploy, compile_blocks)

    def to_own(self, found):
        """Names and shapes of the official code and of torchvision."""
        ours = rename(found, OFFICIAL + TORCHVISION)
        own = tensors_of(self)
        return {
            ours[name]: in_shape(value, own.get(ours[name]))
            for name, value in found.items()
        }

    def _freeze_stages(self):
        check_frozen(
            self.frozen_stages, 0, self.num_stages, 'the number of stages'
        )
        super()._freeze_stages()
