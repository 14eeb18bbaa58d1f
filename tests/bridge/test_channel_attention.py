"""The rivals in the same block are what SE and ECA are elsewhere."""

import pytest
import torch
from mmpretrain.models.backbones import SEResNet, SEResNeXt
from mmpretrain.models.utils import SELayer
from resnets import (
    bridged,
    calibrated,
    images,
    LN,
    NARROW,
    plain,
    relative,
    V1,
    V2,
)
from torch import nn

from banet import (
    BAConvNeXt,
    BAMobileNetV3,
    BAResNet,
    BAResNeXt,
    EfficientChannelAttention,
    SqueezeExcitation,
)
from banet.bridge import block as blocks
from banet.bridge import build
from banet.bridge.block import bridges

SE = dict(type='SqueezeExcitation')
ECA = dict(type='EfficientChannelAttention')


def shaken(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return module.double()


def test_se_is_mmpretrains_layer():
    ours, theirs = shaken(SqueezeExcitation((8, 64), 64)), SELayer(64, 4)
    with torch.no_grad():
        for layer, conv in (
            (ours.squeeze, theirs.conv1.conv),
            (ours.generation, theirs.conv2.conv),
        ):
            conv.weight = nn.Parameter(layer.weight[:, :, None, None])
            conv.bias = nn.Parameter(layer.bias)
        x = torch.randn(3, 64, 5, 7).double()
        torch.testing.assert_close(
            x * ours([x.mean((2, 3))]), theirs(x), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize(
    'channels,kernel', [(16, 3), (64, 3), (128, 5), (256, 5), (2048, 7)]
)
def test_eca_is_the_papers_formula(channels, kernel):
    eca = shaken(EfficientChannelAttention((4, channels), channels))
    (weight,) = eca.conv.weight[0]
    assert len(weight) == kernel
    g = torch.randn(2, channels).double()
    expected = torch.zeros_like(g)
    for i in range(channels):
        for j in range(kernel):
            at = i + j - kernel // 2
            if 0 <= at < channels:
                expected[:, i] += weight[j] * g[:, at]
    torch.testing.assert_close(
        eca([g])[:, :, 0, 0], expected.sigmoid(), rtol=1e-12, atol=1e-14
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'cls,base,kwargs',
    [
        (BAResNet, SEResNet, {}),
        (BAResNeXt, SEResNeXt, dict(groups=4, base_channels=64)),
    ],
)
def test_weights_of_mmpretrains_se_networks_load_and_compute_the_same(
    cls, base, kwargs
):
    theirs = calibrated(base(depth=50, **kwargs), torch.float64)
    ours = cls(depth=50, attention=SE, **kwargs).double().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        x = images(torch.float64)
        expected = theirs(x)[0]
        assert relative(ours(x)[0], expected) < 1e-12
        ours.switch_to_deploy()
        assert relative(ours(x)[0], expected) < 1e-12


def test_names_of_timm_and_of_ecas_authors_are_known():
    names = {
        'layer1.0.se.fc1.weight': 'layer1.0.attention.squeeze.weight',
        'layer1.0.se.fc2.bias': 'layer1.0.attention.generation.bias',
    }
    values = {name: torch.ones(2, 2, 1, 1) for name in names}
    found = BAResNet(18, attention=SE, **NARROW).to_own(values)
    assert set(found) == set(names.values())
    for name in ('layer1.0.eca.conv.weight', 'layer1.0.se.conv.weight'):
        found = BAResNet(18, attention=ECA, **NARROW).to_own(
            {name: torch.ones(1, 1, 3)}
        )
        assert set(found) == {'layer1.0.attention.conv.weight'}
    # In a bridged network they are another attention's.
    assert set(BAResNet(18, **NARROW).to_own(values)) == set(names)


@pytest.mark.parametrize('attention', [SE, ECA], ids=['se', 'eca'])
@pytest.mark.parametrize('depth', [18, 34, 50])
def test_plain_weights_start_them_exactly(depth, attention):
    base = calibrated(plain(depth))
    model = bridged(depth, attention=attention).eval()
    model.load_state_dict(base.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(model(images())[0], base(images())[0])


@pytest.mark.parametrize(
    'depth,attention,more',
    [
        (50, SE, 26_039_024 - 23_508_032),  # mmpretrain's SEResNet-50
        (50, ECA, 3 * 5 + 4 * 5 + 6 * 5 + 3 * 7),
        (18, SE, 2 * (2 * 64 * 4 + 68 + 2 * 128 * 8 + 136 + 2 * 256 * 16 + 272
                      + 2 * 512 * 32 + 544)),
        (18, ECA, 2 * (3 + 5 + 5 + 5)),
    ],
)  # fmt: skip
def test_parameters_are_those_of_the_papers(depth, attention, more):
    def size(attention):
        model = BAResNet(depth, attention=attention)
        return sum(p.numel() for p in model.parameters())

    assert size(attention) - size(None) == more


def count_poolings(model, training, monkeypatch):
    """Widths of the maps that are pooled in a pass, by block."""
    pooled = []

    def counted(x, mean=blocks.spatial_mean):
        pooled.append(x.shape[1])
        return mean(x)

    for module in ('block', 'residual', 'norm'):
        monkeypatch.setattr(f'banet.bridge.{module}.spatial_mean', counted)
    for module in ('convnext', 'inverted_residual'):
        monkeypatch.setattr(f'banet.backbones.{module}.spatial_mean', counted)
    x = images()
    model.train(training)
    with torch.set_grad_enabled(training):
        model(x)
    return pooled


@pytest.mark.parametrize('attention', [SE, ECA], ids=['se', 'eca'])
@pytest.mark.parametrize(
    'build',
    [
        lambda attention: BAResNet(50, attention=attention, **NARROW),
        lambda attention: BAResNet(18, attention=attention),
        lambda attention: BAMobileNetV3('small', attention=attention),
        lambda attention: BAConvNeXt('atto', attention=attention),
    ],
    ids=['bottleneck', 'basic', 'mobilenet', 'convnext'],
)
@pytest.mark.parametrize('training', [True, False])
def test_each_block_pools_one_map(build, attention, training, monkeypatch):
    model = build(attention)
    gates = len(list(bridges(model)))
    assert len(count_poolings(model, training, monkeypatch)) == gates


def test_se_behind_a_pointwise_conv_never_pools_the_widest_map(monkeypatch):
    model = BAResNet(50, attention=SE, **NARROW)
    narrow = [16] * 3 + [32] * 4 + [64] * 6 + [128] * 3
    assert count_poolings(model, True, monkeypatch) == narrow
    model.eval()
    model.switch_to_deploy()
    assert count_poolings(model, False, monkeypatch) == narrow


@pytest.mark.parametrize(
    'attention,message',
    [
        (dict(SE, ratio=99), 'ratio 99 leaves no hidden channel of 64'),
        (dict(SE, ratio=0), 'ratio 0 is no whole number'),
        (dict(ECA, kernel_size=4), 'kernel_size=4 must be an odd number'),
        (dict(ECA, kernel_size=-1), 'kernel_size=-1 must be an odd number'),
        (dict(ECA, kernel_size=2.5), 'kernel_size=2.5 must be an odd number'),
        (dict(ECA, kernel_size='3'), "kernel_size='3' must be an odd number"),
    ],
)
def test_bad_arguments_are_named(attention, message):
    with pytest.raises(ValueError, match=message):
        BAResNet(18, attention=attention)


def test_they_need_no_norm(monkeypatch):
    """Nor does one line speak of it, where the network's norms are GN."""
    lines = []
    monkeypatch.setattr(
        'banet.bridge.build.print_log', lambda *line, **_: lines.append(line)
    )
    build._say_once.cache_clear()
    groups = dict(type='GN', num_groups=32)
    BAResNet(18, attention=SE, norm_cfg=groups)
    assert not lines
    BAResNet(18, attention=V2, norm_cfg=groups)
    assert len(lines) == 1


@pytest.mark.parametrize('attention', [SE, ECA, V1, V2, dict(V2, **LN)])
def test_values_that_were_trained_are_told_from_initial_ones(attention):
    """Plain weights over them are a loss, over fresh ones they are not."""
    weights = plain(18).state_dict()
    model = BAResNet(18, attention=attention, **NARROW)
    assert model.coverage(weights).attention_lost == 0
    model.init_weights()
    assert model.coverage(weights).attention_lost == 0
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(images())[-1].sum().backward()
    optimizer.step()
    assert model.coverage(weights).attention_lost == 8


def test_kernel_that_was_drawn_on_meta_counts_as_untrained():
    """Where it started is not known: nothing that was learned is lost."""
    with torch.device('meta'):
        attention = EfficientChannelAttention((8, 8), 8)
    assert attention.to_empty(device='cpu').is_untrained()
