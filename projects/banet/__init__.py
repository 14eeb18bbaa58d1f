"""Bridge attention (BA-Net) for OpenMMLab.

Importing this package registers its modules in mmengine's root registry, so
that a config of mmpretrain, mmdet or mmseg can name them without a prefix.
"""

from .compat import check_environment

check_environment()  # before any import below that needs these packages

from .attention import BridgeAttentionV1, BridgeAttentionV2  # noqa: E402
from .backbones import (  # noqa: E402
    BABasicBlock,
    BABottleneck,
    BAResNet,
    BAResNetV1c,
    BAResNetV1d,
    BAResNeXt,
    BAResNeXtBottleneck,
)
from .block import BridgeMixin  # noqa: E402
from .checkpoint import load_weights  # noqa: E402
from .files import CheckpointError  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = [
    'BABasicBlock',
    'BABottleneck',
    'BAResNeXt',
    'BAResNeXtBottleneck',
    'BAResNet',
    'BAResNetV1c',
    'BAResNetV1d',
    'BridgeAttentionV1',
    'BridgeAttentionV2',
    'BridgeMixin',
    'CheckpointError',
    '__version__',
    'load_weights',
]
