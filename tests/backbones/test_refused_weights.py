"""Weights of another network are refused, with the reason."""

import pytest
import torch
from mmengine.registry import DefaultScope, MODELS
from mmengine.runner.checkpoint import load_state_dict
from resnets import bridged, GN, LN, NARROW, plain, V1, V2
from torch import nn

from banet import BAResNeXt


def without_one_attention():
    return {
        name: value
        for name, value in bridged().state_dict().items()
        if not name.startswith('layer2.1.attention.')
    }


def under(prefix, state_dict):
    return {prefix + name: value for name, value in state_dict.items()}


@pytest.mark.parametrize(
    'make,state_dict,messages',
    [
        (
            bridged,
            lambda: {},
            ['not one tensor', 'the weights have: nothing', "prefix='backb"],
        ),
        (
            bridged,
            lambda: under('backbone.', plain().state_dict()),
            [
                'not one tensor',
                'the model has: layer1.0.conv1.weight',
                'the weights have: backbone.layer1.0.conv1.weight',
                "prefix='backbone.'",
            ],
        ),
        (
            bridged,
            lambda: {'net': plain().state_dict(), 'epoch': 3},
            ['not one tensor', 'tools/convert_checkpoint.py'],
        ),
        (
            bridged,
            lambda: dict(list(plain().state_dict().items())[:6]),
            ['hold only 5 of its 100 tensors', "prefix='backbone.'"],
        ),
        (
            lambda: bridged(101),
            lambda: plain(50).state_dict(),
            ['another depth: they lack layer3.10, layer3.11, .* 13 more'],
        ),
        (  # whose trained part they hold
            lambda: bridged(101, frozen_stages=3),
            lambda: bridged(50).state_dict(),
            ['another depth: they lack layer3.10, layer3.11, .* 13 more'],
        ),
        (
            lambda: bridged(101, attention=None, frozen_stages=3),
            lambda: plain(50).state_dict(),
            ['another depth: they lack layer3.10, layer3.11, .* 13 more'],
        ),
        (
            bridged,
            lambda: plain(34).state_dict(),
            ['another depth: the model lacks layer1.2, layer2.2'],
        ),
        (
            lambda: bridged(50),
            lambda: plain(34).state_dict(),
            [r'layer1.0.conv1.weight has shape .*another width, depth'],
        ),
        (
            bridged,
            lambda: plain(base_channels=32, stem_channels=32).state_dict(),
            [r'layer1.0.conv1.weight has shape \(32, 32, 3, 3\) in them'],
        ),
        (
            lambda: bridged(50, BAResNeXt, groups=4),
            lambda: plain(50).state_dict(),
            ['layer1.0.conv2.weight has shape'],
        ),
        (
            lambda: bridged(attention=dict(V2, **LN), **GN),
            lambda: plain().state_dict(),
            ['block layer1.0 is of another kind, they lack layer1.0.gn1.w'],
        ),
        (
            bridged,
            lambda: bridged(attention=V1).state_dict(),
            ['It is that of BridgeAttentionV1', 'norms.0.weight'],
        ),
        (
            lambda: bridged(attention=V1),
            lambda: bridged().state_dict(),
            [
                'It is that of BridgeAttentionV2',
                'the model alone has: .*norms',
            ],
        ),
        (
            lambda: bridged(attention=dict(V2, **LN)),
            lambda: bridged().state_dict(),
            ['They alone have: layer1.0.attention.norm.running_mean'],
        ),
        (
            lambda: bridged(attention=dict(V2, ratio=8)),
            lambda: bridged().state_dict(),
            [r'layer1.0.attention.generation.weight has shape .*ratio'],
        ),
        (
            lambda: bridged(attention=None),
            lambda: plain(34).state_dict(),
            ['another depth: the model lacks layer1.2, layer2.2, layer2.3'],
        ),
        (
            lambda: bridged(attention=None),
            lambda: bridged(34, attention=None).state_dict(),
            ['another depth: the model lacks layer1.2, layer2.2, layer2.3'],
        ),
        (
            bridged,
            without_one_attention,
            ['attention of 7 blocks but not that of 1: layer2.1'],
        ),
    ],
)
@pytest.mark.parametrize('load', [nn.Module.load_state_dict, load_state_dict])
def test_weights_of_another_network_are_refused(
    make, state_dict, messages, load
):
    """By PyTorch's strict loading and by mmengine's; and change nothing."""
    model = make()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load(model, state_dict())
    assert isinstance(error.value, RuntimeError)  # as PyTorch raises
    for message in messages:
        assert error.match(message)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_bare_weights_in_a_whole_model_are_refused_with_the_remedy():
    """By load_from: the backbone sees only the names below its own."""
    backbone = dict(type='BAResNet', depth=18, **NARROW)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(dict(type='ImageClassifier', backbone=backbone))
    with pytest.raises(ValueError) as error:
        load_state_dict(model, plain().state_dict(), strict=False)
    for message in (
        "none of their names begins with 'backbone.'",
        'the model has: backbone.layer1.0.conv1.weight',
        'a bare backbone, which load_from does not',
    ):
        assert error.match(message)


def test_names_of_both_sides_are_shown_where_they_differ_alone():
    """Weights of another depth have the same names at their beginning."""
    with pytest.raises(ValueError) as error:
        bridged().load_state_dict(plain(34).state_dict())
    assert 'another depth' in str(error.value)
    assert 'the weights have' not in str(error.value)
