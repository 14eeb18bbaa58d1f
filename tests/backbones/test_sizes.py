"""Parameters and multiply-adds, to the last digit of the papers' models."""

import pytest
import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from banet import BAResNet, BAResNeXt

PLAIN, V1, V2 = None, 'BridgeAttentionV1', 'BridgeAttentionV2'
SE, ECA = 'SqueezeExcitation', 'EfficientChannelAttention'
PARAMS = {
    (18, PLAIN): 11_689_512,
    # SE: 2 C^2 / 16 + C / 16 + C for each block of C channels; ECA: 3, 5 or 7.
    (18, SE): 11_778_592,
    (18, ECA): 11_689_548,
    (50, SE): 28_088_024,
    (50, ECA): 25_557_118,
    (18, V1): 11_820_552,
    (18, V2): 11_820_336,
    (34, PLAIN): 21_797_672,
    (34, V1): 22_034_392,
    (34, V2): 22_033_968,
    (50, PLAIN): 25_557_032,
    (50, V1): 28_706_376,
    (50, V2): 28_702_664,
    (101, PLAIN): 44_549_160,
    (101, V1): 50_490_312,
    (101, V2): 50_482_316,
}
MACS = {
    (18, PLAIN): 1_814_073_344,
    (18, SE): 1_814_160_384,  # 2 C^2 / 16 more for each block
    (18, ECA): 1_814_082_688,  # its kernel's size, times C
    (50, SE): 4_091_699_200,
    (50, ECA): 4_089_272_064,
    (18, V1): 1_814_203_904,
    (18, V2): 1_814_204_144,
    (34, PLAIN): 3_663_761_408,
    (34, V1): 3_663_997_184,
    (34, V2): 3_663_997_656,
    (50, PLAIN): 4_089_184_256,
    (50, V1): 4_092_327_936,
    (50, V2): 4_092_330_768,
    (101, PLAIN): 7_801_405_440,
    (101, V1): 7_807_334_400,
    (101, V2): 7_807_340_496,
}
RESNEXT50 = {PLAIN: 25_028_904, V1: 28_806_984, V2: 28_803_272}


class Last(nn.Module):
    def forward(self, features):
        return features[-1].mean((2, 3))


def build(cls, depth, attention):
    model = cls(depth, attention=attention and dict(type=attention))
    return nn.Sequential(model, Last(), nn.Linear(model.feat_dim, 1000)).eval()


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize('depth,attention', PARAMS)
def test_parameters_of_resnets(depth, attention):
    assert count(build(BAResNet, depth, attention)) == PARAMS[depth, attention]


@pytest.mark.parametrize('attention', RESNEXT50)
def test_parameters_of_resnext50(attention):
    assert count(build(BAResNeXt, 50, attention)) == RESNEXT50[attention]


@pytest.mark.slow
@pytest.mark.parametrize('depth,attention', MACS)
def test_multiply_adds_of_convs_and_linears(depth, attention):
    counter = FlopAnalyzer(
        build(BAResNet, depth, attention), torch.zeros(1, 3, 224, 224)
    )
    counter.unsupported_ops_warnings(False)
    counter.uncalled_modules_warnings(False)
    operators = counter.by_operator()
    assert operators['conv'] + operators['linear'] == MACS[depth, attention]
