"""The two operations on maps: values, gradients, memory."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from banet.bridge.ops import gated_add, is_symbolic, spatial_mean

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def maps(layout, count=1, dtype=torch.float64, size=(2, 3, 4, 5)):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(size, generator=generator)
        .to(dtype)
        .to(memory_format=layout)
        .requires_grad_()
        for _ in range(count)
    ]


def gates(dtype=torch.float64, size=(2, 3, 1, 1)):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(size, generator=generator).to(dtype).requires_grad_()


@pytest.mark.parametrize('layout', LAYOUTS)
def test_first_and_second_derivatives_are_right(layout):
    x, shortcut = maps(layout, 2)
    for check in (gradcheck, gradgradcheck):
        assert check(spatial_mean, (x,))
        assert check(gated_add, (shortcut, gates(), x))


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('grad', [True, False])
def test_gated_add_is_shortcut_plus_gate_times_x(layout, grad):
    x, shortcut = maps(layout, 2)
    expected = shortcut + gates() * x
    with torch.set_grad_enabled(grad):
        result = gated_add(shortcut, gates(), x.detach().clone())
    torch.testing.assert_close(result, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize('inplace', [True, False])
def test_without_gradient_the_result_may_take_the_map_of_x(inplace):
    x, shortcut = maps(torch.contiguous_format, 2)
    with torch.no_grad():
        given = x.clone()
        result = gated_add(shortcut, gates(), given, inplace)
    assert (result.data_ptr() == given.data_ptr()) is inplace
    assert torch.equal(given, x) is not inplace


@pytest.mark.parametrize('wanted', ['shortcut', 'gate', 'x'])
def test_each_input_gets_its_gradient_where_no_other_wants_one(wanted):
    x, shortcut = maps(torch.contiguous_format, 2)
    inputs = dict(shortcut=shortcut, gate=gates(), x=x)
    for name, tensor in inputs.items():
        tensor.requires_grad_(name == wanted)
    weight = torch.linspace(-1, 1, x.numel()).view_as(x).double()
    (found,) = torch.autograd.grad(
        (gated_add(*inputs.values()) * weight).sum(), [inputs[wanted]]
    )
    plain = inputs['shortcut'] + inputs['gate'] * inputs['x']
    (expected,) = torch.autograd.grad((plain * weight).sum(), [inputs[wanted]])
    torch.testing.assert_close(found, expected)


def test_tracers_of_both_kinds_are_noticed():
    seen = []

    def look(x):
        seen.append(is_symbolic(x))
        return x + 1

    look(torch.ones(2))
    torch.fx.symbolic_trace(look)
    torch.jit.trace(look, torch.ones(2), check_trace=False)
    assert seen == [False, True, True]


def test_with_gradient_x_and_shortcut_are_unchanged():
    x, shortcut = maps(torch.contiguous_format, 2)
    before = x.clone(), shortcut.clone()
    gated_add(shortcut, gates(), x).sum().backward()
    assert torch.equal(x, before[0]) and torch.equal(shortcut, before[1])


def test_gradient_of_the_mean_is_a_view_of_one_value_per_channel():
    (x,) = maps(torch.contiguous_format)
    (gradient,) = torch.autograd.grad(spatial_mean(x).sum(), x)
    assert gradient.untyped_storage().nbytes() == 2 * 3 * 8
    assert torch.equal(gradient, torch.full_like(x, 1 / 20))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_means_of_half_precision_maps_do_not_overflow(dtype):
    x = torch.full((1, 2, 200, 200), 60.0, dtype=dtype, requires_grad=True)
    mean = spatial_mean(x)  # the sum would be 2.4 million
    assert mean.dtype == torch.float32
    assert mean.eq(60).all()
    (gradient,) = torch.autograd.grad(mean.sum(), x)
    assert gradient.dtype == dtype
