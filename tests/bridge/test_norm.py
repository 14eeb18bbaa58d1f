"""The training step of a block: the gate inside the last norm."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from resnets import bridged, relative, V1, V2
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from banet.bridge.norm import affine_on, is_affine_here
from banet.bridge.ops import gated_norm_add

LAYOUTS = [torch.contiguous_format, torch.channels_last]
# (depth, its attention, norms in eval mode)
STEPS = [
    (depth, attention, norm_eval)
    for depth in (18, 50)
    for attention in (V1, V2, dict(V2, norm_cfg=dict(type='LN')))
    for norm_eval in (False, True)
]


def stage(depth, attention, norm_eval, dtype):
    """Two blocks, the first with a shortcut conv, in train mode.

    With smooth activations: rounding could move a value across ReLU's kink.
    """
    model = bridged(depth, attention=attention, norm_eval=norm_eval)
    blocks = nn.Sequential(*list(model.to(dtype).train().layer2)[:2])
    for block in blocks:
        block.relu = nn.GELU()
        block.attention.act = nn.GELU()
    return blocks


def features(depth, dtype, layout):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(6, 16 if depth == 18 else 64, 9, 8, generator=generator)
    return x.to(dtype).to(memory_format=layout).requires_grad_()


def run(blocks, x, fused, monkeypatch):
    """Output, gradients and buffers of a step, with or without norm(y)."""
    blocks = copy.deepcopy(blocks)
    with monkeypatch.context() as patch:
        if not fused:
            # Neither path of ours: the norm, then the mean of its output.
            for name in ('is_affine_here', 'is_fixed'):
                patch.setattr(
                    f'banet.bridge.residual.{name}', lambda *args: False
                )
        out = blocks(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype)
    grads = torch.autograd.grad(
        (out * weight.view_as(out)).sum(), [x, *blocks.parameters()]
    )
    names = ['x', *dict(blocks.named_parameters())]
    return out, dict(zip(names, grads)), dict(blocks.named_buffers())


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('depth,attention,norm_eval', STEPS)
def test_fused_step_equals_the_plain_one(
    depth, attention, norm_eval, layout, monkeypatch
):
    """Output, every gradient and running statistic, in float64."""
    blocks = stage(depth, attention, norm_eval, torch.float64)
    x = features(depth, torch.float64, layout)
    out, grads, buffers = run(blocks, x, True, monkeypatch)
    expected, plain_grads, plain_buffers = run(blocks, x, False, monkeypatch)
    assert relative(out, expected) < 1e-12
    largest = max(grad.norm() for grad in plain_grads.values())
    for name, grad in plain_grads.items():
        # A norm behind a bias leaves round-off of its gradient.
        error = (grads[name] - grad).norm()
        assert error < 1e-10 * grad.norm() + 1e-13 * largest, name
    for name, buffer in plain_buffers.items():
        torch.testing.assert_close(
            buffers[name], buffer, rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize('depth,attention,norm_eval', STEPS)
def test_fused_step_is_as_exact_as_the_plain_one(
    depth, attention, norm_eval, monkeypatch
):
    """In float32, against float64: its errors are those of rounding."""
    blocks = stage(depth, attention, norm_eval, torch.float32)
    x = features(depth, torch.float32, torch.contiguous_format)
    exact = run(copy.deepcopy(blocks).double(), x.double(), False, monkeypatch)
    errors = {}
    for fused in (True, False):
        out, grads, _ = run(blocks, x, fused, monkeypatch)
        found, expected = (
            torch.cat([gradient.double().flatten() for gradient in g.values()])
            for g in (grads, exact[1])
        )
        errors[fused] = (
            relative(out.double(), exact[0]),
            relative(found, expected),
        )
    for ours, plain in zip(errors[True], errors[False]):
        assert ours < 3 * plain + 1e-6


@pytest.mark.parametrize('norm_eval', [True, False])
def test_fused_step_keeps_no_normalised_map(norm_eval):
    """Of the block's width only its input, conv3's output and its output."""
    block = stage(50, V2, norm_eval, torch.float32)[1]
    block.relu = nn.ReLU(inplace=True)
    x = torch.rand(6, 128, 9, 8, requires_grad=True)
    kept = set()

    def keep(tensor):
        if tensor.shape == x.shape:
            kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = block(x)
    assert {x.data_ptr(), out.data_ptr()} < kept
    assert len(kept) == 3


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_derivatives_of_the_fused_norm_are_right(layout, training):
    """First and second ones, through scale, shift and batch variance."""
    generator = torch.Generator().manual_seed(0)

    def tensor(*shape):
        return torch.randn(shape, generator=generator).double()

    norm = nn.BatchNorm2d(3).double().train(training)

    def step(y, gate, shortcut, weight, bias):
        norm.weight.data, norm.bias.data = weight.data, bias.data
        parameters = dict(weight=weight, bias=bias)
        scale, shift, y, out = torch.func.functional_call(
            Affine(norm), {f'norm.{k}': v for k, v in parameters.items()}, y
        )
        return gated_norm_add(shortcut, gate, scale, shift, y, out)

    maps = [
        tensor(2, 3, 3, 4).to(memory_format=layout).requires_grad_()
        for _ in range(2)
    ]
    vectors = [tensor(2, 3), tensor(3), tensor(3)]
    vectors = [v.requires_grad_() for v in vectors]
    inputs = (maps[0], vectors[0], maps[1], *vectors[1:])
    assert gradcheck(step, inputs)
    assert gradgradcheck(step, inputs)


class Affine(nn.Module):
    """For functional_call."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, y):
        return affine_on(self.norm, y, y.mean((2, 3)))


@pytest.mark.parametrize('momentum', [0.1, None])
def test_running_statistics_are_torchs(momentum):
    ours, theirs = (nn.BatchNorm2d(4, momentum=momentum) for _ in range(2))
    for seed in range(3):
        torch.manual_seed(seed)
        y = 3 * torch.randn(5, 4, 6, 7) + 2
        affine_on(ours, y, y.mean((2, 3)))
        theirs(y)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


class OtherNorm(nn.BatchNorm2d):
    """May do anything in its forward pass."""


@pytest.mark.parametrize(
    'norm,dtype,takes',
    [
        (nn.BatchNorm2d(4), torch.float32, True),
        (nn.BatchNorm2d(4), torch.bfloat16, False),  # autocast
        (nn.BatchNorm2d(4).bfloat16(), torch.bfloat16, False),
        (nn.BatchNorm2d(4, affine=False), torch.float32, False),
        (nn.BatchNorm2d(4, track_running_stats=False), torch.float32, False),
        (nn.SyncBatchNorm(4), torch.float32, False),
        (nn.GroupNorm(2, 4), torch.float32, False),
        (nn.Identity(), torch.float32, False),
        (OtherNorm(4), torch.float32, False),
    ],
)
def test_only_torchs_own_batch_norm_is_replaced(norm, dtype, takes):
    y = torch.zeros(2, 4, 3, 3, dtype=dtype)
    assert is_affine_here(norm, y) == takes


@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('layer', ['bn3', 'conv3'])
def test_hooks_on_the_last_layers_see_their_map_once(layer, norm_eval):
    """As tools that look at feature maps set them."""
    seen = []
    block = stage(50, V2, norm_eval, torch.float32)[1]
    getattr(block, layer).register_forward_hook(
        lambda *args: seen.append(args[2].shape)
    )
    block(torch.rand(2, 128, 4, 4, requires_grad=True))
    assert seen == [(2, 128, 4, 4)]


@pytest.mark.parametrize('norm_eval', [True, False])
def test_what_a_hook_changes_reaches_the_gate(norm_eval, monkeypatch):
    block = stage(50, V2, norm_eval, torch.float64)[1]
    block.conv3.register_forward_hook(lambda m, args, out: out + 1)
    x = torch.rand(4, 128, 4, 4, requires_grad=True).double()
    out, _, _ = run(block, x, True, monkeypatch)
    expected, _, _ = run(block, x, False, monkeypatch)
    assert relative(out, expected) < 1e-12


def test_frozen_norm_gives_the_other_gradients(monkeypatch):
    """As norm_cfg=dict(requires_grad=False) does."""
    block = stage(50, V2, False, torch.float64)[1]
    block.bn3.requires_grad_(False)
    x = torch.rand(4, 128, 4, 4, requires_grad=True).double()
    grads = []
    for fused in (True, False):
        with monkeypatch.context() as patch:
            if not fused:
                patch.setattr(
                    'banet.bridge.residual.is_affine_here', lambda *a: False
                )
            out = copy.deepcopy(block)(x).square().sum()
        grads.append(torch.autograd.grad(out, x)[0])
    assert relative(*grads) < 1e-12


def test_one_value_per_channel_is_torchs_error():
    block = stage(50, V2, False, torch.float32)[1]
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        block(torch.rand(1, 128, 1, 1, requires_grad=True))


def test_gate_of_another_precision_is_cast():
    class Half(nn.Module):
        def __init__(self, in_channels, channels, norm_cfg):
            super().__init__()
            self.channels = channels

        def forward(self, pooled):
            shape = len(pooled[0]), self.channels, 1, 1
            return torch.full(shape, 0.5, dtype=torch.bfloat16)

    MODELS.register_module(module=Half, name='BfloatGate', force=True)
    for norm_eval in (True, False):
        block = stage(50, dict(type='BfloatGate'), norm_eval, torch.float32)[1]
        for training in (True, False):
            out = block.train(training)(torch.rand(2, 128, 4, 4))
            assert out.dtype == torch.float32
