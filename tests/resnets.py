"""Small ResNets, plain and bridged, whose weights are not initial ones."""

import inputs
import torch
from mmpretrain.models.backbones import (
    ResNet,
    ResNet_CIFAR,
    ResNetV1c,
    ResNetV1d,
    ResNeXt,
)

from banet import (
    BAResNet,
    BAResNet_CIFAR,
    BAResNetV1c,
    BAResNetV1d,
    BAResNeXt,
)

V1 = dict(type='BridgeAttentionV1', ratio=4)
V2 = dict(type='BridgeAttentionV2', ratio=4)
LN = dict(norm_cfg=dict(type='LN'))
NARROW = dict(base_channels=16, stem_channels=16)
GN = dict(norm_cfg=dict(type='GN', num_groups=4))


def images(dtype=torch.float32):
    """Three, for networks that are compared in ``dtype``."""
    return inputs.images(3).to(dtype)


def trained(model, seed=0):
    """``model`` with every tensor away from its initial value."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith('num_batches_tracked'):
            continue
        if tensor.dim() > 1:
            tensor.normal_(
                0, (2 / tensor[0].numel()) ** 0.5, generator=generator
            )
        elif name.endswith(('weight', 'running_var')):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return model


def plain(depth=18, cls=ResNet, **kwargs):
    return trained(cls(depth=depth, **{**NARROW, **kwargs}))


def bridged(depth=18, cls=BAResNet, attention=V2, **kwargs):
    """With attention weights far from neutral."""
    return trained(cls(depth, attention=attention, **{**NARROW, **kwargs}), 7)


def last_norms(model):
    """Names of the doubled parameters: the last norm of each block."""
    last = 2 if model.depth < 50 else 3
    return {
        name
        for name, _ in model.named_parameters()
        if f'.bn{last}.' in name or f'.gn{last}.' in name
        if name.startswith('layer')
    }


def relative(a, b):
    return ((a - b).norm() / b.norm().clamp(min=1e-30)).item()


WAYS = {
    'basic': (18, ResNet, BAResNet, V2, {}),
    'bottleneck': (50, ResNet, BAResNet, V2, {}),
    'v1': (18, ResNet, BAResNet, V1, {}),
    'v1-bottleneck': (50, ResNet, BAResNet, V1, {}),
    'syncbn': (18, ResNet, BAResNet, V2, dict(norm_cfg=dict(type='SyncBN'))),
    'gn': (18, ResNet, BAResNet, dict(V2, **LN), GN),
    'gn-v1': (50, ResNet, BAResNet, dict(V1, **LN), GN),
    'v1c': (50, ResNetV1c, BAResNetV1c, V2, {}),
    'v1d': (50, ResNetV1d, BAResNetV1d, V2, {}),
    'resnext': (50, ResNeXt, BAResNeXt, V2, dict(groups=4)),
    'cifar': (18, ResNet_CIFAR, BAResNet_CIFAR, V2, {}),
    'caffe': (50, ResNet, BAResNet, V2, dict(style='caffe')),
    'frozen': (50, ResNet, BAResNet, V2, dict(frozen_stages=1)),
    'norm_eval': (18, ResNet, BAResNet, V2, dict(norm_eval=True)),
    'se': (50, ResNet, BAResNet, dict(type='SqueezeExcitation'), {}),
    'eca': (18, ResNet, BAResNet, dict(type='EfficientChannelAttention'), {}),
    'hsigmoid': (
        18,
        ResNet,
        BAResNet,
        dict(V2, gate_cfg=dict(type='HSigmoid')),
        {},
    ),
}


def calibrated(model, dtype=torch.float32):
    """``model`` as if it had been trained, in eval mode.

    With the running statistics of its own maps, and branches that are small
    beside their shortcuts. A random network is chaotic: fusing the norms of
    the plain ResNet-50 alone would change its outputs by 1e-4 in float32.
    """
    model.to(dtype).train()
    parameters = dict(model.named_parameters())
    for name in last_norms(model):
        parameters[name].data.mul_(0.1)
    for name, module in model.named_modules():
        if hasattr(module, 'momentum') and '.attention.' not in name:
            module.momentum = None  # the mean over all batches
            module.reset_running_stats()
    with torch.no_grad():
        for _ in range(3):
            model(images(dtype))
    model.eval()
    return model


def small(depth=18, **kwargs):
    """A narrow backbone with deterministic weights."""
    torch.manual_seed(0)
    attention = dict(type='BridgeAttentionV2', ratio=4)
    model = BAResNet(
        depth, **{**dict(attention=attention), **NARROW, **kwargs}
    )
    model.init_weights()
    return model
