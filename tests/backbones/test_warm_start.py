"""The plain ResNet's weights start exactly the plain ResNet."""

import pytest
import torch
from mmengine.registry import MODELS
from resnets import (
    bridged,
    images,
    last_norms,
    NARROW,
    plain,
    relative,
    trained,
    V2,
    WAYS,
)
from torch import nn

from banet import BAResNet


def shared_gradients(model, halved=()):
    return {
        name: parameter.grad * (2 if name in halved else 1)
        for name, parameter in model.named_parameters()
        if '.attention.' not in name and parameter.grad is not None
    }


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize(
    'dtype,tolerance',
    [
        pytest.param(torch.float32, 1e-6, marks=pytest.mark.slow),
        (torch.float64, 1e-12),
    ],
)
@pytest.mark.parametrize('way', WAYS)
def test_warm_started_network_is_the_plain_one(
    way, dtype, tolerance, training
):
    """Outputs and the gradients of the shared parameters.

    The last norms' parameters are twice the plain ones, so their gradient is
    half of the plain one. In float32 train mode the gradients differ by
    rounding, up to 7e-6: far below the plain ones' own distance from float64
    here, up to 4e-2.
    """
    depth, plain_class, our_class, attention, kwargs = WAYS[way]
    base = plain(depth, plain_class, **kwargs).to(dtype)
    model = bridged(depth, our_class, attention, **kwargs).to(dtype)
    model.load_state_dict(base.state_dict(), strict=False)
    base.train(training)
    model.train(training)
    expected, out = base(images(dtype))[-1], model(images(dtype))[-1]
    assert relative(out, expected) < tolerance
    for y in (expected, out):
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    expected = shared_gradients(base)
    found = shared_gradients(model, last_norms(model))
    assert found.keys() == expected.keys()
    rounded = training and dtype == torch.float32
    for name, gradient in expected.items():
        error = relative(found[name], gradient)
        assert error < (1e-5 if rounded else tolerance), name


@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_every_depth_warm_starts_in_every_block(depth):
    model = bridged(depth)
    report = model.coverage(plain(depth).state_dict())
    blocks = {18: 8, 34: 16, 50: 16, 101: 33, 152: 50}[depth]
    assert report.warm_started == blocks
    assert report.loaded == report.expected


def test_warm_started_attention_learns_from_the_first_step():
    model = bridged()
    model.load_state_dict(plain().state_dict(), strict=False)
    model.train()(images())[-1].square().sum().backward()
    for name, parameter in model.named_parameters():
        if name.endswith('generation.weight'):
            assert parameter.eq(0).all()
            assert parameter.grad.abs().max() > 0, name


def test_the_callers_dict_is_unchanged():
    given = plain().state_dict()
    before = {name: value.clone() for name, value in given.items()}
    bridged().load_state_dict(given, strict=False)
    assert given.keys() == before.keys()
    assert all(torch.equal(given[name], before[name]) for name in before)


def test_loading_twice_changes_nothing_more():
    model, given = bridged(), plain().state_dict()
    model.load_state_dict(given, strict=False)
    once = {name: v.clone() for name, v in model.state_dict().items()}
    model.load_state_dict(given, strict=False)
    for name, value in model.state_dict().items():
        assert torch.equal(value, once[name]), name


def test_own_weights_are_loaded_as_they_are():
    source, model = bridged(), bridged(warm_start=True)
    trained(source, 3)
    report = model.coverage(source.state_dict())
    model.load_state_dict(source.state_dict())
    assert (report.attention_loaded, report.warm_started) == (8, 0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


def test_warm_start_can_be_turned_off(caplog):
    model, given = bridged(warm_start=False), plain().state_dict()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    result = model.load_state_dict(given, strict=False)
    assert any('.attention.' in name for name in result.missing_keys)
    for name, value in model.state_dict().items():
        source = before if '.attention.' in name else given
        assert torch.equal(value, source[name]), name
    report = model.coverage(given)
    assert report.attention_initial == 8 and not report.clean
    assert 'attention of blocks: 8 left at its initial values' in str(report)


def test_one_block_alone_warm_starts_too():
    block, base = bridged().layer2[0], plain().layer2[0]
    block.load_state_dict(base.state_dict(), strict=False)
    x = images()[:, :1].repeat(1, 16, 1, 1)
    assert torch.equal(block.eval()(x), base.eval()(x))


@MODELS.register_module()
class OpenGate(nn.Module):
    """A user's own attention, which knows nothing of a warm start."""

    def __init__(self, in_channels, channels, norm_cfg):
        super().__init__()
        self.gate = nn.Parameter(torch.ones(channels))

    def forward(self, pooled):
        return self.gate[:, None, None].expand(len(pooled[0]), -1, -1, -1)


def test_foreign_attention_keeps_its_values():
    base, model = (
        plain(),
        BAResNet(18, attention=dict(type='OpenGate'), **NARROW),
    )
    assert model.coverage(base.state_dict()).attention_initial == 8
    model.load_state_dict(base.state_dict(), strict=False)
    base.eval()
    assert torch.equal(model.eval()(images())[-1], base(images())[-1])


def test_gate_that_cannot_be_neutral_is_refused():
    model = bridged(attention=dict(V2, gate_cfg=dict(type='Tanh')))
    with pytest.raises(ValueError, match='no warm start is possible'):
        model.load_state_dict(plain().state_dict(), strict=False)


def test_norm_without_weights_is_not_halved():
    """Nothing scales the gated feature that could be doubled."""
    own = dict(norm_cfg=dict(type='BN', affine=False))
    weights = plain(18, **own).state_dict()
    model = bridged(18, attention=dict(V2, norm_cfg=dict(type='LN')), **own)
    report = model.coverage(weights)
    assert report.warm_started == 0
    assert report.attention_initial == len(list(model.blocks()))
