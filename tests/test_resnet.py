"""The blocks and backbones around the attention."""

import doctest
import re

import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.models.backbones import ResNet, ResNetV1c, ResNetV1d, ResNeXt
from mmseg.models.backbones import ResNet as SegResNet
from mmseg.models.backbones import ResNetV1c as SegResNetV1c
from mmseg.models.backbones import ResNetV1d as SegResNetV1d
from torch import nn

from banet import (
    BAResNet,
    BAResNetV1c,
    BAResNetV1d,
    BAResNeXt,
    BridgeAttentionV2,
)
from banet.backbones import resnet

FAMILIES = [
    (BAResNet, ResNet, 18),
    (BAResNet, ResNet, 50),
    (BAResNetV1c, ResNetV1c, 18),
    (BAResNetV1d, ResNetV1d, 50),
    (BAResNeXt, ResNeXt, 50),
]
SMALL = dict(base_channels=16, stem_channels=16)


def images(batch=2, size=64):
    return torch.randn(
        batch, 3, size, size, generator=torch.Generator().manual_seed(1)
    )


def small(depth=18, **kwargs):
    """A narrow backbone with deterministic weights."""
    torch.manual_seed(0)
    attention = dict(type='BridgeAttentionV2', ratio=4)
    model = BAResNet(depth, **{**dict(attention=attention), **SMALL, **kwargs})
    model.init_weights()
    return model


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


@pytest.mark.parametrize('depth', [18, 50])
def test_block_equals_the_formula(depth):
    model = small(depth).double().eval()
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


def test_train_and_eval_return_the_module():
    model = small()
    assert model.train() is model
    assert model.eval() is model


def test_norm_eval_reaches_the_attention():
    model = small(norm_eval=True).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 8
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize('frozen', [-1, 0, 1, 4])
def test_frozen_stages_freeze_the_stem_and_those_stages_only(frozen):
    model = small(frozen_stages=frozen).train()
    for name, parameter in model.named_parameters():
        stage = int(name[5]) if name.startswith('layer') else 0
        assert parameter.requires_grad == (stage > frozen), name
    for i in range(1, 5):
        stage = getattr(model, f'layer{i}')
        assert stage[0].attention.norm.training == (i > frozen)


def test_backbone_norm_is_inherited_without_being_frozen():
    model = small(norm_cfg=dict(type='SyncBN', requires_grad=False, eps=1e-3))
    norm = model.layer1[0].attention.norm
    assert isinstance(norm, nn.SyncBatchNorm)
    assert norm.eps == 1e-3
    assert norm.weight.requires_grad
    assert not model.layer1[0].norm1.weight.requires_grad


def test_the_attention_own_norm_wins():
    attention = dict(
        type='BridgeAttentionV2', ratio=4, norm_cfg=dict(type='LN')
    )
    given = dict(attention)
    assert isinstance(
        small(attention=attention).layer1[0].attention.norm, nn.LayerNorm
    )
    assert attention == given


@pytest.mark.parametrize('frozen', [-1, 1])
def test_checkpointing_gives_the_same_outputs_and_gradients(frozen):
    results = []
    for with_cp in (False, True):
        model = small(50, with_cp=with_cp, frozen_stages=frozen).train()
        out = model(images(5))[-1]
        out.square().mean().backward()
        results.append(
            [out] + [p.grad for p in model.parameters() if p.requires_grad]
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_checkpointing_keeps_no_maps_between_the_blocks():
    """Fewer tensors are saved for the backward pass."""

    def saved(with_cp):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            small(50, with_cp=with_cp)(images(5))
        return sum(sizes)

    assert saved(True) < saved(False) / 4


@pytest.mark.parametrize(
    'style,strided', [('pytorch', 'conv2'), ('caffe', 'conv1')]
)
def test_style_sets_the_strided_conv(style, strided):
    block = small(50, style=style).layer2[0]
    assert getattr(block, strided).stride == (2, 2)


def test_resnext_bridges_its_own_widths():
    model = BAResNeXt(50, groups=32, width_per_group=4)
    assert model.layer1[0].attention.in_channels == (128, 128, 256)
    assert model.layer1[0].conv2.groups == 32


@MODELS.register_module()
class HalfGate(nn.Module):
    """A user's own attention: one half everywhere."""

    def __init__(self, in_channels, channels, norm_cfg, shape=1):
        super().__init__()
        self.channels, self.shape = channels, shape

    def forward(self, pooled):
        return pooled[0].new_full(
            (len(pooled[0]), self.channels) + (self.shape, 1), 0.5
        )


def test_any_registered_module_can_be_the_attention():
    model = small(attention=dict(type='HalfGate')).eval()
    x = torch.rand(2, 16, 8, 8)
    block = model.layer1[0]
    expected = (
        x + 0.5 * block.norm2(block.conv2(block.norm1(block.conv1(x)).relu()))
    ).relu()
    torch.testing.assert_close(block(x), expected)


def test_gate_of_a_wrong_shape_is_refused():
    model = small(attention=dict(type='HalfGate', shape=2))
    with pytest.raises(
        ValueError,
        match=r'HalfGate returned a gate of shape \(2, 16, 2, 1\).*'
        r'\(2, 16, 1, 1\)',
    ):
        model(images())


@pytest.mark.parametrize(
    'kwargs,error,message',
    [
        (dict(depth=20), ValueError, r'no depth 20; choose from \[18, 34, 50'),
        (dict(frozen_stages=5), ValueError, 'frozen_stages=5 .* up to 4'),
        (dict(frozen_stages=-2), ValueError, 'frozen_stages=-2 .* up to 4'),
        (
            dict(attention=dict(ratio=16)),
            TypeError,
            r"\{'ratio': 16\} must be a dict with a type, such as ",
        ),
        (
            dict(attention='BridgeAttentionV2'),
            TypeError,
            "'BridgeAttentionV2' must be a dict with a type, such as ",
        ),
        (
            dict(attention=dict(type='BridgeAttentionV3')),
            KeyError,
            'BridgeAttentionV3 is not in the .*registry',
        ),
        (
            dict(attention=dict(type='BridgeAttentionV2', ratio=64)),
            ValueError,
            'ratio 64 leaves no hidden channel of 16 channels; use at most 16',
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(kwargs, error, message):
    with pytest.raises(error, match=message):
        small(**kwargs)


def test_example_of_the_docstring_holds():
    result = doctest.testmod(resnet)
    assert result.attempted > 0
    assert result.failed == 0


def test_resnext_has_no_depth_18():
    with pytest.raises(
        ValueError, match=r'BAResNeXt has no depth 18; .*\[50, 101, 152\]'
    ):
        BAResNeXt(18)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('depth', [18, 50])
def test_compiled_in_one_graph_it_computes_the_same(depth, training):
    torch.compiler.reset()
    # In float64: eager and compiled sums are rounded differently.
    model = small(depth).double().train(training)
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    for batch in (1, 3, 6):
        state = {k: v.clone() for k, v in model.state_dict().items()}
        expected = model(images(batch).double())[-1]
        model.load_state_dict(state)
        torch.testing.assert_close(
            compiled(images(batch).double())[-1], expected
        )


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('batch', [1, 2, 5])
def test_bfloat16_autocast_gives_finite_outputs_and_gradients(depth, batch):
    model = small(depth).train()
    with torch.autocast('cpu', torch.bfloat16):
        out = model(images(batch))[-1]
    out.float().square().mean().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_tracing_warns_of_nothing(recwarn):
    torch.jit.trace(small().eval(), images())
    ours = [str(w) for w in recwarn.list if 'banet' in w.filename]
    assert ours == []
