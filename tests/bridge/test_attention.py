"""The two attentions: vectors in, gate out."""

import io
import re
import uuid

import pytest
import torch
from mmdet.registry import MODELS as DET_MODELS
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from banet import (
    BAResNet,
    BridgeAttentionV1,
    BridgeAttentionV2,
    SqueezeExcitation,
)
from banet.bridge import vector_norm

VERSIONS = [BridgeAttentionV1, BridgeAttentionV2]
WIDTHS, CHANNELS, RATIO = (6, 10, 32), 32, 4


def reference_gate(attention, pooled, training):
    """The formulas of the papers, written out in plain tensor operations."""

    def norm(bn, x):
        mean, var = (
            (x.mean(0), x.var(0, unbiased=False))
            if training
            else (bn.running_mean, bn.running_var)
        )
        return (x - mean) / (var + 1e-5).sqrt() * bn.weight + bn.bias

    reduced = [g @ w.weight.T for g, w in zip(pooled, attention.reductions)]
    if isinstance(attention, BridgeAttentionV1):
        hidden = sum(norm(bn, x) for bn, x in zip(attention.norms, reduced))
    else:
        a, b = attention.selection.weight[0], attention.selection.bias
        hidden = norm(
            attention.norm, sum(a_i * x for a_i, x in zip(a, reduced)) + b
        )
    logits = hidden.clamp(min=0) @ attention.generation.weight.T
    return (1 / (1 + (-logits).exp()))[:, :, None, None]


def build(cls, **kwargs):
    """An attention in float64 whose norms have seen data."""
    torch.manual_seed(0)
    attention = cls(WIDTHS, CHANNELS, ratio=RATIO, **kwargs).double()
    for module in attention.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return attention


def pooled_of(batch):
    return [torch.randn(batch, width).double() for width in WIDTHS]


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('cls', VERSIONS)
def test_gate_equals_the_formula(cls, training):
    attention, pooled = build(cls).train(training), pooled_of(7)
    expected = reference_gate(attention, pooled, training)
    gate = attention(pooled)
    assert gate.shape == (7, CHANNELS, 1, 1)
    torch.testing.assert_close(gate, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize('cls', VERSIONS)
def test_batch_of_one_trains_with_the_running_statistics(cls):
    attention, pooled = build(cls).train(), pooled_of(1)
    before = {k: v.clone() for k, v in attention.state_dict().items()}
    gate = attention(pooled)
    torch.testing.assert_close(
        gate, reference_gate(attention, pooled, training=False)
    )
    gate.sum().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())
    for name, value in attention.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_empty_batch_gives_an_empty_gate_in_eval():
    assert build(BridgeAttentionV2).eval()(pooled_of(0)).shape == (
        0,
        CHANNELS,
        1,
        1,
    )


def warnings_of(batches, norm_eval=False, **kwargs):
    """What mmengine's logger shows while training on such batches."""
    logger = MMLogger.get_instance(f'test-{uuid.uuid4()}')
    console = logger.handlers[0]
    console.setStream(io.StringIO())
    attention = BridgeAttentionV2(WIDTHS, CHANNELS, ratio=RATIO, **kwargs)
    if norm_eval:
        attention.norm.eval()
    for batch in batches:
        attention([vector.float() for vector in pooled_of(batch)])
    return [
        line
        for line in console.stream.getvalue().splitlines()
        if 'WARNING' in line
    ]


@pytest.mark.parametrize('batch', [2, 3, 4])
def test_small_batches_are_warned_of_with_the_remedies(batch):
    (message,) = warnings_of([batch])
    for remedy in ('norm_eval=True', 'SyncBN', "dict(type='LN')"):
        assert remedy in message


def test_small_batches_are_warned_of_once():
    assert len(warnings_of([2, 3, 4, 2])) == 1


def test_batches_of_one_or_five_are_not_warned_of():
    assert warnings_of([1, 5]) == []


def test_batches_that_sync_bn_joins_count_as_one(monkeypatch):
    """Two images on each of four processes are eight."""
    monkeypatch.setattr(vector_norm, 'get_world_size', lambda group: 4)
    assert warnings_of([2], norm_cfg=dict(type='SyncBN')) == []
    monkeypatch.setattr(vector_norm, 'get_world_size', lambda group: 2)
    assert len(warnings_of([2], norm_cfg=dict(type='SyncBN'))) == 1


def test_small_batches_with_frozen_statistics_are_not_warned_of():
    assert warnings_of([2, 3, 4], norm_eval=True) == []


@pytest.mark.parametrize(
    'norm_cfg,cls',
    [
        (dict(type='BN'), nn.BatchNorm1d),
        (dict(type='BN2d'), nn.BatchNorm1d),
        (dict(type='BN1d', eps=1e-3), nn.BatchNorm1d),
        (dict(type='SyncBN'), nn.SyncBatchNorm),
        (dict(type='LN'), nn.LayerNorm),
        (dict(type='GN', num_groups=2), nn.GroupNorm),
    ],
)
@pytest.mark.parametrize('version', VERSIONS)
def test_norms_that_work_on_vectors(version, norm_cfg, cls):
    given = dict(norm_cfg)
    attention = version(WIDTHS, CHANNELS, ratio=RATIO, norm_cfg=norm_cfg)
    norm = (
        attention.norm if version is BridgeAttentionV2 else attention.norms[0]
    )
    assert isinstance(norm, cls)
    assert norm.training
    assert norm_cfg == given
    gate = attention([torch.randn(6, width) for width in WIDTHS])
    assert gate.isfinite().all()


@pytest.mark.parametrize(
    'norm_cfg',
    [
        dict(type='IN'),
        dict(type='IN1d'),
        dict(type='BN3d'),
        dict(type='LN2d'),
        dict(type='BN', track_running_stats=False),
        dict(type='GN', num_groups=8),
        dict(type='GN', num_groups=32),
    ],
)
def test_norms_that_do_not_are_refused_with_a_remedy(norm_cfg):
    with pytest.raises(
        ValueError, match=r'norm_cfg=\{.*cannot normalise.*norm_cfg=dict'
    ):
        BridgeAttentionV2(WIDTHS, CHANNELS, ratio=RATIO, norm_cfg=norm_cfg)


def test_norm_over_a_single_value_is_refused_and_over_two_is_not():
    """It would always be zero."""
    with pytest.raises(ValueError, match='one value is always normalised'):
        BridgeAttentionV2((4, 8), 8, ratio=8, norm_cfg=dict(type='LN'))
    BridgeAttentionV2((4, 8), 8, ratio=4, norm_cfg=dict(type='LN'))


@pytest.mark.parametrize(
    'kwargs,message',
    [
        (
            dict(ratio=64),
            'ratio 64 leaves no hidden channel of 32 channels; use at most 32',
        ),
        (dict(ratio=0), 'ratio 0 is no whole number from 1 to 32'),
        (dict(ratio='16'), "ratio '16' is no whole number from 1 to 32"),
        (dict(ratio=0.5), 'ratio 0.5 is no whole number from 1 to 32'),
        (dict(in_channels=[]), r'in_channels=\[\] must list the width'),
        (
            dict(in_channels=[8, 0]),
            r'in_channels=\[8, 0\] must list the width',
        ),
    ],
)
@pytest.mark.parametrize('cls', VERSIONS)
def test_bad_arguments_are_named_with_value_and_remedy(cls, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cls(**{**dict(in_channels=WIDTHS, channels=CHANNELS), **kwargs})


@pytest.mark.parametrize('widths', [(6, 10), (6, 10, 32, 4), (10, 6, 32)])
def test_pooled_list_of_other_widths_is_refused(widths):
    attention = build(BridgeAttentionV2)
    with pytest.raises(
        ValueError,
        match=re.escape(
            f'widths {widths}, but this attention was built '
            f'with in_channels={WIDTHS}'
        ),
    ):
        attention([torch.randn(5, width).double() for width in widths])


def test_parameter_names_are_pinned():
    """Checkpoints depend on them: never rename."""
    names = {
        cls: [
            name
            for name in cls((4, 8), 8, ratio=2).state_dict()
            if 'running' not in name and 'tracked' not in name
        ]
        for cls in VERSIONS
    }
    assert names == {
        BridgeAttentionV1: [
            'reductions.0.weight',
            'reductions.1.weight',
            'norms.0.weight',
            'norms.0.bias',
            'norms.1.weight',
            'norms.1.bias',
            'generation.weight',
        ],
        BridgeAttentionV2: [
            'reductions.0.weight',
            'reductions.1.weight',
            'selection.weight',
            'selection.bias',
            'norm.weight',
            'norm.bias',
            'generation.weight',
        ],
    }


class OfALibrary(SqueezeExcitation):
    """Registered where mmdet looks, and nowhere else."""


def test_attention_of_a_librarys_own_registry_is_known_by_its_kind():
    DET_MODELS.register_module(module=OfALibrary, force=True)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = BAResNet(18, attention=dict(type='OfALibrary'))
    assert type(model.layer1[0].attention) is OfALibrary
