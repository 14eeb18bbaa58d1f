"""What the blocks of the other families hand to the gate, and which do."""

import pytest
import torch
from families import attended, build, make, plain_class, SMALL
from inputs import images
from torch import nn

from banet import BAEfficientNet, BAMobileNetV3


@pytest.mark.parametrize('name', SMALL)
def test_every_block_is_a_bridge(name):
    """As many as the plain network has of its kinds of block."""
    bridged = [type(block) for _, block in build(name).blocks()]
    theirs = {
        next(c for c in kind.__mro__ if c.__module__.startswith('mmpretrain'))
        for kind in bridged
    }
    cls, arguments = SMALL[name]
    plain = plain_class(cls)(**arguments)
    count = sum(type(module) in theirs for module in plain.modules())
    assert len(bridged) == count > 0


@pytest.mark.parametrize('name', SMALL)
def test_every_bridged_feature_gets_a_gradient_from_the_gate(name):
    model = build(name).train()
    for _, block in attended(model):
        pooled = [
            torch.randn(5, width, requires_grad=True)
            for width in block.attention.in_channels
        ]
        block.attention(pooled).square().sum().backward()
        assert all(vector.grad.abs().sum() > 0 for vector in pooled)
    # And the block hands all of them over with their graph.
    block = attended(model)[-1][1]
    given = []
    block.attention.register_forward_pre_hook(
        lambda module, args: given.extend(args[0])
    )
    model(images(3))
    assert len(given) == len(block.attention.in_channels)
    assert all(vector.requires_grad for vector in given)


@pytest.mark.parametrize('name', ['convnext', 'swin'])
def test_what_a_hook_changes_reaches_the_gate(name):
    block = attended(build(name))[-1][1].train()
    block._last_layer().register_forward_hook(lambda *args: args[2] * 0)
    given = []
    block.attention.register_forward_pre_hook(
        lambda module, args: given.extend(args[0])
    )
    x = torch.randn(3, block.attention.channels, 4, 4)
    if name == 'swin':
        block(x.flatten(2).transpose(1, 2), (4, 4))
    else:
        block(x)
    assert given[-1].eq(0).all()


def test_stochastic_depth_drops_what_is_added_not_what_is_bridged():
    kwargs = dict(drop_path_rate=1 - 1e-7)
    for name in ('convnext', 'swin'):
        block = attended(build(name, **kwargs))[-1][1].train()
        x = torch.randn(3, block.attention.channels, 4, 4)
        given = []
        block.attention.register_forward_pre_hook(
            lambda module, args, given=given: given.extend(args[0])
        )
        if name == 'swin':
            x = x.flatten(2).transpose(1, 2)
            assert torch.equal(block(x, (4, 4)), x)
        else:
            assert torch.equal(block(x), x)
        assert all(vector.abs().sum() > 0 for vector in given)


def test_layer_norm_is_the_default_where_nothing_depends_on_the_batch():
    for name in ('convnext', 'convnext-v2', 'swin'):
        for _, block in attended(build(name)):
            assert isinstance(block.attention.norm, nn.LayerNorm)


def test_blocks_without_expansion_keep_squeeze_and_excitation():
    small = BAMobileNetV3('small')
    assert small.layer1.with_se and small.layer1.attention is None
    assert not small.layer2.with_se and small.layer2.attention is None
    assert not small.layer4.with_se and small.layer4.attention is not None
    first = BAEfficientNet('b0').layers[1][0]
    assert first.with_se and first.attention is None


@pytest.mark.parametrize('name', SMALL)
def test_attention_keeps_pytorchs_initialisation(name):
    """Whatever init_cfg says of Linear layers; std of U(-k, k) is k/sqrt 3."""
    model = make(name)
    for _, block in attended(model):
        nn.init.constant_(block.attention.reductions[0].weight, 9.0)
    model.init_weights()
    for _, block in attended(model):
        weight = block.attention.reductions[0].weight
        bound = weight.shape[1] ** -0.5
        assert weight.abs().max() <= bound
        assert weight.abs().max() > bound / 2
