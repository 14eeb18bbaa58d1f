"""What holds for the other families, whatever their arguments."""

import copy

import pytest
import torch
from described import (
    attentions,
    build,
    check_deploy_form,
    check_gradients,
    check_state_dict,
    few,
)
from families import plain_class
from hypothesis import given
from hypothesis import strategies as st
from inputs import images
from small_archs import CONVNEXT, REGNET, SWIN

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BAResNeXt,
    BASwinTransformer,
)

pytestmark = pytest.mark.slow

STAGES = (0, 1, 2, 3)
# class -> arguments, their outputs, the values of frozen_stages
OTHERS = {
    BAResNeXt: (
        dict(depth=[50], groups=[4], base_channels=[16]),
        STAGES,
        range(-1, 4),
    ),
    BARegNet: (dict(arch=[REGNET]), STAGES, range(-1, 4)),
    BAMobileNetV3: (
        dict(arch=['small_050', 'small_075']),
        range(13),
        range(-1, 12),
    ),
    BAEfficientNet: (dict(arch=['thin', 'pocket']), range(6), range(5)),
    BAEfficientNetV2: (dict(arch=['thin']), range(6), range(5)),
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
# ConvNeXt's own convs need 32 pixels.
wide = st.tuples(st.integers(32, 72), st.integers(32, 72))


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
