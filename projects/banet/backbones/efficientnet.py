"""EfficientNets with bridge attention, on mmpretrain's."""

from typing import Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones.efficientnet import (
    EdgeResidual,
    EfficientNet,
)
from mmpretrain.models.backbones.efficientnet_v2 import EfficientNetV2
from mmpretrain.models.utils import InvertedResidual

from ..bridge.block import BridgeMixin
from .base import check_arch
from .inverted_residual import BAMBConv, InvertedResiduals


class BAEdgeResidual(BridgeMixin, EdgeResidual):
    """EdgeResidual (FusedMBConv), which stays as it is.

    It has no depthwise conv, and one conv before the projection leaves
    nothing to bridge. What it shares with the other blocks is the
    checkpointing: upstream's, without ``use_reentrant``, warns.
    """

    def bridged_widths(self):
        """None."""
        return []

    def _forward(self, x, unwatched):
        out = self.conv1(x)
        if self.with_se:
            out = self.se(out)
        out = self.conv2(out)
        return x + self.drop_path(out) if self.with_residual else out


class MBConvStages(InvertedResiduals):
    """What both generations share: see :class:`BAEfficientNet`."""

    def __init__(
        self,
        arch: str,
        *args,
        attention: Optional[dict] = dict(type='BridgeAttentionV2', ratio=6),
        warm_start: bool = True,
        deploy: bool = False,
        compile_blocks: Union[bool, dict] = False,
        **kwargs,
    ):
        check_arch(self, arch, self.arch_settings)
        super().__init__(arch, *args, **kwargs)
        for plain, bridged in (
            (InvertedResidual, BAMBConv),
            (EdgeResidual, BAEdgeResidual),
        ):
            self.bridge_blocks(
                plain, bridged, attention, self.norm_cfg, warm_start
            )
        self._freeze_stages()  # as DDP has to find it
        self.take_form(deploy, compile_blocks)


@MODELS.register_module()
class BAEfficientNet(MBConvStages, EfficientNet):
    """EfficientNet with bridge attention in every MBConv with an expansion.

    The first stage, whose blocks have no expansion, keeps its SE, and
    EdgeResiduals (of ``es``, ``em``, ``el``) stay as they are.

    Args:
        arch (str): ``b0`` to ``b8``, ``l2``, ``es``, ``em`` or ``el``.
        attention (dict | None): See :class:`banet.BAResNet`. Its ``ratio``
            counts from the expanded width. Defaults to
            ``dict(type='BridgeAttentionV2', ratio=6)``.
        warm_start (bool): Only for blocks that had no SE (those of ``es``,
            ``em`` and ``el``): no gate equals SE, so the others' attention
            keeps its initial values, and is trained in frozen stages, too.
            Defaults to True.
        deploy (bool): Build the inference form. Defaults to False.
        compile_blocks (bool | dict): See :class:`banet.BAResNet`.
        *args: Arguments of mmpretrain's EfficientNet, in its order.
        **kwargs: The same by name.

    Raises:
        ValueError: Unknown ``arch``; ``frozen_stages`` or ``out_indices``
            out of range.

    Source: the reference code of arXiv 2112.04150, which has version 1 and
    the B family.
    """

    def __init__(self, arch: str = 'b0', *args, **kwargs):
        super().__init__(arch, *args, **kwargs)


@MODELS.register_module()
class BAEfficientNetV2(MBConvStages, EfficientNetV2):
    """EfficientNetV2 with bridge attention in every MBConv.

    FusedMBConvs stay as they are, as EdgeResiduals in
    :class:`BAEfficientNet`, which has the arguments.

    Args:
        arch (str): ``s``, ``m``, ``l``, ``xl`` or ``b0`` to ``b3``.
        **kwargs: See :class:`BAEfficientNet`.

    Source: our reading: the wiring of the authors' EfficientNet.
    """

    def __init__(self, arch: str = 's', *args, **kwargs):
        super().__init__(arch, *args, **kwargs)
