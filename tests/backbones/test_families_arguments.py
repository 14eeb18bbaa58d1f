"""Arguments of the other families: bad ones, and what upstream takes."""

import pytest
import torch
from families import build, shake, V1, V2
from inputs import images
from mmpretrain.models import backbones

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BASwinTransformer,
)


@pytest.mark.parametrize(
    'cls',
    [
        BARegNet,
        BAMobileNetV3,
        BAEfficientNet,
        BAEfficientNetV2,
        BAConvNeXt,
        BASwinTransformer,
    ],
)
def test_unknown_arch_is_named_with_the_known_ones(cls):
    with pytest.raises(ValueError, match="no arch 'huge9'; choose from .+, "):
        cls(arch='huge9')


def test_network_without_norms_needs_one_for_the_attention():
    with pytest.raises(ValueError, match='norm_cfg=None .* of its own'):
        BAEfficientNet('es', norm_cfg=None)
    attention = dict(type=V2, ratio=6, norm_cfg=dict(type='LN'))
    kwargs = dict(arch='es', norm_cfg=None)
    torch.manual_seed(0)
    plain = shake(backbones.EfficientNet(**kwargs))
    plain.eval()
    model = BAEfficientNet(**kwargs, attention=attention).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(model(images())[-1], plain(images())[-1])


def test_arch_is_written_as_upstream_takes_it():
    assert BASwinTransformer('T').depths == [2, 2, 6, 2]
    with pytest.raises(ValueError, match='no arch {}; choose from'):
        BAMobileNetV3(arch={})


@pytest.mark.parametrize(
    'name,kwargs,message',
    [
        ('convnext', dict(frozen_stages=5), 'frozen_stages=5 .* up to 4'),
        ('swin', dict(frozen_stages=5), 'frozen_stages=5 .* up to 4'),
        ('regnet', dict(frozen_stages=5), 'frozen_stages=5 .* up to'),
        ('mobilenet-large', dict(frozen_stages=99), 'frozen_stages'),
        ('efficientnet', dict(frozen_stages=99), 'frozen_stages'),
        (
            'convnext',
            dict(attention=dict(type=V2, ratio=17)),
            'ratio 17 leaves no hidden channel of 16 channels; use at most 16',
        ),
        (
            'mobilenet-small',
            dict(attention=dict(type=V1, ratio=500)),
            'ratio 500 leaves no hidden channel of 64',
        ),
        (
            'swin',
            dict(attention=dict(type=V1, ratio=4, norm_cfg=dict(type='IN'))),
            'instance norm averages over spatial axes, there are none',
        ),
        (
            'convnext',
            dict(attention=dict(type=V1, ratio=16)),
            'a group of one value is always normalised to zero',
        ),
    ],
)
def test_bad_arguments_are_named_with_value_and_remedy(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(name, **kwargs)
