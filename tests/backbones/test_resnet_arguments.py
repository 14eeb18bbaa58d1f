"""ResNet's arguments: its own, the attention's, and bad ones."""

import doctest
import re

import pytest
import torch
from inputs import images
from mmengine.registry import MODELS
from resnets import small
from torch import nn

from banet import BABasicBlock, BAResNeXt
from banet.backbones import resnet


def test_backbone_norm_is_inherited_without_being_frozen():
    model = small(norm_cfg=dict(type='SyncBN', requires_grad=False, eps=1e-3))
    norm = model.layer1[0].attention.norm
    assert isinstance(norm, nn.SyncBatchNorm)
    assert norm.eps == 1e-3
    assert norm.weight.requires_grad
    assert not model.layer1[0].norm1.weight.requires_grad


def test_the_attention_own_norm_wins():
    attention = dict(
        type='BridgeAttentionV2', ratio=4, norm_cfg=dict(type='LN')
    )
    given = dict(attention)
    assert isinstance(
        small(attention=attention).layer1[0].attention.norm, nn.LayerNorm
    )
    assert attention == given


@pytest.mark.parametrize(
    'style,strided', [('pytorch', 'conv2'), ('caffe', 'conv1')]
)
def test_style_sets_the_strided_conv(style, strided):
    block = small(50, style=style).layer2[0]
    assert getattr(block, strided).stride == (2, 2)


@MODELS.register_module()
class HalfGate(nn.Module):
    """A user's own attention: one half everywhere."""

    def __init__(self, in_channels, channels, norm_cfg, shape=1, less=0):
        super().__init__()
        self.channels, self.shape = channels - less, shape

    def forward(self, pooled):
        return pooled[0].new_full(
            (len(pooled[0]), self.channels) + (self.shape, 1), 0.5
        )


def test_any_registered_module_can_be_the_attention():
    model = small(attention=dict(type='HalfGate')).eval()
    x = torch.rand(2, 16, 8, 8)
    block = model.layer1[0]
    expected = (
        x + 0.5 * block.norm2(block.conv2(block.norm1(block.conv1(x)).relu()))
    ).relu()
    torch.testing.assert_close(block(x), expected)


def test_block_by_itself_starts_warm_by_default():
    block = BABasicBlock(
        8, 8, attention=dict(type='BridgeAttentionV2', ratio=2)
    )
    assert block.warm_start is True


@pytest.mark.parametrize(
    'options,shape',
    [(dict(shape=2), '(2, 16, 2, 1)'), (dict(less=1), '(2, 15, 1, 1)')],
)
def test_gate_of_a_wrong_shape_is_refused(options, shape):
    model = small(attention=dict(type='HalfGate', **options))
    message = f'HalfGate returned a gate of shape {shape}; a block needs '
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        model(images())
    assert '(N, C, 1, 1) = (2, 16, 1, 1).' in str(error.value)


@pytest.mark.parametrize(
    'kwargs,error,message',
    [
        (dict(depth=20), ValueError, r'no depth 20; choose from \[18, 34, 50'),
        (dict(frozen_stages=5), ValueError, 'frozen_stages=5 .* up to 4'),
        (dict(frozen_stages=-2), ValueError, 'frozen_stages=-2 .* up to 4'),
        (
            dict(attention=dict(ratio=16)),
            TypeError,
            r"\{'ratio': 16\} must be a dict with a type, such as ",
        ),
        (
            dict(attention='BridgeAttentionV2'),
            TypeError,
            "'BridgeAttentionV2' must be a dict with a type, such as ",
        ),
        (
            dict(attention=dict(type='BridgeAttentionV3')),
            KeyError,
            'BridgeAttentionV3 is not in the .*registry',
        ),
        (
            dict(attention=dict(type='BridgeAttentionV2', ratio=64)),
            ValueError,
            'ratio 64 leaves no hidden channel of 16 channels; use at most 16',
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(kwargs, error, message):
    with pytest.raises(error, match=message):
        small(**kwargs)


def test_example_of_the_docstring_holds():
    result = doctest.testmod(resnet)
    assert result.attempted > 0
    assert result.failed == 0


def test_resnext_has_no_depth_18():
    with pytest.raises(
        ValueError, match=r'BAResNeXt has no depth 18; .*\[50, 101, 152\]'
    ):
        BAResNeXt(18)
