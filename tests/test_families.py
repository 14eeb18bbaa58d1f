"""MobileNetV3, EfficientNet, RegNet, ConvNeXt and Swin with the attention."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from mmengine.analysis import FlopAnalyzer
from mmpretrain.models import backbones
from torch import nn

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BASwinTransformer,
    BridgeMixin,
    load_weights,
)
from banet.complexity import COUNTED

V1 = 'BridgeAttentionV1'
V2 = 'BridgeAttentionV2'
# Small enough for tests, with everything that the large ones have.
ATTENTION = dict(type=V2, ratio=4)
CONVNEXT = dict(depths=[1, 1, 2, 1], channels=[16, 16, 32, 32])
SWIN = dict(embed_dims=16, depths=[2, 2, 1, 1], num_heads=[1, 1, 2, 2])
SMALL = {
    'regnet': (BARegNet, dict(arch='regnetx_400mf')),
    'mobilenet-small': (BAMobileNetV3, dict(arch='small_050')),
    'mobilenet-large': (BAMobileNetV3, dict(arch='large')),
    'efficientnet': (BAEfficientNet, dict(arch='b0')),
    'efficientnet-edge': (BAEfficientNet, dict(arch='es')),
    'efficientnet-v2': (BAEfficientNetV2, dict(arch='b0')),
    'convnext': (BAConvNeXt, dict(arch=CONVNEXT, layer_scale_init_value=0.5)),
    'convnext-conv': (
        BAConvNeXt,
        dict(arch=CONVNEXT, layer_scale_init_value=0.5, linear_pw_conv=False),
    ),
    'convnext-v2': (
        BAConvNeXt,
        dict(arch=CONVNEXT, layer_scale_init_value=0.0, use_grn=True),
    ),
    'swin': (
        BASwinTransformer,
        dict(arch=SWIN, window_size=4, pad_small_map=True, drop_path_rate=0.0),
    ),
}
EXACT = [  # the plain networks have no attention of their own
    'regnet',
    'efficientnet-edge',
    'convnext',
    'convnext-conv',
    'convnext-v2',
    'swin',
]
REPLACED = [name for name in SMALL if name not in EXACT]


def plain_class(cls):
    return getattr(backbones, cls.__name__.removeprefix('BA'))


def shake(model):
    """Weights and running statistics as after a training."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
    return model


def build(name, **kwargs):
    torch.manual_seed(0)
    model = make(name, **kwargs)
    model.init_weights()
    return shake(model)


def make(name, **kwargs):
    cls, arguments = SMALL[name]
    if cls in (BAConvNeXt, BASwinTransformer):  # too narrow for ratio 16
        arguments = {'attention': ATTENTION, **arguments}
    return cls(**copy.deepcopy({**arguments, **kwargs}))


def build_plain(name, **kwargs):
    cls, arguments = SMALL[name]
    torch.manual_seed(0)
    model = plain_class(cls)(**copy.deepcopy({**arguments, **kwargs}))
    model.init_weights()
    return shake(model)


def images(batch=2, size=64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, size, size, generator=generator)


def attended(model):
    return [
        (name, block)
        for name, block in model.blocks()
        if block.attention is not None
    ]


# The formulas, from the weights alone, in float64.


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
    """Which tests/test_resnet.py holds against its formula."""
    kinds = {type(block).__name__ for _, block in build('regnet').blocks()}
    assert kinds == {'BAResNeXtBottleneck'}


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


@pytest.mark.parametrize('name', SMALL)
def test_every_trainable_parameter_gets_a_finite_gradient(name):
    model = build(name).train()
    model(images(3))[-1].square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize('name', SMALL)
def test_without_attention_it_is_the_plain_network(name):
    plain, model = build_plain(name), build(name, attention=None)
    model.load_state_dict(plain.state_dict(), strict=True)
    for training in (False, True):
        plain.train(training), model.train(training)
        x = images()
        for a, b in zip(model(x), plain(x), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name', EXACT)
def test_warm_started_network_is_the_plain_one(name, training):
    plain, model = build_plain(name), build(name)
    before = copy.deepcopy(plain.state_dict())
    model.load_state_dict(plain.state_dict(), strict=False)
    plain.train(training), model.train(training)
    with torch.no_grad():
        for a, b in zip(model(images()), plain(images()), strict=True):
            if training and name == 'regnet':  # other operations, as ResNet
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
            else:
                assert torch.equal(a, b)
    report = model.coverage(before)
    assert report.warm_started == len(attended(model))
    assert report.clean
    for key, value in plain.state_dict().items():
        if not training:
            assert torch.equal(value, before[key])  # the caller's own


@pytest.mark.parametrize('name', REPLACED)
def test_replaced_squeeze_and_excitation_is_reported_and_not_pretended(name):
    plain, model = build_plain(name), build(name)
    kept = {
        key: value.clone()
        for key, value in model.state_dict().items()
        if '.attention.' in key
    }
    report = model.coverage(plain.state_dict())
    blocks = [name for name, _ in attended(model)]
    assert report.replaced == tuple(f'{block}.se' for block in blocks)
    assert report.attention_initial == len(blocks)
    assert (report.loaded, report.unexpected) == (report.expected, ())
    assert 'dropped, replaced by bridge attention: ' in str(report)
    model.load_state_dict(plain.state_dict(), strict=False)
    state = model.state_dict()
    assert all(torch.equal(state[key], kept[key]) for key in kept)
    for key, value in plain.state_dict().items():
        if key in state:
            assert torch.equal(state[key], value), key


@pytest.mark.parametrize('attention', [V1, V2])
@pytest.mark.parametrize('name', SMALL)
def test_deploy_form_equals_the_original(name, attention):
    model = build(
        name, attention=dict(ratio=4, norm_cfg=dict(type='BN'), type=attention)
    )
    model.double().eval()
    deployed = copy.deepcopy(model)
    deployed.switch_to_deploy()
    deployed.switch_to_deploy()  # changes nothing more
    x = images().double()
    with torch.no_grad():
        for a, b in zip(model(x), deployed(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    for _, block in attended(deployed):
        assert block.folded
    assert not any(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
        for module in deployed.modules()
    )


@pytest.mark.parametrize('name', SMALL)
def test_folded_weights_load_where_deploy_is_set_and_nowhere_else(name):
    model = build(name).eval()
    unfolded = copy.deepcopy(model.state_dict())
    model.switch_to_deploy()
    other = build(name, deploy=True).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        for a, b in zip(model(images()), other(images()), strict=True):
            assert torch.equal(a, b)
    with pytest.raises(ValueError, match='deploy=True'):
        build(name).load_state_dict(model.state_dict(), strict=False)
    with pytest.raises(ValueError, match='deploy'):
        other.load_state_dict(unfolded, strict=False)
    with pytest.raises(RuntimeError, match='no norms to train'):
        other.train()(images())


@pytest.mark.parametrize('name', SMALL)
def test_checkpointing_gives_the_same_gradients_without_warning(name, recwarn):
    results = []
    for with_cp in (False, True):
        model = build(name, with_cp=with_cp).train()
        out = model(images(3))[-1]
        out.square().mean().backward()
        results.append([out] + [p.grad for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
    assert not [w for w in recwarn if 'use_reentrant' in str(w.message)]


@pytest.mark.parametrize('name', SMALL)
def test_freezing_reaches_the_attention_of_those_stages(name):
    model = build(name, frozen_stages=2)
    assert model.train() is model
    frozen = {
        key for key, p in model.named_parameters() if not p.requires_grad
    }
    plain = build_plain(name, frozen_stages=2)
    plain.train()
    theirs = {
        key for key, p in plain.named_parameters() if not p.requires_grad
    }
    alive = {key for key, p in plain.named_parameters() if p.requires_grad}
    assert theirs - frozen <= {k for k in theirs if '.se.' in k}
    assert not alive & frozen
    for block_name, block in attended(model):
        inside = f'{block_name}.{block.gated_layer}.weight' in frozen
        # Weights leave it at its initial values, so it has to learn.
        inside = inside and not block.replaced
        assert block.attention.training != inside
        assert all(
            p.requires_grad != inside for p in block.attention.parameters()
        )


@pytest.mark.parametrize('name', SMALL)
def test_compiled_in_one_graph_it_computes_the_same(name):
    model = build(name).eval()
    compiled = torch.compile(model, backend='aot_eager', fullgraph=True)
    with torch.no_grad():
        for a, b in zip(compiled(images()), model(images()), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize('name', SMALL)
def test_it_exports_with_torch_export(name):
    model = build(name).eval()
    exported = torch.export.export(model, (images(),)).module()
    with torch.no_grad():
        for a, b in zip(exported(images()), model(images()), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('name', SMALL)
def test_bfloat16_autocast_gives_finite_outputs_and_gradients(name, batch):
    model = build(name).train()
    with torch.autocast('cpu', torch.bfloat16):
        out = model(images(batch, 96))[-1]
    out.float().square().mean().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


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


@pytest.mark.parametrize('name', ['mobilenet-large', 'regnet', 'swin'])
def test_norm_eval_reaches_the_attention(name):
    attention = dict(type=V2, ratio=4, norm_cfg=dict(type='BN'))
    model = build(name, norm_eval=True, attention=attention).train()
    norms = [block.attention.norm for _, block in attended(model)]
    assert norms
    assert not any(norm.training for norm in norms)


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


@pytest.mark.parametrize('name', EXACT)
def test_warm_start_is_exact_under_autocast_too(name):
    plain, model = build_plain(name), build(name)
    model.load_state_dict(plain.state_dict(), strict=False)
    plain.eval(), model.eval()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for a, b in zip(model(images()), plain(images()), strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


@pytest.mark.parametrize('name', ['convnext', 'swin'])
def test_list_of_initialisations_ends_with_the_weights(name, tmp_path):
    plain = build_plain(name)
    plain.eval()
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    pretrained = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'plain.pth')
    )
    other = dict(type='TruncNormal', layer='Linear', std=0.02)
    model = make(name, init_cfg=[other, pretrained])
    model.init_weights()
    with torch.no_grad():
        for a, b in zip(model.eval()(images()), plain(images()), strict=True):
            assert torch.equal(a, b)


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


# Weights of other libraries.


def torchvision_model(name):
    torch.manual_seed(0)
    return shake(getattr(torchvision.models, name)(weights=None)).eval()


@pytest.mark.parametrize(
    'cls,kwargs,theirs',
    [
        (BARegNet, dict(arch='regnetx_800mf'), 'regnet_x_800mf'),
        (BAConvNeXt, dict(arch='tiny'), 'convnext_tiny'),
        (BASwinTransformer, dict(arch='tiny'), 'swin_t'),
        (
            BAMobileNetV3,
            dict(arch='small', attention=None),
            'mobilenet_v3_small',
        ),
        (
            BAMobileNetV3,
            dict(arch='large', attention=None),
            'mobilenet_v3_large',
        ),
    ],
)
def test_torchvisions_weights_load_and_compute_the_same(cls, kwargs, theirs):
    source, model = torchvision_model(theirs), cls(**kwargs).eval()
    report = model.coverage(source.state_dict())
    assert report.loaded == report.expected
    model.load_state_dict(source.state_dict(), strict=False)
    x = images(1, 224)
    with torch.no_grad():
        if theirs == 'swin_t':
            expected = source.norm(source.features(x)).movedim(3, 1)
        elif theirs == 'convnext_tiny':
            expected = source.classifier[0](
                source.avgpool(source.features(x))
            ).flatten(1)
        elif theirs == 'regnet_x_800mf':
            expected = source.trunk_output(source.stem(x))
        else:
            expected = source.features(x)
        found = model(x)[-1]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def official_names(state_dict, kind):
    """The official code's names for mmpretrain's own."""
    table = dict(
        convnext=(
            ('depthwise_conv', 'dwconv'),
            ('pointwise_conv', 'pwconv'),
            ('norm3.', 'norm.'),
        ),
        swin=(
            ('patch_embed.projection', 'patch_embed.proj'),
            ('stages.', 'layers.'),
            ('.attn.w_msa.', '.attn.'),
            ('.ffn.layers.0.0.', '.mlp.fc1.'),
            ('.ffn.layers.1.', '.mlp.fc2.'),
            ('norm3.', 'norm.'),
        ),
    )[kind]
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in table:
            name = name.replace(ours, theirs)
        if kind == 'swin' and '.downsample.' in name:
            # Channel, row, column -> column, row, channel.
            *rest, width = value.shape
            value = value.reshape(*rest, width // 4, 2, 2)
            value = value.transpose(-1, -3).reshape(*rest, width)
        renamed[name] = value
    return renamed


@pytest.mark.parametrize('name', ['convnext', 'swin'])
def test_official_names_and_order_load(name):
    plain, model = build_plain(name), build(name)
    plain.eval(), model.eval()
    given = official_names(plain.state_dict(), name)
    if name == 'swin':
        given['layers.0.blocks.1.attn_mask'] = torch.zeros(4)
    model.load_state_dict(given, strict=False)
    assert model.coverage(given).clean
    with torch.no_grad():
        for a, b in zip(model(images()), plain(images()), strict=True):
            assert torch.equal(a, b)


def test_official_file_is_loaded_whichever_way_it_comes(tmp_path):
    """As it is on its host: wrapped, and named as in the official code."""
    plain = build_plain('swin')
    plain.eval()
    path = tmp_path / 'swin.pth'
    weights = official_names(plain.state_dict(), 'swin')
    torch.save({'model': weights}, path)
    by_config = make(
        'swin', init_cfg=dict(type='Pretrained', checkpoint=str(path))
    )
    by_config.init_weights()
    by_function = make('swin')
    assert load_weights(by_function, path).clean
    with torch.no_grad():
        expected = plain(images())[-1]
        for model in (by_config, by_function):
            assert torch.equal(model.eval()(images())[-1], expected)


def test_whole_model_of_mmpretrain_gives_its_backbone(tmp_path):
    plain, model = build_plain('mobilenet-large'), make('mobilenet-large')
    weights = {f'backbone.{k}': v for k, v in plain.state_dict().items()}
    weights['head.fc.weight'] = torch.zeros(2, 2)
    torch.save({'state_dict': weights}, tmp_path / 'model.pth')
    report = load_weights(model, tmp_path / 'model.pth')
    assert report.loaded == report.expected
    assert report.unexpected == ()


def test_swin_takes_tables_of_another_window_size():
    """What is the same for all pairs stays it, what grows keeps growing."""
    given = build_plain('swin').state_dict()
    name = 'stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    other = name.replace('blocks.0', 'blocks.1')
    given[name] = torch.full((49, 1), 3.0)
    given[other] = torch.arange(49.0)[:, None]
    model = build('swin', window_size=7)
    index = model.state_dict()[name.replace('bias_table', 'index')].clone()
    model.load_state_dict(given, strict=False)
    state = model.state_dict()
    torch.testing.assert_close(state[name], torch.full((169, 1), 3.0))
    grid = state[other].view(13, 13)
    assert (grid.diff(dim=0) > 0).all() and (grid.diff(dim=1) > 0).all()
    assert torch.equal(state[name.replace('bias_table', 'index')], index)
    assert model.eval()(images())[-1].isfinite().all()


@pytest.mark.parametrize(
    'weights,model,message',
    [
        ('tiny', 'small', 'another depth: (the model lacks|they lack)'),
        ('small', 'base', 'has shape .* another width'),
    ],
)
@pytest.mark.parametrize(
    'cls,plain',
    [
        (BAConvNeXt, backbones.ConvNeXt),
        (BASwinTransformer, backbones.SwinTransformer),
    ],
)
def test_weights_of_another_arch_are_refused(
    cls, plain, weights, model, message
):
    given = plain(arch=weights).state_dict()
    with pytest.raises(ValueError, match=message):
        cls(arch=model).load_state_dict(given, strict=False)


# Sizes, with the classifiers' heads; paper.md has those of version 1.


# At 224 x 224: parameters and MACs, plain and with the attention.
SIZES = [
    (
        BARegNet,
        dict(arch='regnetx_4.0gf'),
        (20_757_248, 3_963_138_816),
        (22_856_430, 3_965_238_651),
    ),
    (
        BAMobileNetV3,
        dict(arch='large'),
        (2_971_952, 214_080_960),
        (2_966_424, 214_080_488),
    ),
    (
        BAMobileNetV3,
        dict(arch='small'),
        (927_008, 54_896_576),
        (919_456, 54_891_864),
    ),
    (
        BAEfficientNet,
        dict(arch='b0'),
        (4_007_548, 384_534_752),
        (7_134_709, 387_671_168),
    ),
    (
        BAEfficientNet,
        dict(arch='b1'),
        (6_513_184, 568_371_680),
        (12_042_859, 573_915_392),
    ),
    (
        BAEfficientNet,
        dict(arch='b2'),
        (7_700_994, 657_555_440),
        (14_256_059, 664_125_792),
    ),
    (
        BAEfficientNet,
        dict(arch='b3'),
        (10_696_232, 961_172_240),
        (19_975_504, 970_471_440),
    ),
    (
        BAEfficientNet,
        dict(arch='b4'),
        (17_548_616, 1_501_918_432),
        (33_108_860, 1_517_507_536),
    ),
    (
        BAEfficientNetV2,
        dict(arch='s'),
        (20_177_488, 2_848_615_872),
        (38_130_968, 2_866_604_454),
    ),
    (
        BAConvNeXt,
        dict(arch='tiny'),
        (27_820_128, 4_454_763_264),
        (29_236_260, 4_456_179_738),
    ),
    (
        BAConvNeXt,
        dict(arch='small'),
        (49_454_688, 8_682_944_256),
        (52_032_972, 8_685_523_242),
    ),
    (
        BAConvNeXt,
        dict(arch='base'),
        (87_566_464, 15_353_705_472),
        (92_149_216, 15_358_289_208),
    ),
    (
        BAConvNeXt,
        dict(arch='tiny', use_grn=True, layer_scale_init_value=0.0),
        (27_866_496, 4_454_763_264),
        (29_282_628, 4_456_179_738),
    ),
    (
        BASwinTransformer,
        dict(arch='tiny'),
        (27_519_354, 4_489_798_656),
        (28_463_442, 4_490_742_972),
    ),
    (
        BASwinTransformer,
        dict(arch='small'),
        (48_837_258, 8_740_107_264),
        (50_556_114, 8_741_826_588),
    ),
    (
        BASwinTransformer,
        dict(arch='base'),
        (86_743_224, 15_429_922_816),
        (89_798_392, 15_432_978_640),
    ),
]


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    'cls,arch,plain,head,expected',
    [
        (BAMobileNetV3, 'large', 5_483_032, 2_511_080, 5_478_832),
        (BAMobileNetV3, 'small', 2_542_856, 1_615_848, 2_536_040),
        (BAEfficientNet, 'b0', 5_288_548, 1_281_000, 8_418_640),
    ],
)
def test_version_1_has_the_authors_number_of_parameters(
    cls, arch, plain, head, expected
):
    attention = dict(type=V1, ratio=6)
    assert count(cls(arch=arch, attention=None)) + head == plain
    assert count(cls(arch=arch, attention=attention)) + head == expected


@pytest.mark.parametrize('cls,kwargs,plain,bridged', SIZES)
def test_parameters_and_macs(cls, kwargs, plain, bridged):
    def figures(**more):
        model = cls(**kwargs, **more).eval()
        counter = FlopAnalyzer(model, torch.zeros(1, 3, 224, 224))
        counter.unsupported_ops_warnings(False)
        counter.uncalled_modules_warnings(False)
        operators = counter.by_operator()
        return count(model), sum(operators[kind] for kind in COUNTED)

    assert figures(attention=None) == plain
    assert figures() == bridged


# Bad input.


@pytest.mark.parametrize(
    'cls',
    [
        BARegNet,
        BAMobileNetV3,
        BAEfficientNet,
        BAEfficientNetV2,
        BAConvNeXt,
        BASwinTransformer,
    ],
)
def test_unknown_arch_is_named_with_the_known_ones(cls):
    with pytest.raises(ValueError, match="no arch 'huge9'; choose from .+, "):
        cls(arch='huge9')


def test_network_without_norms_needs_one_for_the_attention():
    with pytest.raises(ValueError, match='norm_cfg=None .* of its own'):
        BAEfficientNet('es', norm_cfg=None)
    attention = dict(type=V2, ratio=6, norm_cfg=dict(type='LN'))
    kwargs = dict(arch='es', norm_cfg=None)
    torch.manual_seed(0)
    plain = shake(backbones.EfficientNet(**kwargs))
    plain.eval()
    model = BAEfficientNet(**kwargs, attention=attention).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(model(images())[-1], plain(images())[-1])


def test_arch_is_written_as_upstream_takes_it():
    assert BASwinTransformer('T').depths == [2, 2, 6, 2]
    with pytest.raises(ValueError, match='no arch {}; choose from'):
        BAMobileNetV3(arch={})


@pytest.mark.parametrize(
    'name,kwargs,message',
    [
        ('convnext', dict(frozen_stages=5), 'frozen_stages=5 .* up to 4'),
        ('swin', dict(frozen_stages=4), 'frozen_stages=4 .* up to 3'),
        ('regnet', dict(frozen_stages=5), 'frozen_stages=5 .* up to'),
        ('mobilenet-large', dict(frozen_stages=99), 'frozen_stages'),
        ('efficientnet', dict(frozen_stages=99), 'frozen_stages'),
        (
            'convnext',
            dict(attention=dict(type=V2, ratio=17)),
            'ratio 17 leaves no hidden channel of 16 channels; use at most 16',
        ),
        (
            'mobilenet-small',
            dict(attention=dict(type=V1, ratio=500)),
            'ratio 500 leaves no hidden channel of 64',
        ),
        (
            'swin',
            dict(attention=dict(type=V1, ratio=4, norm_cfg=dict(type='IN'))),
            'instance norm averages over spatial axes, there are none',
        ),
        (
            'convnext',
            dict(attention=dict(type=V1, ratio=16)),
            'a group of one value is always normalised to zero',
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(name, **kwargs)


def test_every_block_is_a_bridge():
    for name in SMALL:
        assert all(
            isinstance(block, BridgeMixin) for _, block in build(name).blocks()
        )
