"""Derivatives of attention and block, also compiled to machine code."""

import copy

import pytest
import torch
from inputs import needs_compiler
from torch.autograd import gradcheck
from torch.func import functional_call

from banet import (
    BABasicBlock,
    BABottleneck,
    BridgeAttentionV1,
    BridgeAttentionV2,
)

VERSIONS = [BridgeAttentionV1, BridgeAttentionV2]
BLOCKS = [BABasicBlock, BABottleneck]


def block(cls, version, channels=8, **kwargs):
    torch.manual_seed(0)
    return cls(
        channels,
        channels,
        attention=dict(type=version.__name__, ratio=2),
        **kwargs,
    )


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
def test_derivatives_of_the_attention_are_right(version, training):
    torch.manual_seed(0)
    widths = (3, 5, 8)
    attention = version(widths, 8, ratio=2).double().train(training)
    pooled = [torch.randn(4, w).double().requires_grad_() for w in widths]
    names = [name for name, _ in attention.named_parameters()]

    def gate(*tensors):
        parameters = dict(zip(names, tensors[3:], strict=True))
        return functional_call(attention, parameters, (tensors[:3],))

    assert gradcheck(gate, (*pooled, *attention.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('cls', BLOCKS)
def test_derivatives_of_the_block_are_right(cls, version, training):
    """With respect to the input and to every parameter."""
    model = block(cls, version).double().train(training)
    names = [name for name, _ in model.named_parameters()]
    x = torch.randn(3, 8, 3, 4).double().requires_grad_()

    def forward(x, *parameters):
        state = dict(zip(names, parameters, strict=True))
        return functional_call(model, state, (x,))

    inputs = x, *model.parameters()
    # Along random directions, with the same power in a tenth of the time.
    assert gradcheck(forward, inputs, atol=1e-6, fast_mode=True)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize('cls', BLOCKS)
def test_block_compiled_to_machine_code_computes_the_same(cls):
    """Outputs and gradients, training, by torch.compile's own compiler."""
    torch.compiler.reset()
    eager = block(cls, BridgeAttentionV2, channels=16).double().train()
    compiled = copy.deepcopy(eager)
    images = torch.randn(3, 16, 6, 5).double()
    results = []
    for model, call in ((eager, eager), (compiled, torch.compile(compiled))):
        x = images.clone().requires_grad_()
        out = call(x)
        out.square().mean().backward()
        results.append(
            [out, x.grad]
            + [p.grad for p in model.parameters()]
            + [b.double() for b in model.buffers()]
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
