"""What the contract tests share: networks of every class, and their control.

A check takes a :class:`Case` and asserts what a backbone of this field does.
Where ours fail, it runs on mmpretrain's own network: what that passes, ours
must pass; where it fails, too, nothing is asked of ours.
"""

from dataclasses import dataclass, field

import mmpretrain.models.backbones as upstream
import pytest
import small_archs  # noqa: F401 (registers them)
import torch
from inputs import OLD_TORCH
from torch import nn

import banet

# Small networks; the hidden widths of their attention are those of large ones.
V2 = dict(attention=dict(type='BridgeAttentionV2', ratio=4))
V1 = dict(attention=dict(type='BridgeAttentionV1', ratio=4))
LN = dict(
    attention=dict(type='BridgeAttentionV2', ratio=4, norm_cfg=dict(type='LN'))
)
SE = dict(attention=dict(type='SqueezeExcitation', ratio=4))
ECA = dict(attention=dict(type='EfficientChannelAttention'))
COMPILED = dict(V2, compile_blocks=dict(backend='eager'))
NONE = dict(attention=None)
TWO = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
THIN = dict(base_channels=16, stem_channels=16, **TWO)
# name -> (class, arguments, what ours is given in turn)
NETWORKS = {
    'resnet18': ('ResNet', dict(depth=18, **THIN), (V2, V1, LN, ECA, NONE)),
    'resnet18-v1c': (
        'ResNetV1c',
        dict(depth=18, **{**THIN, 'strides': (1, 1), 'dilations': (1, 2)}),
        (V2,),
    ),
    'resnet18-v1d': ('ResNetV1d', dict(depth=18, **THIN), (V1,)),
    'resnet18-cifar': (
        'ResNet_CIFAR',
        dict(depth=18, **{**THIN, 'base_channels': 8, 'stem_channels': 8}),
        (V2,),
    ),
    'resnext50': (
        'ResNeXt',
        dict(depth=50, groups=4, **THIN),
        (V2, SE, NONE),
    ),
    'regnet': (
        'RegNet',
        dict(
            arch=dict(w0=16, wa=12.0, wm=2.0, group_w=8, depth=6, bot_mul=1.0),
            strides=(2, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(0, 1, 2),
        ),
        (V2, V1, LN, NONE),
    ),
    'mobilenet-v3': (
        'MobileNetV3',
        dict(arch='thin', out_indices=(0, 3, 5)),
        ({}, NONE),
    ),
    'efficientnet': (
        'EfficientNet',
        dict(arch='thin', out_indices=(2, 5)),
        ({}, V1, LN, NONE),
    ),
    'efficientnet-es': (
        'EfficientNet',
        dict(arch='pocket', out_indices=(2, 5)),
        ({},),
    ),
    'efficientnet-v2': (
        'EfficientNetV2',
        dict(arch='thin', out_indices=(2, 5)),
        ({},),
    ),
    'convnext': (
        'ConvNeXt',
        dict(
            arch=dict(depths=[1, 1, 2, 1], channels=[16, 32, 48, 64]),
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
        ),
        (V2, NONE),
    ),
    'convnext-v2': (
        'ConvNeXt',
        dict(
            arch=dict(depths=[1, 1, 2, 1], channels=[16, 32, 48, 64]),
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
            use_grn=True,
            layer_scale_init_value=0.0,
            linear_pw_conv=False,
        ),
        (V2,),
    ),
    'swin': (
        'SwinTransformer',
        dict(
            arch=dict(
                embed_dims=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8]
            ),
            img_size=64,
            out_indices=(0, 1, 2, 3),
            pad_small_map=True,
        ),
        (V2, NONE),
    ),
}
# For `make test-fast`: ResNet's block, one that replaces SE, one with LN.
FAST = 'resnet18', 'mobilenet-v3', 'convnext'
# Where an attention stands in the place of squeeze-and-excitation.
REPLACING = 'mobilenet-v3', 'efficientnet', 'efficientnet-v2'


class Chained:
    """Its train() and eval() return the module, as PyTorch's do.

    mmpretrain's return None, on which torchvision's extractors fail.
    """

    def train(self, mode=True):
        super().train(mode)
        return self


PLAIN = {
    kind: type(
        f'Plain{kind}',
        (Chained, getattr(upstream, kind)),
        dict(__module__=__name__),
    )
    for kind, _, _ in NETWORKS.values()
}
globals().update((cls.__name__, cls) for cls in PLAIN.values())  # to pickle


@dataclass(frozen=True)
class Case:
    """One network under one check.

    Attributes:
        name (str): Of the network.
        own (dict | None): What ours is given; None: mmpretrain's network.
    """

    name: str
    own: dict | None = field(default=None)

    @property
    def is_plain(self) -> bool:
        return self.own is None

    @property
    def cls(self) -> type:
        kind = NETWORKS[self.name][0]
        return PLAIN[kind] if self.is_plain else getattr(banet, f'BA{kind}')

    def build(self, training=False, **more) -> nn.Module:
        """The network, with norms and scales as a trained one has them."""
        kwargs = {**NETWORKS[self.name][1], **(self.own or {}), **more}
        if self.is_plain and 'Res' in self.cls.__name__:
            kwargs['zero_init_residual'] = False
        torch.manual_seed(0)
        model = self.cls(**kwargs)
        settle(model)
        return model.train(training)

    @property
    def control(self) -> 'Case':
        """mmpretrain's own network."""
        return Case(self.name)


def settle(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
        for name, parameter in model.named_parameters():
            if name.endswith('gamma'):
                parameter.uniform_(0.5, 1, generator=generator)


def images(count=4, size=(32, 32), seed=0, channels=3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, *size, generator=generator)


def close(found, expected, tolerance=1e-4) -> None:
    """Differences below ``tolerance`` of the largest value, map by map."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert a.shape == b.shape
        error = (a.double() - b.double()).abs().max().item()
        assert error <= tolerance * b.double().abs().max().item() + 1e-6


def loss(outputs) -> torch.Tensor:
    """A number on which every value of every output counts differently."""
    return sum(
        (out.float() * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()
        / out.numel() ** 0.5
        for out in outputs
    )


def gradients(model, x, run=None) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(2)  # of stochastic depth
    loss((run or model)(x)).backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def same_gradients(found, expected, tolerance=1e-3) -> None:
    """But where the true gradient is zero, as of a bias before a norm."""
    largest = max(g.abs().max().item() for g in expected.values())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        error = (found[name] - gradient).abs().max().item()
        limit = tolerance * gradient.abs().max().item() + 1e-5 * largest
        assert error <= limit, f'{name}: {error}'


def contract(*checks, plain_fails=(), networks=tuple(NETWORKS), variants=None):
    """A test that runs each of ``checks`` on each of ``networks``.

    Args:
        plain_fails (Collection[tuple[str, str]]): Check and network where
            mmpretrain's own network fails. With an old torch more fail, which
            nobody lists.
        variants (int | None): Only so many of what ours are given in turn.
    """

    @pytest.mark.parametrize(
        'name',
        [
            pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
            for name in networks
        ],
    )
    @pytest.mark.parametrize(
        'check', checks, ids=[check.__name__ for check in checks]
    )
    def test(check, name):
        try:
            for own in NETWORKS[name][2][:variants]:
                check(Case(name, own))
        except Exception:
            known = (check.__name__, name) in plain_fails
            try:
                check(Case(name))
            except Exception as error:  # whatever the plain network cannot do
                if not (known or OLD_TORCH):
                    raise
                text = ' '.join(str(error).split())[:100]
                pytest.skip(f'the plain network fails, too: {text}')
            raise

    return test
