"""RegNets with bridge attention, on mmpretrain's RegNet."""

from mmengine.registry import MODELS
from mmpretrain.models.backbones.regnet import RegNet

from .base import check_arch
from .names import rename
from .resnet import ResidualStages
from .resnext import BAResNeXtBottleneck

TORCHVISION = (
    (r'^stem\.0\.', 'conv1.'),
    (r'^stem\.1\.', 'bn1.'),
    (r'^trunk_output\.block(\d)\.block\d-(\d+)\.', r'layer\1.\2.'),
    (r'^(layer\d\.\d+)\.proj\.', r'\1.downsample.'),
    (r'^(layer\d\.\d+)\.f\.a\.0\.', r'\1.conv1.'),
    (r'^(layer\d\.\d+)\.f\.a\.1\.', r'\1.bn1.'),
    (r'^(layer\d\.\d+)\.f\.b\.0\.', r'\1.conv2.'),
    (r'^(layer\d\.\d+)\.f\.b\.1\.', r'\1.bn2.'),
    (r'^(layer\d\.\d+)\.f\.c\.0\.', r'\1.conv3.'),
    (r'^(layer\d\.\d+)\.f\.c\.1\.', r'\1.bn3.'),
)


@MODELS.register_module()
class BARegNet(ResidualStages, RegNet):
    """RegNetX with bridge attention in every residual block.

    Where RegNetY has squeeze-and-excitation; bridged are the outputs of all
    three convs, as in a ResNet.

    Args:
        arch (str | dict): One of mmpretrain's, ``regnetx_400mf`` to
            ``regnetx_12gf``, or a description of one.
        *args: Arguments of mmpretrain's RegNet, in its order.
        **kwargs: The same by name, and ``attention``, ``warm_start``,
            ``contract_dilation``, ``zero_init_residual``, ``deploy`` and
            ``compile_blocks`` of :class:`banet.BAResNet`.

    Raises:
        ValueError: Unknown ``arch``, or ``frozen_stages`` out of range.

    Source: our reading. The authors name RegNetY-4G and have published no
    code for it.
    """

    def __init__(self, arch, *args, **kwargs):
        check_arch(self, arch, self.arch_settings, described=True)
        super().__init__(arch, *args, **kwargs)

    def make_res_layer(self, **kwargs):
        """Build one stage; arguments of mmpretrain's ResLayer."""
        return super().make_res_layer(
            **{**kwargs, 'block': BAResNeXtBottleneck}
        )

    def to_own(self, found):
        """Names of torchvision."""
        ours = rename(found, TORCHVISION)
        return {ours[name]: value for name, value in found.items()}
