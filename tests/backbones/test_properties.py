"""What holds for every ResNet that the arguments can describe."""

import pytest
import torch
from described import (
    attentions,
    build,
    check_deploy_form,
    check_gradients,
    check_state_dict,
    described,
)
from families import plain_class
from hypothesis import assume, given
from hypothesis import strategies as st
from inputs import images

from banet import BAResNet, BAResNetV1c, BAResNetV1d

BASE = 16  # channels of the first stage, before its expansion


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


def expected_shapes(kwargs, batch, size):
    """Widths double per stage; every stride halves and rounds up."""
    expansion = 4 if kwargs['depth'] == 50 else 1
    h, w = ((side + 3) // 4 for side in size)
    shapes = []
    for stage, stride in enumerate(kwargs['strides']):
        h, w = (h + stride - 1) // stride, (w + stride - 1) // stride
        shapes.append((batch, BASE * 2**stage * expansion, h, w))
    return [shapes[i] for i in kwargs['out_indices']]


@pytest.mark.slow
@described
@given(classes, arguments(), st.integers(0, 3), sizes)
def test_shapes_follow_stride_and_width(cls, kwargs, batch, size):
    """Also those of no image at all, and of features one pixel wide."""
    model = build(cls, kwargs).eval()
    with torch.no_grad():
        found = [tuple(out.shape) for out in model(images(batch, size))]
    assert found == expected_shapes(kwargs, batch, size)


@pytest.mark.slow
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


@pytest.mark.slow
@described
@given(classes, arguments(), sizes)
def test_state_dict_carries_the_whole_network(cls, kwargs, size):
    check_state_dict(cls, kwargs, images(2, size))


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


@pytest.mark.slow
@described
@given(classes, arguments(), batches, sizes)
def test_deploy_form_computes_the_same(cls, kwargs, batch, size):
    """To rounding, in float64."""
    check_deploy_form(build(cls, kwargs), images(batch, size))
