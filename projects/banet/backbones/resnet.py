"""ResNets with bridge attention, on mmpretrain's ResNet."""

from inspect import signature
from typing import Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones import ResNet_CIFAR
from mmpretrain.models.backbones.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    ResNetV1c,
    ResNetV1d,
)

from ..bridge.residual import ConvNormBridge
from ..bridge.warm_start import tensors_of
from . import names
from .base import BridgedBackbone, check_frozen


class BABasicBlock(ConvNormBridge, BasicBlock):
    """BasicBlock (two 3x3 convs) with bridge attention."""

    num_convs = 2


class BABottleneck(ConvNormBridge, Bottleneck):
    """Bottleneck (1x1, 3x3 and 1x1 conv) with bridge attention."""

    num_convs = 3


class ResidualStages(BridgedBackbone):
    """What ResNets, ResNeXts and RegNets share: see :class:`BAResNet`."""

    def __init__(
        self,
        *args,
        attention: Optional[dict] = dict(type='BridgeAttentionV2', ratio=16),
        warm_start: bool = True,
        contract_dilation: bool = False,
        deploy: bool = False,
        compile_blocks: Union[bool, dict] = False,
        **kwargs,
    ):
        # Before super().__init__, which calls make_res_layer.
        self.attention = attention
        self.warm_start = warm_start
        self.contract_dilation = contract_dilation
        positions = list(signature(super().__init__).parameters)
        if 'zero_init_residual' not in positions[: len(args)]:
            kwargs.setdefault('zero_init_residual', False)
        super().__init__(*args, **kwargs)
        self.take_form(deploy, compile_blocks)

    def make_res_layer(self, **kwargs):
        """Build one stage; arguments of mmpretrain's ResLayer."""
        kwargs.update(attention=self.attention, warm_start=self.warm_start)
        if not (self.contract_dilation and kwargs['dilation'] > 1):
            return super().make_res_layer(**kwargs)
        num_blocks = kwargs['num_blocks']
        rates = kwargs.pop('drop_path_rate', [0.0] * num_blocks)
        first = dict(
            kwargs,
            num_blocks=1,
            dilation=kwargs['dilation'] // 2,
            drop_path_rate=rates[:1],
        )
        rest = dict(
            kwargs,
            num_blocks=num_blocks - 1,
            in_channels=kwargs['out_channels'],
            stride=1,
            drop_path_rate=rates[1:],
        )
        layer = super().make_res_layer(**first)
        if num_blocks == 1:
            return layer
        return layer.extend(super().make_res_layer(**rest))

    def _freeze_stages(self):
        check_frozen(
            self.frozen_stages,
            -1,
            self.num_stages,
            '0 being the stem and the others the number of frozen stages',
        )
        super()._freeze_stages()


@MODELS.register_module()
class BAResNet(ResidualStages, ResNet):
    """ResNet with bridge attention in every residual block.

    On the plain stem its parameters, besides the attention's, have the names
    and shapes of torchvision's, mmdet's and mmseg's ResNets.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        attention (dict | None): Config of the attention of every block, see
            :class:`banet.BridgeMixin`; None gives the plain ResNet.
            Its ``norm_cfg`` defaults to the backbone's.
            Defaults to ``dict(type='BridgeAttentionV2', ratio=16)``.
        warm_start (bool): Make weights without attention, those of a plain
            ResNet, give exactly that ResNet: see
            :meth:`banet.BridgeMixin.takes_warm_start`. Defaults to True.
        contract_dilation (bool): Halve the dilation of the first block of
            every dilated stage, as mmseg's ResNet does. Defaults to False.
        zero_init_residual (bool): Start the last norm of every block at zero.
            Defaults to False as the authors train (mmpretrain: True).
        deploy (bool): Build the inference form, for weights that
            :meth:`switch_to_deploy` or tools/deploy.py gave.
            Defaults to False.
        compile_blocks (bool | dict): Compile every block where it stands,
            with torch.compile's arguments if it is a dict; names of weights
            stay as they are. The deploy form stays eager.
            Defaults to False.
        *args: Arguments of mmpretrain's ResNet, in its order.
        **kwargs: The same by name.

    Raises:
        ValueError: Unknown ``depth``, or ``frozen_stages`` out of range.

    Source: arXiv 2410.07860 (v2), arXiv 2112.04150 (v1) and their reference
    code.

    Example:
        >>> import torch
        >>> from banet import BAResNet
        >>> model = BAResNet(18, out_indices=(0, 3)).eval()
        >>> [tuple(out.shape) for out in model(torch.rand(1, 3, 64, 64))]
        [(1, 64, 16, 16), (1, 512, 2, 2)]
    """

    arch_settings = {
        depth: (BABasicBlock if block is BasicBlock else BABottleneck, blocks)
        for depth, (block, blocks) in ResNet.arch_settings.items()
    }

    def __init__(self, depth: int, *args, **kwargs):
        if depth not in self.arch_settings:
            raise ValueError(
                f'{type(self).__name__} has no depth {depth!r}; choose from '
                f'{sorted(self.arch_settings)}.'
            )
        if args:
            super().__init__(depth, *args, **kwargs)
        else:  # mmpretrain's V1c and V1d know keywords alone
            super().__init__(depth=depth, **kwargs)

    def to_own(self, found):
        """Names of torchvision, timm, mmdet, mmseg and the authors."""
        ours = names.to_ours(found)
        own = tensors_of(self)
        adapted = {
            **names.name_rivals(ours.values(), own),
            **names.shift_downsample(ours.values(), own),
            **names.name_stem_norms(ours.values(), own),
        }
        ours = {name: adapted.get(new, new) for name, new in ours.items()}
        return {
            ours[name]: names.in_shape(value, own.get(ours[name]))
            for name, value in found.items()
        }


@MODELS.register_module()
class BAResNetV1c(BAResNet, ResNetV1c):
    """:class:`BAResNet` with a stem of three 3x3 convs."""


@MODELS.register_module()
class BAResNetV1d(BAResNet, ResNetV1d):
    """:class:`BAResNetV1c` that downsamples by average pooling."""


@MODELS.register_module()
class BAResNet_CIFAR(BAResNet, ResNet_CIFAR):
    """:class:`BAResNet` for small images: a 3x3 stem that halves nothing."""
