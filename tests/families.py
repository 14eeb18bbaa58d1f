"""The other families, each in a small form, and the plain ones beside."""

import copy

import torch
from mmpretrain.models import backbones
from small_archs import CONVNEXT, REGNET, SWIN
from torch import nn

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BASwinTransformer,
)

V1 = 'BridgeAttentionV1'
V2 = 'BridgeAttentionV2'
# Small enough for tests, with everything that the large ones have.
ATTENTION = dict(type=V2, ratio=4)
SMALL = {
    'regnet': (BARegNet, dict(arch=REGNET)),
    'mobilenet-small': (BAMobileNetV3, dict(arch='small_050')),
    'mobilenet-large': (BAMobileNetV3, dict(arch='large')),
    'efficientnet': (BAEfficientNet, dict(arch='thin', out_indices=(5,))),
    'efficientnet-edge': (
        BAEfficientNet,
        dict(arch='pocket', out_indices=(5,)),
    ),
    'efficientnet-v2': (BAEfficientNetV2, dict(arch='thin')),
    'convnext': (BAConvNeXt, dict(arch=CONVNEXT, layer_scale_init_value=0.5)),
    'convnext-conv': (
        BAConvNeXt,
        dict(arch=CONVNEXT, layer_scale_init_value=0.5, linear_pw_conv=False),
    ),
    'convnext-v2': (
        BAConvNeXt,
        dict(arch=CONVNEXT, layer_scale_init_value=0.0, use_grn=True),
    ),
    'swin': (
        BASwinTransformer,
        dict(arch=SWIN, window_size=4, pad_small_map=True, drop_path_rate=0.0),
    ),
}
EXACT = [  # the plain networks have no attention of their own
    'regnet',
    'efficientnet-edge',
    'convnext',
    'convnext-conv',
    'convnext-v2',
    'swin',
]
REPLACED = [name for name in SMALL if name not in EXACT]


def plain_class(cls):
    return getattr(backbones, cls.__name__.removeprefix('BA'))


def shake(model):
    """Weights and running statistics as after a training."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return shake_statistics(model)


def shake_statistics(model):
    """Running statistics as after a training, not 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return model


def build(name, **kwargs):
    torch.manual_seed(0)
    model = make(name, **kwargs)
    model.init_weights()
    return shake(model)


def make(name, **kwargs):
    cls, arguments = SMALL[name]
    if cls in (BAConvNeXt, BASwinTransformer):  # too narrow for ratio 16
        arguments = {'attention': ATTENTION, **arguments}
    return cls(**copy.deepcopy({**arguments, **kwargs}))


def build_plain(name, **kwargs):
    cls, arguments = SMALL[name]
    torch.manual_seed(0)
    model = plain_class(cls)(**copy.deepcopy({**arguments, **kwargs}))
    model.init_weights()
    return shake(model)


def attended(model):
    return [
        (name, block)
        for name, block in model.blocks()
        if block.attention is not None
    ]
