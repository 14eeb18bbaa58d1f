"""Bridge attention (BA-Net) for OpenMMLab.

Importing this package registers its modules in mmengine's root registry, so
that a config of mmpretrain, mmdet or mmseg can name them without a prefix.
"""

import sys

from .version import __version__

# `python -m banet.doctor` runs where nothing of this can be imported.
if not {'banet.doctor', '-mbanet.doctor'} & set(sys.orig_argv):
    from .utils.compat import check_environment

    check_environment()  # before any import that needs these packages

    from .apis.inference import load
    from .apis.predictor import Predictor
    from .apis.zoo import features, list_models
    from .backbones import (
        BABasicBlock,
        BABottleneck,
        BAConvNeXt,
        BAEfficientNet,
        BAEfficientNetV2,
        BAMobileNetV3,
        BARegNet,
        BAResNet,
        BAResNet_CIFAR,
        BAResNetV1c,
        BAResNetV1d,
        BAResNeXt,
        BAResNeXtBottleneck,
        BASwinTransformer,
    )
    from .bridge.attention import BridgeAttentionV1, BridgeAttentionV2
    from .bridge.block import BridgeMixin
    from .bridge.channel_attention import (
        EfficientChannelAttention,
        SqueezeExcitation,
    )
    from .bridge.residual import ConvNormBridge
    from .checkpoint.convert import load_weights
    from .checkpoint.weights import let_mmengine_read_ours
    from .data.augment import RandomResizedCropFlip
    from .data.memory import InMemoryDataset
    from .engine.calibration import CalibrationHook
    from .engine.cpu_amp import CPUAmpOptimWrapper
    from .engine.hooks import BridgeStatsHook, TensorBoardHook
    from .engine.last_validation import LastValidationHook
    from .engine.seeding import EpochSeedHook
    from .utils.errors import CheckpointError

    let_mmengine_read_ours()

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
    'BAResNet_CIFAR',
    'BAResNetV1c',
    'BAResNetV1d',
    'BASwinTransformer',
    'BridgeAttentionV1',
    'BridgeAttentionV2',
    'BridgeMixin',
    'BridgeStatsHook',
    'CPUAmpOptimWrapper',
    'CalibrationHook',
    'CheckpointError',
    'ConvNormBridge',
    'EfficientChannelAttention',
    'EpochSeedHook',
    'InMemoryDataset',
    'Predictor',
    'LastValidationHook',
    'RandomResizedCropFlip',
    'SqueezeExcitation',
    'TensorBoardHook',
    '__version__',
    'features',
    'list_models',
    'load',
    'load_weights',
]
