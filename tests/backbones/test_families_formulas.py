"""Every block of the other families against its formula, in float64."""

import pytest
import torch
import torch.nn.functional as F
from families import attended, build
from inputs import images
from torch import nn


def conv_norm(module, x, act=lambda x: x):
    """A ConvModule in eval mode."""
    conv, norm = module.conv, module.bn
    if conv.padding == (0, 0) and conv.kernel_size[0] > 1:  # adaptive padding
        k, s = conv.kernel_size[0], conv.stride[0]
        pad = [max((-(-n // s) - 1) * s + k - n, 0) for n in x.shape[2:]]
        (h, w) = pad
        x = F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))
    x = F.conv2d(
        x, conv.weight, None, conv.stride, conv.padding, 1, conv.groups
    )
    mean, var = norm.running_mean, norm.running_var
    x = (x - mean[:, None, None]) / (var + norm.eps).sqrt()[:, None, None]
    return act(x * norm.weight[:, None, None] + norm.bias[:, None, None])


def hard_sigmoid(x):
    return ((x + 3) / 6).clamp(0, 1)


def swish(x):
    return x / (1 + (-x).exp())


def gate(attention, features, squash=torch.sigmoid):
    """BAv2 with its norm in eval mode; features are (N, C_i, ...)."""
    a, b = attention.selection.weight[0], attention.selection.bias
    z = b + sum(
        a[i] * f.flatten(2).mean(2) @ attention.reductions[i].weight.T
        for i, f in enumerate(features)
    )
    norm = attention.norm
    if isinstance(norm, nn.LayerNorm):
        mean, var = z.mean(1, keepdim=True), z.var(1, False, keepdim=True)
    else:
        mean, var = norm.running_mean, norm.running_var
    z = (z - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias
    return squash(z.clamp(min=0) @ attention.generation.weight.T)


def mobile_formula(block, x):
    act = {nn.ReLU: lambda x: x.clamp(min=0)}.get(
        type(block.expand_conv.activate), lambda x: x * hard_sigmoid(x)
    )
    expanded = conv_norm(block.expand_conv, x, act)
    deep = conv_norm(block.depthwise_conv, expanded)
    w = gate(block.attention, [expanded, deep], hard_sigmoid)
    out = conv_norm(block.linear_conv, act(w[..., None, None] * deep))
    return x + out if block.with_res_shortcut else out


def mbconv_formula(block, x):
    expanded = conv_norm(block.expand_conv, x, swish)
    deep = conv_norm(block.depthwise_conv, expanded, swish)
    w = gate(block.attention, [expanded, deep])
    out = conv_norm(block.linear_conv, w[..., None, None] * deep)
    return x + out if block.with_res_shortcut else out


def layer_norm(norm, x):
    """Over the last axis."""
    mean, var = x.mean(-1, keepdim=True), x.var(-1, False, keepdim=True)
    return (x - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias


def linear(layer, x):
    return x @ layer.weight.flatten(1).T + layer.bias


def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def convnext_formula(block, x):
    conv = block.depthwise_conv
    deep = F.conv2d(x, conv.weight, conv.bias, 1, 3, 1, conv.groups)
    out = layer_norm(block.norm, deep.movedim(1, -1))
    hidden = gelu(linear(block.pointwise_conv1, out))
    if block.grn is not None:
        size = hidden.square().sum((1, 2), keepdim=True).sqrt()
        size = size / (size.mean(-1, keepdim=True) + block.grn.eps)
        grn = block.grn
        hidden = grn.gamma * (hidden * size) + grn.beta + hidden
    last = linear(block.pointwise_conv2, hidden)
    hidden, last = hidden.movedim(-1, 1), last.movedim(-1, 1)
    w = gate(block.attention, [deep, hidden, last])[..., None, None]
    scale = 1 if block.gamma is None else block.gamma[:, None, None]
    return x + scale * w * last


def swin_formula(block, x, hw_shape):
    attention = block.attn(layer_norm(block.norm1, x), hw_shape)
    x = x + attention
    first, last = block.ffn.layers[0][0], block.ffn.layers[1]
    hidden = gelu(linear(first, layer_norm(block.norm2, x)))
    out = linear(last, hidden)
    features = [t.transpose(1, 2) for t in (attention, hidden, out)]
    return x + gate(block.attention, features)[:, None] * out


FORMULAS = {
    'mobilenet-small': mobile_formula,
    'mobilenet-large': mobile_formula,
    'efficientnet': mbconv_formula,
    'efficientnet-edge': mbconv_formula,
    'efficientnet-v2': mbconv_formula,
    'convnext': convnext_formula,
    'convnext-conv': convnext_formula,
    'convnext-v2': convnext_formula,
    'swin': swin_formula,
}


def block_inputs(model, x):
    """What every attended block gets while ``x`` goes through."""
    inputs, hooks = {}, []
    for name, block in attended(model):
        hooks.append(
            block.register_forward_pre_hook(
                lambda module, args, name=name: inputs.update({name: args})
            )
        )
    model(x)
    for hook in hooks:
        hook.remove()
    return inputs


@pytest.mark.parametrize('name', FORMULAS)
def test_every_block_equals_the_formula(name):
    model = build(name).double().eval()
    with torch.no_grad():
        inputs = block_inputs(model, images().double())
        assert inputs
        for block_name, args in inputs.items():
            block = model.get_submodule(block_name)
            torch.testing.assert_close(
                block(*(a.clone() if torch.is_tensor(a) else a for a in args)),
                FORMULAS[name](block, *args),
                rtol=1e-10,
                atol=1e-10,
            )


def test_regnets_block_is_that_of_resnext():
    """Which test_resnet.py holds against its formula."""
    kinds = {type(block).__name__ for _, block in build('regnet').blocks()}
    assert kinds == {'BAResNeXtBottleneck'}
