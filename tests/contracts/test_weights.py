"""Weights come in: whole, in parts, on meta, wrapped, frozen, positional."""

import io
import logging
import re

import pytest
import torch
from contract import Case, close, contract, images, NETWORKS, REPLACING
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    apply_activation_checkpointing,
)

from banet import BridgeMixin


def state_dicts_come_back(case):
    model, x = case.build(), images(2)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    weights = torch.load(file, weights_only=True)
    for assign in (False, True):
        other = case.build()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.normal_()
            found = other.load_state_dict(weights, assign=assign)
            assert not found.missing_keys and not found.unexpected_keys
            for a, b in zip(other(x), model(x)):
                assert torch.equal(a, b)


def parts(names):
    """Kinds of partial state dicts: which names each holds."""
    first = next(name for name in names if name.endswith('.weight'))
    last = [name for name in names if name.endswith('.weight')][-1]
    norms = {n.rpartition('.')[0] for n in names if n.endswith('running_mean')}
    attention = [name for name in names if '.attention.' in name]
    return {
        'nothing': [],
        'the first layer': [first],
        'the last layer': [last],
        'the second half': list(names)[len(names) // 2 :],
        'the norms': [n for n in names if n.rpartition('.')[0] in norms],
        'the attention': attention,
    }


def what_is_there_is_loaded_and_the_rest_is_named(case):
    """As PyTorch says of strict=False."""
    weights = {
        name: torch.ones_like(tensor)
        for name, tensor in case.build().state_dict().items()
        # Counts that old files lack; which bias belongs to which pair.
        if not name.endswith(('num_batches_tracked', 'position_index'))
    }
    for kind, names in parts(weights).items():
        model = case.build()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        part = {name: weights[name] for name in names}
        found = model.load_state_dict({**part, 'head': weights}, strict=False)
        missing = set(found.missing_keys) & set(weights)
        assert missing == set(weights) - set(names), kind
        assert found.unexpected_keys == ['head']
        after = model.state_dict()
        for name in weights:
            expected = weights if name in part else before
            assert torch.equal(after[name], expected[name]), (kind, name)


def a_network_on_meta_takes_whole_weights(case):
    model, whole = case.build().to('meta'), case.build()
    model.load_state_dict(whole.state_dict(), assign=True)
    assert not any(p.is_meta for p in model.parameters())


def a_network_takes_its_own_tensors(case):
    """And a file's twice, which it was told to keep."""
    model, kept = case.build(), case.build()
    whole = model.state_dict(keep_vars=True)
    before = {name: tensor.clone() for name, tensor in whole.items()}
    model.load_state_dict(whole)
    for _ in range(2):
        kept.load_state_dict(before, assign=True)
    for found in (model.state_dict(), kept.state_dict()):
        assert found.keys() == before.keys()
        for name, tensor in found.items():
            assert torch.equal(tensor, before[name]), name


def blocks_may_be_wrapped_for_checkpointing(case):
    """torch's wrappers hide their name from state dicts."""
    model, wrapped = case.build(), case.build()
    blocks = {
        type(m) for m in model.modules() if 'Block' in type(m).__name__
    } | {type(m) for m in model.modules() if isinstance(m, BridgeMixin)}
    apply_activation_checkpointing(
        wrapped, check_fn=lambda module: type(module) in blocks
    )
    with torch.no_grad():
        for parameter in wrapped.parameters():
            parameter.normal_()
        load_state_dict(wrapped, model.state_dict(), strict=True)
        close(wrapped(images(2)), model(images(2)))


test_weights = contract(
    state_dicts_come_back,
    what_is_there_is_loaded_and_the_rest_is_named,
    a_network_on_meta_takes_whole_weights,
    a_network_takes_its_own_tensors,
    blocks_may_be_wrapped_for_checkpointing,
)
EXACT = [name for name in NETWORKS if name not in REPLACING]


@pytest.mark.parametrize('name', EXACT)
def test_plain_weights_warm_start_a_network_on_meta(name):
    own = NETWORKS[name][2][0]
    plain = Case(name).build()
    model = Case(name, own).build().to('meta')
    model.load_state_dict(plain.state_dict(), strict=False, assign=True)
    assert not [n for n, p in model.named_parameters() if p.is_meta]
    materialised = Case(name, own).build()
    materialised.load_state_dict(plain.state_dict(), strict=False)
    state = model.state_dict()
    for key, tensor in materialised.state_dict().items():
        # The gate is one half whatever stands before W_g.
        if '.attention.' not in key or 'generation' in key:
            assert torch.equal(state[key], tensor), key


@pytest.mark.parametrize('name', NETWORKS)
def test_constructors_try_nothing_out(name):
    """Parameters on meta, inputs not: under accelerate's empty weights."""
    register = nn.Module.register_parameter

    def on_meta(module, key, parameter):
        register(module, key, parameter)
        if parameter is not None:
            module._parameters[key] = nn.Parameter(
                parameter.to('meta'), requires_grad=False
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, 'register_parameter', on_meta)
        for own in NETWORKS[name][2]:
            model = Case(name, own).cls(**{**NETWORKS[name][1], **own})
            assert all(p.is_meta for p in model.parameters())


@pytest.mark.parametrize('name', NETWORKS)
def test_constructors_ask_no_parameter_for_its_shape(name):
    """DeepSpeed's zero.Init shares each layer's out once it is built."""
    layers = nn.Linear, nn.Conv2d, nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d

    def emptying(init):
        def wrapped(module, *args, **kwargs):
            init(module, *args, **kwargs)
            for parameter in module.parameters(recurse=False):
                parameter.data = torch.empty(0)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for layer in layers:
            patch.setattr(layer, '__init__', emptying(layer.__init__))
        for own in NETWORKS[name][2]:
            model = Case(name, own).cls(**{**NETWORKS[name][1], **own})
            assert any(p.numel() == 0 for p in model.parameters())


@pytest.mark.parametrize('name', EXACT)
def test_loading_calls_no_state_dict_of_ours(name):
    """Its hooks may gather tensors from other processes, or drop them."""
    weights, calls = Case(name).build().state_dict(), []
    for own in (None, NETWORKS[name][2][0]):
        model, seen = Case(name, own).build(), []
        for module in model.modules():
            module._register_state_dict_hook(
                lambda m, *_, seen=seen: seen.append(m)
            )
        model.load_state_dict(dict(weights), strict=False)
        calls.append(len(seen))
    assert calls[1] == 0 or calls[0] > 0  # mmpretrain's Swin calls its own


@pytest.mark.parametrize('name', NETWORKS)
def test_positions_are_upstreams(name):
    """The second and third argument, as mmpretrain's classes take them."""
    seconds = {
        'MobileNetV3': ('conv_cfg', 'norm_cfg'),
        'EfficientNet': ('drop_path_rate', 'out_indices'),
        'EfficientNetV2': ('in_channels', 'drop_path_rate'),
        'ResNeXt': ('groups', 'width_per_group'),
        'ConvNeXt': ('in_channels', 'stem_patch_size'),
        'SwinTransformer': ('img_size', 'patch_size'),
    }
    cls, kwargs, (own, *_) = NETWORKS[name]
    if cls in ('ResNetV1c', 'ResNetV1d', 'ResNet_CIFAR'):
        pytest.skip("upstream's take keywords alone")
    names = seconds.get(cls, ('in_channels', 'stem_channels'))
    given = dict(
        conv_cfg=None,
        norm_cfg=dict(type='BN', eps=0.5),
        drop_path_rate=0.25,
        out_indices=(1, 2),
        in_channels=5,
        groups=8,
        width_per_group=2,
        stem_patch_size=2,
        stem_channels=8,
        img_size=32,
        patch_size=2,
    )
    values = [given[n] for n in names]
    first = kwargs.get('depth', kwargs.get('arch'))
    rest = {
        k: v for k, v in kwargs.items() if k not in (*names, 'depth', 'arch')
    }
    by_position = Case(name, own).cls(first, *values, **rest, **own)
    by_name = Case(name, own).cls(
        first, **dict(zip(names, values)), **rest, **own
    )
    shapes = [
        {k: v.shape for k, v in model.state_dict().items()}
        for model in (by_position, by_name)
    ]
    assert shapes[0] == shapes[1]
    assert repr(by_position) == repr(by_name)


@pytest.mark.parametrize('name', ['resnet18', 'mobilenet-v3', 'swin'])
def test_each_parameters_start_is_logged_once_by_its_full_name(
    name, monkeypatch
):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    # A log file that another test's Runner left would take the lines.
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [handler])
    monkeypatch.setattr(logger, 'level', logging.INFO)
    model = Case(name, NETWORKS[name][2][0]).build()
    model.init_weights()
    logged = [
        match[1]
        for line in lines
        if (match := re.match(r'\n(\S+) - torch\.Size', line))
    ]
    assert sorted(logged) == sorted(n for n, _ in model.named_parameters())
