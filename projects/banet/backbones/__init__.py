"""Backbones with bridge attention, one file per family."""

from .resnet import (
    BABasicBlock,
    BABottleneck,
    BAResNet,
    BAResNetV1c,
    BAResNetV1d,
)
from .resnext import BAResNeXt, BAResNeXtBottleneck

__all__ = [
    'BABasicBlock',
    'BABottleneck',
    'BAResNeXt',
    'BAResNeXtBottleneck',
    'BAResNet',
    'BAResNetV1c',
    'BAResNetV1d',
]
