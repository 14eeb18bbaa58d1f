"""Backbones with bridge attention, one file per family."""

from .base import BridgedBackbone
from .convnext import BAConvNeXt, BAConvNeXtBlock
from .efficientnet import BAEfficientNet, BAEfficientNetV2
from .inverted_residual import BAMBConv, BAMobileBlock
from .mobilenet_v3 import BAMobileNetV3
from .regnet import BARegNet
from .resnet import (
    BABasicBlock,
    BABottleneck,
    BAResNet,
    BAResNet_CIFAR,
    BAResNetV1c,
    BAResNetV1d,
)
from .resnext import BAResNeXt, BAResNeXtBottleneck
from .swin import BASwinBlock, BASwinTransformer

__all__ = [
    'BABasicBlock',
    'BABottleneck',
    'BAConvNeXt',
    'BAConvNeXtBlock',
    'BAEfficientNet',
    'BAEfficientNetV2',
    'BAMBConv',
    'BAMobileBlock',
    'BAMobileNetV3',
    'BARegNet',
    'BAResNeXt',
    'BAResNeXtBottleneck',
    'BAResNet',
    'BAResNet_CIFAR',
    'BAResNetV1c',
    'BAResNetV1d',
    'BASwinBlock',
    'BASwinTransformer',
    'BridgedBackbone',
]
