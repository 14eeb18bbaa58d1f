"""What holds for every backbone that the arguments can describe."""

import copy

import pytest
import torch
from hypothesis import assume, given, HealthCheck, settings
from hypothesis import strategies as st
from mmpretrain.models import backbones
from torch import nn

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BAResNet,
    BAResNetV1c,
    BAResNetV1d,
    BAResNeXt,
    BASwinTransformer,
)

BASE = 16  # channels of the first stage, before its expansion
# The same examples in every run; no deadline, for the machine may be busy.
described = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def attentions(draw):
    cfg = dict(
        type=draw(st.sampled_from(['BridgeAttentionV1', 'BridgeAttentionV2'])),
        ratio=draw(st.sampled_from([2, 4, 8])),
    )
    norm = draw(st.sampled_from([None, 'BN', 'LN', 'SyncBN']))
    return dict(cfg, norm_cfg=dict(type=norm)) if norm else cfg


@st.composite
def arguments(draw):
    """Keyword arguments of a ResNet."""
    stages = draw(st.integers(1, 4))
    attention = draw(attentions())
    norms = [dict(type='BN'), dict(type='SyncBN')]
    norms += [dict(type='BN', requires_grad=False)]
    if 'norm_cfg' in attention:  # the groups are too few for the attention
        norms += [dict(type='GN', num_groups=4)]
    sampled = st.sampled_from
    return dict(
        depth=draw(sampled([18, 34, 50])),
        base_channels=BASE,
        stem_channels=BASE,
        num_stages=stages,
        strides=tuple(draw(sampled([1, 2])) for _ in range(stages)),
        dilations=tuple(draw(sampled([1, 2, 4])) for _ in range(stages)),
        contract_dilation=draw(st.booleans()),
        out_indices=tuple(
            sorted(draw(st.sets(st.integers(0, stages - 1), min_size=1)))
        ),
        frozen_stages=draw(st.integers(-1, stages)),
        style=draw(sampled(['pytorch', 'caffe'])),
        norm_cfg=draw(sampled(norms)),
        norm_eval=draw(st.booleans()),
        with_cp=draw(st.booleans()),
        drop_path_rate=draw(sampled([0.0, 0.2])),
        zero_init_residual=draw(st.booleans()),
        attention=attention,
    )


classes = st.sampled_from([BAResNet, BAResNetV1c, BAResNetV1d])
sizes = st.tuples(st.integers(17, 72), st.integers(17, 72))
batches = st.integers(1, 3)


def build(cls, kwargs):
    torch.manual_seed(0)
    model = cls(**copy.deepcopy(kwargs))
    model.init_weights()
    # Running statistics as after a training, not 0 and 1.
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return model


def images(batch, size):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator)


def expected_shapes(kwargs, batch, size):
    """Widths double per stage; every stride halves and rounds up."""
    expansion = 4 if kwargs['depth'] == 50 else 1
    h, w = ((side + 3) // 4 for side in size)
    shapes = []
    for stage, stride in enumerate(kwargs['strides']):
        h, w = (h + stride - 1) // stride, (w + stride - 1) // stride
        shapes.append((batch, BASE * 2**stage * expansion, h, w))
    return [shapes[i] for i in kwargs['out_indices']]


@described
@given(classes, arguments(), st.integers(0, 3), sizes)
def test_shapes_follow_stride_and_width(cls, kwargs, batch, size):
    """Also those of no image at all, and of features one pixel wide."""
    model = build(cls, kwargs).eval()
    with torch.no_grad():
        found = [tuple(out.shape) for out in model(images(batch, size))]
    assert found == expected_shapes(kwargs, batch, size)


@described
@given(classes, arguments(), batches, sizes)
def test_every_trainable_parameter_gets_a_finite_gradient(
    cls, kwargs, batch, size
):
    # What lies behind the last output that is asked for gets none.
    last = kwargs['num_stages'] - 1
    kwargs['out_indices'] = tuple({*kwargs['out_indices'], last})
    *_, height, width = expected_shapes(
        dict(kwargs, out_indices=(last,)), batch, size
    )[0]
    # PyTorch's own norm of the map cannot train on a single value.
    assume(batch * height * width > 1)
    assume(kwargs['frozen_stages'] <= last)  # something is trained
    check_gradients(build(cls, kwargs), images(batch, size))


def check_gradients(model, x):
    outs = model.train()(x)
    sum((out * torch.randn_like(out)).mean() for out in outs).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        else:
            assert parameter.grad is None, name


@described
@given(classes, arguments(), sizes)
def test_state_dict_carries_the_whole_network(cls, kwargs, size):
    check_state_dict(cls, kwargs, images(2, size))


def check_state_dict(cls, kwargs, x):
    model = build(cls, kwargs).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    other = cls(**copy.deepcopy(kwargs)).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        for a, b in zip(model(x), other(x), strict=True):
            assert torch.equal(a, b)


@described
@given(classes, arguments())
def test_plain_networks_names_are_a_subset(cls, kwargs):
    shapes = {k: v.shape for k, v in cls(**kwargs).state_dict().items()}
    plain = plain_class(cls)(
        **{
            name: value
            for name, value in kwargs.items()
            if name not in ('attention', 'contract_dilation')
        }
    )
    for name, value in plain.state_dict().items():
        assert shapes.pop(name) == value.shape
    assert all('.attention.' in name for name in shapes)


@described
@given(classes, arguments(), batches, sizes)
def test_deploy_form_computes_the_same(cls, kwargs, batch, size):
    """To rounding, in float64."""
    check_deploy_form(build(cls, kwargs), images(batch, size))


def check_deploy_form(model, x):
    model.double().eval()
    deployed = copy.deepcopy(model)
    deployed.switch_to_deploy()
    x = x.double()
    with torch.no_grad():
        for a, b in zip(model(x), deployed(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# The other families, in the narrowest form that they have.

SWIN = dict(embed_dims=16, depths=[1, 2, 1, 1], num_heads=[1, 1, 2, 2])
CONVNEXT = dict(depths=[1, 2, 1, 1], channels=[16, 16, 32, 32])
STAGES = (0, 1, 2, 3)
# class -> arguments, their outputs, the values of frozen_stages
OTHERS = {
    BAResNeXt: (
        dict(depth=[50], groups=[4], base_channels=[16]),
        STAGES,
        range(-1, 4),
    ),
    BARegNet: (dict(arch=['regnetx_400mf']), STAGES, range(-1, 4)),
    BAMobileNetV3: (
        dict(arch=['small_050', 'small_075']),
        range(13),
        range(-1, 12),
    ),
    BAEfficientNet: (dict(arch=['b0', 'es']), range(7), range(6)),
    BAEfficientNetV2: (dict(arch=['b0']), range(8), range(7)),
    BAConvNeXt: (
        dict(
            arch=[CONVNEXT],
            linear_pw_conv=[True, False],
            use_grn=[True, False],
            layer_scale_init_value=[0.0, 0.1],
            gap_before_final_norm=[True, False],
            drop_path_rate=[0.0, 0.2],
        ),
        STAGES,
        range(4),
    ),
    BASwinTransformer: (
        dict(
            arch=[SWIN],
            window_size=[3, 4],
            pad_small_map=[True],
            use_abs_pos_embed=[True, False],
            drop_path_rate=[0.0, 0.2],
        ),
        STAGES,
        range(-1, 3),
    ),
}
few = settings(described, max_examples=6)
# ConvNeXt's own convs need 32 pixels.
wide = st.tuples(st.integers(32, 72), st.integers(32, 72))


def plain_class(cls):
    return getattr(backbones, cls.__name__.removeprefix('BA'))


@st.composite
def other_arguments(draw, cls):
    choices, outputs, frozen = OTHERS[cls]
    kwargs = {k: draw(st.sampled_from(v)) for k, v in choices.items()}
    outs = draw(st.sets(st.sampled_from(outputs)))
    return dict(
        kwargs,
        attention=draw(attentions()),
        # The last one, too: what lies behind the outputs gets no gradient.
        out_indices=sorted({*outs, max(outputs)}),
        frozen_stages=draw(st.sampled_from(frozen)),
        with_cp=draw(st.booleans()),
    )


@pytest.mark.parametrize('cls', OTHERS)
@few
@given(st.data())
def test_other_families_have_the_shapes_and_names_of_the_plain_network(
    cls, data
):
    kwargs = data.draw(other_arguments(cls))
    x = images(data.draw(st.integers(1, 2)), data.draw(wide))
    model = build(cls, kwargs).eval()
    plain = {k: v for k, v in kwargs.items() if k != 'attention'}
    plain = plain_class(cls)(**copy.deepcopy(plain))
    plain.eval()
    with torch.no_grad():
        for a, b in zip(model(x), plain(x), strict=True):
            assert a.shape == b.shape
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    for name, value in plain.state_dict().items():
        # Squeeze-and-excitation may be replaced.
        assert shapes.pop(name, '.se.' in name and value.shape) == value.shape
    assert all('.attention.' in name for name in shapes)


@pytest.mark.parametrize('cls', OTHERS)
@few
@given(st.data())
def test_other_families_trainable_parameters_get_finite_gradients(cls, data):
    kwargs = data.draw(other_arguments(cls))
    # PyTorch's norms of a map cannot train on a single value.
    check_gradients(build(cls, kwargs), images(2, data.draw(wide)))


@pytest.mark.parametrize('cls', OTHERS)
@few
@given(st.data())
def test_other_families_state_dict_carries_the_whole_network(cls, data):
    kwargs = data.draw(other_arguments(cls))
    check_state_dict(cls, kwargs, images(1, data.draw(wide)))


@pytest.mark.parametrize('cls', OTHERS)
@few
@given(st.data())
def test_other_families_deploy_form_computes_the_same(cls, data):
    kwargs = data.draw(other_arguments(cls))
    check_deploy_form(build(cls, kwargs), images(2, data.draw(wide)))
