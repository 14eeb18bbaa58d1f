"""ResNets with bridge attention, on mmpretrain's ResNet."""

from typing import Optional

from mmcv.cnn import fuse_conv_bn
from mmengine.registry import MODELS
from mmpretrain.models.backbones.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    ResNetV1c,
    ResNetV1d,
)

from ..block import BridgeMixin
from ..deploy import check_foldable
from ..loading import LoadingMixin


class BABasicBlock(BridgeMixin, BasicBlock):
    """BasicBlock (two 3x3 convs) with bridge attention."""

    num_convs = 2


class BABottleneck(BridgeMixin, Bottleneck):
    """Bottleneck (1x1, 3x3 and 1x1 conv) with bridge attention."""

    num_convs = 3


@MODELS.register_module()
class BAResNet(LoadingMixin, ResNet):
    """ResNet with bridge attention in every residual block.

    On the plain stem its parameters, besides the attention's, have the names
    and shapes of torchvision's, mmdet's and mmseg's ResNets.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        attention (dict | None): Config of the attention of every block, see
            :class:`banet.block.BridgeMixin`; None gives the plain ResNet.
            Its ``norm_cfg`` defaults to the backbone's.
            Defaults to ``dict(type='BridgeAttentionV2', ratio=16)``.
        warm_start (bool): Make weights without attention, those of a plain
            ResNet, give exactly that ResNet: see
            :meth:`banet.block.BridgeMixin.takes_warm_start`. Defaults to True.
        contract_dilation (bool): Halve the dilation of the first block of
            every dilated stage, as mmseg's ResNet does. Defaults to False.
        zero_init_residual (bool): Start the last norm of every block at zero.
            Defaults to False as the authors train (mmpretrain: True).
        deploy (bool): Build the inference form, for weights that
            :meth:`switch_to_deploy` or tools/deploy.py gave.
            Defaults to False.
        **kwargs: Arguments of mmpretrain's ResNet.

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

    def __init__(
        self,
        depth: int,
        attention: Optional[dict] = dict(type='BridgeAttentionV2', ratio=16),
        warm_start: bool = True,
        contract_dilation: bool = False,
        zero_init_residual: bool = False,
        deploy: bool = False,
        **kwargs,
    ):
        if depth not in self.arch_settings:
            raise ValueError(
                f'{type(self).__name__} has no depth {depth!r}; choose from '
                f'{sorted(self.arch_settings)}.'
            )
        # Before super().__init__, which calls make_res_layer.
        self.attention = attention
        self.warm_start = warm_start
        self.contract_dilation = contract_dilation
        super().__init__(
            depth=depth, zero_init_residual=zero_init_residual, **kwargs
        )
        if deploy:
            self.switch_to_deploy()

    def switch_to_deploy(self) -> None:
        """Take the exact inference form: norms fused, attention folded.

        Computes what eval mode does; there is no way back. See
        :meth:`banet.block.BridgeMixin.switch_to_deploy`.

        Raises:
            ValueError: A batch norm has no running statistics or weights.
        """
        check_foldable(self)
        for module in self.modules():
            if isinstance(module, BridgeMixin):
                module.switch_to_deploy()
        # The stem alone: mmcv would look into a user's own attention, too.
        stages = {name: self._modules[name] for name in self.res_layers}
        self._modules.update(dict.fromkeys(stages))
        fuse_conv_bn(self)
        self._modules.update(stages)

    def make_res_layer(self, **kwargs):
        """Build one stage; arguments of mmpretrain's ResLayer."""
        kwargs.update(attention=self.attention, warm_start=self.warm_start)
        if not (self.contract_dilation and kwargs['dilation'] > 1):
            return super().make_res_layer(**kwargs)
        rates = kwargs.pop('drop_path_rate')
        first = dict(
            kwargs,
            num_blocks=1,
            dilation=kwargs['dilation'] // 2,
            drop_path_rate=rates[:1],
        )
        rest = dict(
            kwargs,
            num_blocks=kwargs['num_blocks'] - 1,
            in_channels=kwargs['out_channels'],
            stride=1,
            drop_path_rate=rates[1:],
        )
        layer = super().make_res_layer(**first)
        return layer.extend(super().make_res_layer(**rest))

    def _freeze_stages(self):
        if not -1 <= self.frozen_stages <= self.num_stages:
            raise ValueError(
                f'frozen_stages={self.frozen_stages} is out of range: use -1 '
                '(nothing), 0 (the stem) or the number of stages to freeze, '
                f'up to {self.num_stages}.'
            )
        super()._freeze_stages()

    def train(self, mode: bool = True):
        """Set the mode; unlike upstream's, return the module itself."""
        super().train(mode)
        return self


@MODELS.register_module()
class BAResNetV1c(BAResNet, ResNetV1c):
    """:class:`BAResNet` with a stem of three 3x3 convs."""


@MODELS.register_module()
class BAResNetV1d(BAResNet, ResNetV1d):
    """:class:`BAResNetV1c` that downsamples by average pooling."""
