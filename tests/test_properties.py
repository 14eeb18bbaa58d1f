"""What holds for every backbone that the arguments can describe."""

import copy

import torch
from hypothesis import assume, given, HealthCheck, settings
from hypothesis import strategies as st
from mmpretrain.models.backbones import ResNet, ResNetV1c, ResNetV1d
from torch import nn

from banet import BAResNet, BAResNetV1c, BAResNetV1d

PLAIN = {
    BAResNet: ResNet,
    BAResNetV1c: ResNetV1c,
    BAResNetV1d: ResNetV1d,
}
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
    """Keyword arguments of one of the classes in PLAIN."""
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


classes = st.sampled_from(list(PLAIN))
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
    model = build(cls, kwargs).train()
    outs = model(images(batch, size))
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
    model = build(cls, kwargs).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    other = cls(**kwargs).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        outputs = model(images(2, size)), other(images(2, size))
    for a, b in zip(*outputs, strict=True):
        assert torch.equal(a, b)


@described
@given(classes, arguments())
def test_plain_networks_names_are_a_subset(cls, kwargs):
    shapes = {k: v.shape for k, v in cls(**kwargs).state_dict().items()}
    plain = PLAIN[cls](
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
    model = build(cls, kwargs).double().eval()
    deployed = copy.deepcopy(model)
    deployed.switch_to_deploy()
    x = images(batch, size).double()
    with torch.no_grad():
        for a, b in zip(model(x), deployed(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
