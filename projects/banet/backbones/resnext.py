"""ResNeXts with bridge attention, on mmpretrain's ResNeXt."""

from mmengine.registry import MODELS
from mmpretrain.models.backbones.resnext import Bottleneck, ResNeXt

from ..bridge.residual import ConvNormBridge
from .resnet import BAResNet


class BAResNeXtBottleneck(ConvNormBridge, Bottleneck):
    """ResNeXt's Bottleneck (grouped 3x3 conv) with bridge attention."""

    num_convs = 3


@MODELS.register_module()
class BAResNeXt(BAResNet, ResNeXt):
    """ResNeXt with bridge attention in every residual block.

    Args:
        depth (int): 50, 101 or 152.
        groups (int): Groups of the 3x3 convs. Defaults to 32.
        width_per_group (int): Their width per group in the first stage.
            Defaults to 4.
        **kwargs: Arguments of :class:`BAResNet`.
    """

    arch_settings = {
        depth: (BAResNeXtBottleneck, blocks)
        for depth, (_, blocks) in ResNeXt.arch_settings.items()
    }
