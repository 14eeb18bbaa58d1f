"""ResNet's blocks against their formula and the plain networks."""

import re

import pytest
import torch
from inputs import images
from mmpretrain.models.backbones import ResNet, ResNetV1c, ResNetV1d, ResNeXt
from mmseg.models.backbones import ResNet as SegResNet
from mmseg.models.backbones import ResNetV1c as SegResNetV1c
from mmseg.models.backbones import ResNetV1d as SegResNetV1d
from resnets import bridged, small

from banet import (
    BARegNet,
    BAResNet,
    BAResNetV1c,
    BAResNetV1d,
    BAResNeXt,
    BridgeAttentionV2,
)

FAMILIES = [
    (BAResNet, ResNet, 18),
    (BAResNet, ResNet, 50),
    (BAResNetV1c, ResNetV1c, 18),
    (BAResNetV1d, ResNetV1d, 50),
    (BAResNeXt, ResNeXt, 50),
]


def reference_block(block, x):
    """One residual block in plain operations, for eval mode."""
    features, out = [], x
    for i in range(1, block.num_convs + 1):
        out = getattr(block, f'norm{i}')(getattr(block, f'conv{i}')(out))
        out = out if i == block.num_convs else out.clamp(min=0)
        features.append(out)
    pooled = [f.sum((2, 3)) / f[0, 0].numel() for f in features]
    gate = block.attention(pooled)
    shortcut = x if block.downsample is None else block.downsample(x)
    return (shortcut + gate * out).clamp(min=0)


@pytest.mark.parametrize(
    'build',
    [
        lambda: small(18),
        lambda: small(50),
        lambda: bridged(50, BAResNeXt, groups=4),
    ],
    ids=['basic', 'bottleneck', 'resnext'],
)
def test_block_equals_the_formula(build):
    model = build().double().eval()
    for block in list(model.layer2)[:2]:  # with and without downsample
        x = torch.randn(2, block.conv1.in_channels, 9, 7).double()
        torch.testing.assert_close(
            block(x.clone()), reference_block(block, x), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize('depth', [18, 50])
def test_every_conv_output_reaches_the_gate(depth):
    block = small(depth).layer1[0]
    gates = []
    block.attention.register_forward_hook(
        lambda module, args, out: gates.append(out)
    )
    block(torch.randn(5, 16, 8, 8))
    gates[0].square().sum().backward()
    for i in range(1, block.num_convs + 1):
        assert getattr(block, f'conv{i}').weight.grad.abs().sum() > 0, i


@pytest.mark.parametrize('ours,plain,depth', FAMILIES)
def test_without_attention_it_is_the_plain_network(ours, plain, depth):
    model = ours(depth, attention=None, out_indices=(0, 1, 2, 3)).eval()
    base = plain(depth=depth, out_indices=(0, 1, 2, 3))
    base.eval()
    base.load_state_dict(model.state_dict())
    for a, b in zip(model(images()), base(images()), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('ours,plain,depth', FAMILIES)
def test_plain_names_and_shapes_are_kept(ours, plain, depth):
    shapes = {k: v.shape for k, v in ours(depth).state_dict().items()}
    for name, value in plain(depth=depth).state_dict().items():
        assert shapes.pop(name) == value.shape
    assert all('.attention.' in name for name in shapes)


def seg_name(name, avg_down):
    """mmseg's name of our parameter: other names of the deep stem."""
    match = re.match(r'stem\.(\d)\.(conv|bn)\.(.*)', name)
    if match:
        index = 3 * int(match[1]) + (match[2] == 'bn')
        return f'stem.{index}.{match[3]}'
    # mmseg keeps a 1x1 pool where the stride is 1, we do not.
    match = re.match(r'(layer[134]\.0\.downsample)\.(\d)\.(.*)', name)
    if match and avg_down:
        return f'{match[1]}.{int(match[2]) + 1}.{match[3]}'
    return name


@pytest.mark.slow
@pytest.mark.parametrize('contract', [True, False])
@pytest.mark.parametrize(
    'ours,plain,depth',
    [
        (BAResNet, SegResNet, 18),
        (BAResNet, SegResNet, 50),
        (BAResNetV1c, SegResNetV1c, 50),
        (BAResNetV1d, SegResNetV1d, 50),
    ],
)
def test_dilated_networks_equal_those_of_mmseg(ours, plain, depth, contract):
    kwargs = dict(
        depth=depth,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        out_indices=(0, 1, 2, 3),
        contract_dilation=contract,
    )
    model = ours(attention=None, **kwargs).eval()
    base = plain(**kwargs)
    base.eval()
    avg_down = ours is BAResNetV1d
    base.load_state_dict(
        {
            seg_name(name, avg_down): value
            for name, value in model.state_dict().items()
        }
    )
    outputs = model(images()), base(images())
    for a, b in zip(*outputs, strict=True):
        assert torch.equal(a, b)


def test_contracted_stage_has_its_stochastic_depth_and_attention():
    kwargs = dict(dilations=(1, 1, 2, 4), drop_path_rate=0.3)
    rates = {
        contract: [
            getattr(block.drop_path, 'drop_prob', 0)
            for block in small(contract_dilation=contract, **kwargs).modules()
            if hasattr(block, 'drop_path')
        ]
        for contract in (True, False)
    }
    assert rates[True] == rates[False]
    model = small(contract_dilation=True, **kwargs)
    assert all(
        isinstance(block.attention, BridgeAttentionV2)
        for block in model.modules()
        if hasattr(block, 'drop_path')
    )


def test_stochastic_depth_drops_whole_paths():
    block = small(drop_path_rate=1 - 1e-7).layer4[1].train()
    x = torch.rand(5, 128, 4, 4)
    assert torch.equal(block(x), x)  # non-negative, so ReLU keeps it


def test_zero_init_residual_is_off_by_default():
    assert small().layer1[0].norm2.weight.eq(1).all()
    assert small(zero_init_residual=True).layer1[0].norm2.weight.eq(0).all()


def test_convs_are_initialised_as_the_authors_do():
    """Kaiming normal, fan_out: std = sqrt(2 / (C_out * k * k))."""
    model = BAResNet(18)
    model.init_weights()
    weight = model.layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx(
        (2 / (512 * 9)) ** 0.5, rel=0.01
    )


def test_resnext_bridges_its_own_widths():
    model = BAResNeXt(50, groups=32, width_per_group=4)
    assert model.layer1[0].attention.in_channels == (128, 128, 256)
    assert model.layer1[0].conv2.groups == 32


def test_stage_of_one_block_contracts_its_dilation():
    model = BARegNet(
        'regnetx_6.4gf',
        strides=(2, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,
    )
    (block,) = model.layer4
    assert block.conv2.dilation == (2, 2)
