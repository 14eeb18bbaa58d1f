"""The training step of a block: the gate inside the last norm."""

import copy
from contextlib import nullcontext

import pytest
import torch
from inputs import supports
from mmengine.registry import MODELS
from resnets import bridged, relative, V1, V2
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn.modules.batchnorm import _BatchNorm

from banet.bridge.norm import affine_on, is_affine
from banet.bridge.ops import gated_norm_add

LAYOUTS = [torch.contiguous_format, torch.channels_last]
# (depth, arguments of the backbone)
STEPS = [
    (depth, dict(attention=attention, norm_eval=norm_eval))
    for depth in (18, 50)
    for attention in (V1, V2, dict(V2, norm_cfg=dict(type='LN')))
    for norm_eval in (False, True)
]
OTHER_STEPS = [
    (50, dict(norm_cfg=dict(type='SyncBN'), norm_eval=True)),
    (50, dict(norm_cfg=dict(type='SyncBN'))),
    (50, dict(norm_cfg=dict(type='GN', num_groups=4))),
    (50, dict(drop_path_rate=0.5)),
]
# What runs: our own Functions, or PyTorch's operations alone, as wherever
# something looks through the forward pass, here forward-mode derivatives.
FORMS = {'functions': nullcontext, 'operations': forward_ad.dual_level}


def stage(depth, dtype, **arguments):
    """Two blocks, the first with a shortcut conv, in train mode.

    With smooth activations: rounding could move a value across ReLU's kink.
    """
    model = bridged(depth, **arguments)
    blocks = nn.Sequential(*list(model.to(dtype).train().layer2)[:2])
    for block in blocks:
        block.relu = nn.GELU()
        block.attention.act = nn.GELU()
    return blocks


def features(depth, dtype, layout=torch.contiguous_format):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(6, 16 if depth == 18 else 64, 9, 8, generator=generator)
    return x.to(dtype).to(memory_format=layout).requires_grad_()


def run(blocks, x, form, monkeypatch, autocast=None):
    """Output, gradients and buffers of a step in a form, or the papers'."""
    blocks = copy.deepcopy(blocks)
    torch.manual_seed(2)  # of stochastic depth
    with monkeypatch.context() as patch:
        if form == 'paper':
            patch.setattr('banet.bridge.residual.is_affine', lambda n: False)
        with (
            FORMS.get(form, nullcontext)(),
            torch.autocast('cpu', autocast, enabled=autocast is not None),
        ):
            out = blocks(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype)
    grads = torch.autograd.grad(
        (out * weight.view_as(out)).sum(), [x, *blocks.parameters()]
    )
    names = ['x', *dict(blocks.named_parameters())]
    return out, dict(zip(names, grads)), dict(blocks.named_buffers())


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('depth,arguments', [*STEPS, *OTHER_STEPS])
def test_affine_form_equals_the_papers(
    depth, arguments, layout, form, monkeypatch
):
    """Output, every gradient and running statistic, in float64."""
    blocks = stage(depth, torch.float64, **arguments)
    x = features(depth, torch.float64, layout)
    out, grads, buffers = run(blocks, x, form, monkeypatch)
    expected, paper_grads, paper_buffers = run(blocks, x, 'paper', monkeypatch)
    assert relative(out, expected) < 1e-12
    largest = max(grad.norm() for grad in paper_grads.values())
    for name, grad in paper_grads.items():
        # A norm behind a bias leaves round-off of its gradient.
        error = (grads[name] - grad).norm()
        assert error < 1e-10 * grad.norm() + 1e-13 * largest, name
    for name, buffer in paper_buffers.items():
        torch.testing.assert_close(
            buffers[name], buffer, rtol=1e-12, atol=1e-14
        )


def take_statistics(blocks, x):
    """Running statistics are those of ``x``, as after a training."""
    norms = [m for m in blocks.modules() if isinstance(m, _BatchNorm)]
    modes = [(norm, norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        blocks(x)
    for norm, training, momentum in modes:
        norm.train(training).momentum = momentum


# Rounding falls as it falls; a lost digit would be a factor of ten.
PRECISIONS = {None: 3, torch.bfloat16: 2, torch.float16: 2}


@pytest.mark.slow
@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('depth,arguments', STEPS)
def test_affine_form_is_as_exact_as_the_papers(
    depth, arguments, form, precision, monkeypatch
):
    """In float32 and under autocast, its errors against float64."""
    if precision and not supports(precision):
        pytest.skip(f'autocast of torch {torch.__version__} has no fp16')
    blocks = stage(depth, torch.float32, **arguments)
    with torch.no_grad():
        for block in blocks:  # maps whose mean is far from zero
            block.conv2.weight += 0.05
            getattr(block, f'conv{block.num_convs}').weight += 0.05
    x = features(depth, torch.float32)
    take_statistics(blocks, x)
    exact = run(
        copy.deepcopy(blocks).double(), x.double(), 'paper', monkeypatch
    )
    errors = {}
    for kind in (form, 'paper'):
        out, grads, _ = run(blocks, x, kind, monkeypatch, precision)
        found, expected = (
            torch.cat([gradient.double().flatten() for gradient in g.values()])
            for g in (grads, exact[1])
        )
        errors[kind] = (
            relative(out.double(), exact[0]),
            relative(found, expected),
        )
    for ours, paper in zip(errors[form], errors['paper']):
        assert ours < PRECISIONS[precision] * paper + 1e-6


@pytest.mark.parametrize('norm_eval', [True, False])
def test_fused_step_keeps_no_normalised_map(norm_eval):
    """Of the block's width only its input, conv3's output and its output."""
    block = stage(50, torch.float32, norm_eval=norm_eval)[1]
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
        scale, shift, _, y, out = torch.func.functional_call(
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


@pytest.mark.parametrize('depth', [18, 50])
def test_gradients_that_have_a_graph_are_the_same(depth):
    """They take another way: nothing is added into another's memory."""
    blocks = stage(depth, torch.float64)
    x = features(depth, torch.float64)
    out = blocks(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype)
    loss = (out * weight.view_as(out)).sum()
    inputs = [x, *blocks.parameters()]
    graph = torch.autograd.grad(loss, inputs, create_graph=True)
    values = torch.autograd.grad(loss, inputs)
    for a, b in zip(graph, values, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('momentum', [0.1, None])
def test_running_statistics_are_torchs(momentum, form):
    ours, theirs = (nn.BatchNorm2d(4, momentum=momentum) for _ in range(2))
    for seed in range(3):
        torch.manual_seed(seed)
        y = 3 * torch.randn(5, 4, 6, 7) + 2
        with FORMS[form]():
            affine_on(ours, y, None)
        theirs(y)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


@pytest.mark.parametrize('with_cp,steps', [(False, 1), (True, 2)])
def test_a_step_counts_its_batch_once_per_forward_pass(with_cp, steps):
    """Recomputing, which runs it twice, counts it twice, as upstream does."""
    block = stage(50, torch.float32, with_cp=with_cp)[0]
    block(features(50, torch.float32)).sum().backward()
    for norm in (block.bn1, block.bn3, block.attention.norm):
        assert norm.num_batches_tracked == steps


class OtherNorm(nn.BatchNorm2d):
    """May do anything in its forward pass."""


def switched_off(norm):
    """As some passes of a training, which shall leave no trace."""
    norm.track_running_stats = False
    return norm


@pytest.mark.parametrize(
    'norm,training,evaluating',
    [
        (nn.BatchNorm2d(4), True, True),
        (nn.BatchNorm2d(4).double(), True, True),
        (nn.SyncBatchNorm(4), False, True),
        (nn.BatchNorm2d(4).bfloat16(), False, False),
        (nn.BatchNorm2d(4, affine=False), False, False),
        (nn.BatchNorm2d(4, track_running_stats=False), False, False),
        (switched_off(nn.BatchNorm2d(4)), False, True),
        (nn.GroupNorm(2, 4), False, False),
        (nn.Identity(), False, False),
        (OtherNorm(4), False, False),
    ],
)
def test_only_torchs_own_batch_norms_are_replaced(norm, training, evaluating):
    assert is_affine(norm.train()) == training
    assert is_affine(norm.eval()) == evaluating


@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('layer', ['bn3', 'conv3'])
def test_hooks_on_the_last_layers_see_their_map_once(layer, norm_eval):
    """As tools that look at feature maps set them."""
    seen = []
    block = stage(50, torch.float32, norm_eval=norm_eval)[1]
    getattr(block, layer).register_forward_hook(
        lambda *args: seen.append(args[2].shape)
    )
    block(torch.rand(2, 128, 4, 4, requires_grad=True))
    assert seen == [(2, 128, 4, 4)]


@pytest.mark.parametrize('norm_eval', [True, False])
def test_what_a_hook_changes_reaches_the_gate(norm_eval, monkeypatch):
    block = stage(50, torch.float64, norm_eval=norm_eval)[1]
    block.conv3.register_forward_hook(lambda m, args, out: out + 1)
    x = torch.rand(4, 128, 4, 4, requires_grad=True).double()
    out, _, _ = run(block, x, 'functions', monkeypatch)
    expected, _, _ = run(block, x, 'paper', monkeypatch)
    assert relative(out, expected) < 1e-12


def test_frozen_norm_gives_the_other_gradients(monkeypatch):
    """As norm_cfg=dict(requires_grad=False) does."""
    grads = []
    for form in ('functions', 'paper'):
        blocks = stage(50, torch.float64)
        for block in blocks:
            block.bn3.requires_grad_(False)
        with monkeypatch.context() as patch:
            if form == 'paper':
                patch.setattr(
                    'banet.bridge.residual.is_affine', lambda n: False
                )
            x = features(50, torch.float64)
            out = blocks(x).square().sum()
        grads.append(torch.autograd.grad(out, x)[0])
    assert relative(*grads) < 1e-12


def test_gate_of_another_precision_is_cast():
    class Full(nn.Module):
        def __init__(self, in_channels, channels, norm_cfg):
            super().__init__()
            self.channels = channels

        def forward(self, pooled):
            shape = len(pooled[0]), self.channels, 1, 1
            return torch.full(shape, 0.5)

    MODELS.register_module(module=Full, name='FullGate', force=True)
    block = stage(50, torch.bfloat16, attention=dict(type='FullGate'))[1]
    for training, norm_training in ((True, True), (True, False), (False,) * 2):
        block.train(training)
        for norm in (block.bn1, block.bn2, block.bn3):
            norm.train(norm_training)
        out = block(torch.rand(2, 128, 4, 4, dtype=torch.bfloat16))
        assert out.dtype == torch.bfloat16


@pytest.mark.parametrize('form', FORMS)
def test_one_value_per_channel_is_pytorchs_own_error(form):
    """Of the norm and of a block; in eval mode there is none."""
    norm, x = nn.BatchNorm2d(128), torch.rand(1, 128, 1, 1)
    block = stage(50, torch.float32)[1]
    for call in (lambda: affine_on(norm, x, None), lambda: block(x)):
        with FORMS[form](), pytest.raises(ValueError, match='Expected more '):
            call()
    affine_on(norm.eval(), x, None)
