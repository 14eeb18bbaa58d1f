"""MobileNetV3 with bridge attention, on mmpretrain's MobileNetV3."""

from typing import Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones.mobilenet_v3 import MobileNetV3
from mmpretrain.models.utils import InvertedResidual

from .base import check_arch
from .inverted_residual import (
    BAMobileBlock,
    InvertedResiduals,
    name_torchvision_blocks,
)
from .names import rename

TORCHVISION = (
    (r'^features\.(\d+)\.', r'layer\1.'),
    # The first and the last layer.
    (r'^(layer\d+)\.0\.', r'\1.conv.'),
    (r'^(layer\d+)\.1\.', r'\1.bn.'),
)


@MODELS.register_module()
class BAMobileNetV3(InvertedResiduals, MobileNetV3):
    """MobileNetV3 with bridge attention where it had SE and an expansion.

    Args:
        arch (str): ``small``, ``large``, ``small_075`` or ``small_050``.
        attention (dict | None): See :class:`banet.BAResNet`. Its ``ratio``
            counts from the hidden width. Defaults to
            ``dict(type='BridgeAttentionV2', ratio=6,
            gate_cfg=dict(type='HSigmoid'))``.
        warm_start (bool): Without effect: every attention replaces an SE,
            which no gate equals, and starts at its initial values, also in
            frozen stages. Defaults to True.
        deploy (bool): Build the inference form. Defaults to False.
        compile_blocks (bool | dict): See :class:`banet.BAResNet`.
        *args: Arguments of mmpretrain's MobileNetV3, in its order.
        **kwargs: The same by name.

    Raises:
        ValueError: Unknown ``arch``; ``frozen_stages`` or ``out_indices``
            out of range.

    Source: the reference code of arXiv 2112.04150, which has version 1.
    """

    def __init__(
        self,
        arch: str = 'small',
        *args,
        attention: Optional[dict] = dict(
            type='BridgeAttentionV2', ratio=6, gate_cfg=dict(type='HSigmoid')
        ),
        warm_start: bool = True,
        deploy: bool = False,
        compile_blocks: Union[bool, dict] = False,
        **kwargs,
    ):
        check_arch(self, arch, self.arch_settings)
        super().__init__(arch, *args, **kwargs)
        self.bridge_blocks(
            InvertedResidual,
            BAMobileBlock,
            attention,
            self.norm_cfg,
            warm_start,
        )
        self._freeze_stages()  # as DDP has to find it
        self.take_form(deploy, compile_blocks)

    def to_own(self, found):
        """Names of torchvision."""
        ours = name_torchvision_blocks(found)
        outer = rename(ours.values(), TORCHVISION)
        return {outer[ours[name]]: value for name, value in found.items()}
