"""The deploy form computes what eval mode does."""

import copy
import inspect
import pickle

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_state_dict
from resnets import (
    bridged,
    calibrated,
    images,
    NARROW,
    plain,
    relative,
    V1,
    V2,
    WAYS,
)
from torch import nn

from banet import BAResNet, BridgeAttentionV2, SqueezeExcitation
from banet.bridge.deploy import FoldedAttention, is_pointwise

WITHOUT_BIAS = pytest.mark.skipif(
    'bias' not in inspect.signature(nn.BatchNorm2d).parameters,
    reason="this torch's norms always have a bias",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    'dtype,tolerance', [(torch.float32, 1e-5), (torch.float64, 1e-12)]
)
# In eval mode the other two are 'basic' and 'bottleneck'.
@pytest.mark.parametrize('way', sorted({*WAYS} - {'frozen', 'norm_eval'}))
def test_deploy_form_equals_the_original(way, dtype, tolerance):
    depth, _, cls, attention, kwargs = WAYS[way]
    kwargs = {**kwargs, 'out_indices': (0, 1, 2, 3)}
    model = calibrated(bridged(depth, cls, attention, **kwargs), dtype)
    with torch.no_grad():
        expected = [out.clone() for out in model(images(dtype))]
        model.switch_to_deploy()
        for a, b in zip(model(images(dtype)), expected, strict=True):
            assert relative(a, b) < tolerance


def test_half_precision_folds_as_exactly_as_it_calculates():
    """Against float64, the folded form is no worse than the original."""
    exact = calibrated(bridged(50), torch.float64)
    with torch.no_grad():
        expected = exact(images(torch.float64))[-1].clone()
        model = copy.deepcopy(exact).bfloat16()
        error = relative(model(images(torch.bfloat16))[-1].double(), expected)
        model.switch_to_deploy()
        folded = relative(model(images(torch.bfloat16))[-1].double(), expected)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert folded < 1.5 * error


@pytest.mark.parametrize('attention', [V1, V2])
@pytest.mark.parametrize('depth', [18, 50])
def test_nothing_is_left_to_fold(attention, depth):
    model = bridged(depth, attention=attention)
    model.switch_to_deploy()
    names = ' '.join(model.state_dict())
    assert 'running_mean' not in names and 'selection' not in names
    folded = [m for m in model.modules() if isinstance(m, FoldedAttention)]
    assert len(folded) == (8 if depth == 18 else 16)
    # A BasicBlock pools both features, a Bottleneck not the widest.
    assert {len(m.in_channels) for m in folded} == {2}


def test_attention_of_resnet50_shrinks_as_calculated():
    """From 3.15 to 1.89 million parameters."""
    model = BAResNet(50)

    def size():
        return sum(
            parameter.numel()
            for name, parameter in model.named_parameters()
            if '.attention.' in name
        )

    assert size() == 28_702_664 - 25_557_032
    model.switch_to_deploy()
    # Per block of inner width w: h (2 w) + h + 4 w h, with h = w / 4.
    stages = ((3, 64), (4, 128), (6, 256), (3, 512))
    assert size() == sum(n * (w // 4) * (6 * w + 1) for n, w in stages)
    assert round(size() / 1e6, 2) == 1.89


def test_layer_norm_stays_behind_the_folded_reductions():
    model = bridged(attention=dict(V2, norm_cfg=dict(type='LN')))
    model.switch_to_deploy()
    attention = model.layer1[0].attention
    assert isinstance(attention, FoldedAttention)
    assert isinstance(attention.norm, torch.nn.LayerNorm)


def test_group_norm_keeps_the_pooling_of_the_last_map():
    attention = dict(V2, norm_cfg=dict(type='LN'))
    gn = dict(norm_cfg=dict(type='GN', num_groups=4))
    model = bridged(50, attention=attention, **gn)
    model.switch_to_deploy()
    assert len(model.layer1[0].attention.in_channels) == 3


def test_plain_network_fuses_its_norms():
    model = calibrated(bridged(50, attention=None), torch.float64)
    with torch.no_grad():
        expected = model(images(torch.float64))[-1].clone()
        model.switch_to_deploy()
        out = model(images(torch.float64))[-1]
    assert relative(out, expected) < 1e-12


def test_warm_started_network_folds_to_the_plain_one():
    base = calibrated(plain(50), torch.float64)
    model = bridged(50).double().eval()
    model.load_state_dict(base.state_dict(), strict=False)
    model.switch_to_deploy()
    with torch.no_grad():
        expected = base(images(torch.float64))[-1]
        assert relative(model(images(torch.float64))[-1], expected) < 1e-12


def test_switching_twice_changes_nothing_more():
    model = calibrated(bridged())
    model.switch_to_deploy()
    state = copy.deepcopy(model.state_dict())
    model.switch_to_deploy()
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_model_in_train_mode_folds_with_its_running_statistics():
    model = calibrated(bridged(), torch.float64)
    with torch.no_grad():
        expected = model(images(torch.float64))[-1].clone()
        model.train()
        model.switch_to_deploy()
        with pytest.raises(RuntimeError, match=r'no norms to train: call \.e'):
            model(images(torch.float64))
        out = model.eval()(images(torch.float64))[-1]
    assert relative(out, expected) < 1e-12


@pytest.mark.parametrize(
    'norm_cfg',
    [
        dict(type='BN', track_running_stats=False),
        dict(type='BN', affine=False),
        pytest.param(dict(type='BN', bias=False), marks=WITHOUT_BIAS),
    ],
)
def test_norm_that_is_no_fixed_map_is_refused_and_nothing_changes(norm_cfg):
    model = BAResNet(
        18,
        norm_cfg=norm_cfg,
        attention=dict(V2, norm_cfg=dict(type='LN')),
        **NARROW,
    )
    before = list(model.state_dict())
    with pytest.raises(ValueError, match=r'bn1 \(.*\) cannot be folded'):
        model.switch_to_deploy()
    assert list(model.state_dict()) == before
    model.train()(images())[-1].sum().backward()


@pytest.mark.parametrize(
    'layer,expected',
    [
        (nn.Linear(4, 2), True),
        (nn.Conv2d(4, 2, 1), True),
        (nn.Conv2d(4, 2, 1, padding=1), False),
        (nn.Conv2d(4, 2, 1, padding='same'), False),
        (nn.Conv2d(4, 2, 1, stride=2), False),
        (nn.Conv2d(4, 2, 1, groups=2), False),
        (nn.Conv2d(4, 2, 3, padding=1), False),
        (nn.Conv1d(4, 2, 1), False),
        (None, False),
    ],
)
def test_layers_that_do_the_same_to_every_pixel_are_known(layer, expected):
    assert is_pointwise(layer) is expected


class OtherIntegration(BridgeAttentionV2):
    """Calculates something else than its parent, whose linear_terms it has."""

    def integrate(self, reduced):
        return super().integrate(reduced).square()


class OtherLogits(SqueezeExcitation):
    """The same of a channel attention."""

    def logits(self, squeezed):
        return super().logits(squeezed) / 3


class OwnConvs(nn.Module):
    """A user's attention with a BN that does not follow its conv directly."""

    def __init__(self, in_channels, channels, norm_cfg):
        super().__init__()
        self.conv = nn.Conv2d(in_channels[-1], channels, 1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, pooled):
        x = self.conv(pooled[-1][:, :, None, None]).relu()
        return self.bn(x).sigmoid()


@pytest.mark.parametrize('kind', [OtherIntegration, OtherLogits, OwnConvs])
@pytest.mark.parametrize('depth', [18, 50])
def test_foreign_attention_stays_as_it_is(kind, depth):
    MODELS.register_module(module=kind, force=True)
    attention = dict(type=kind.__name__)
    model = calibrated(bridged(depth, attention=attention), torch.float64)
    with torch.no_grad():
        expected = model(images(torch.float64))[-1].clone()
        model.switch_to_deploy()
        out = model(images(torch.float64))[-1]
    assert relative(out, expected) < 1e-12
    assert type(model.layer1[0].attention) is kind


def test_deployed_model_can_be_copied_and_pickled():
    model = calibrated(bridged(50))
    model.switch_to_deploy()
    model.to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = model(images())[-1]
        for other in (
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
        ):
            assert torch.equal(other(images())[-1], expected)


def test_conv_that_makes_its_own_weights_is_refused():
    model = BAResNet(18, conv_cfg=dict(type='ConvWS'), **NARROW)
    with pytest.raises(ValueError, match=r'conv1 \(ConvWS2d\) cannot be fol'):
        model.switch_to_deploy()


def test_folded_weights_load_where_deploy_is_set():
    model = calibrated(bridged(50))
    model.switch_to_deploy()
    other = bridged_deploy(50)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(other(images())[-1], model(images())[-1])


def bridged_deploy(depth=18):
    return BAResNet(depth, attention=V2, deploy=True, **NARROW).eval()


@pytest.mark.parametrize('load', [nn.Module.load_state_dict, load_state_dict])
def test_folded_and_unfolded_do_not_mix(load):
    """In PyTorch's strict loading, and in mmengine's."""
    folded, unfolded = bridged_deploy(), bridged()
    with pytest.raises(ValueError, match='are folded .*: set deploy=True'):
        load(unfolded, folded.state_dict())
    for weights in (unfolded.state_dict(), plain().state_dict()):
        with pytest.raises(ValueError, match='not folded and .*tools/deploy'):
            load(folded, weights)
