"""Bridge attention (BA-Net) for OpenMMLab.

Importing this package registers its modules in mmengine's root registry, so
that a config of mmpretrain, mmdet or mmseg can name them without a prefix.
"""

import sys

from .version import __version__

# `python -m banet.doctor` runs where nothing of this can be imported.
if 'banet.doctor' not in sys.orig_argv:
    from .compat import check_environment

    check_environment()  # before any import that needs these packages

    from .attention import BridgeAttentionV1, BridgeAttentionV2
    from .backbones import (
        BABasicBlock,
        BABottleneck,
        BAConvNeXt,
        BAEfficientNet,
        BAEfficientNetV2,
        BAMobileNetV3,
        BARegNet,
        BAResNet,
        BAResNetV1c,
        BAResNetV1d,
        BAResNeXt,
        BAResNeXtBottleneck,
        BASwinTransformer,
    )
    from .block import BridgeMixin
    from .checkpoint import load_weights
    from .files import CheckpointError
    from .hooks import BridgeStatsHook, TensorBoardHook
    from .inference import load, Predictor
    from .residual import ConvNormBridge
    from .zoo import features, list_models

__all__ = [
    'BABasicBlock',
    'BABottleneck',
    'BAConvNeXt',
    'BAEfficientNet',
    'BAEfficientNetV2',
    'BAMobileNetV3',
    'BARegNet',
    'BAResNeXt',
    'BAResNeXtBottleneck',
    'BAResNet',
    'BAResNetV1c',
    'BAResNetV1d',
    'BASwinTransformer',
    'BridgeAttentionV1',
    'BridgeAttentionV2',
    'BridgeMixin',
    'BridgeStatsHook',
    'CheckpointError',
    'ConvNormBridge',
    'Predictor',
    'TensorBoardHook',
    '__version__',
    'features',
    'list_models',
    'load',
    'load_weights',
]
